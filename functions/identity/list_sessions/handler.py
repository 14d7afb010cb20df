"""GET /sessions: the account's live sessions."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import assurance, session_list

ROUTE = ("GET", "/sessions")


@endpoint()
def handler(request: Request[Any]) -> Response:
    token, now_s = caller_of(request).token, clock.now_s()
    assurance.demand(token, route=ROUTE, now_s=now_s)
    return Response(200, {"sessions": session_list.show(token, now_s=now_s)})
