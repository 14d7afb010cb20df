"""DELETE /sessions: end every session of the account, or all but the caller's."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.edge.request import MalformedRequestError
from portcullis.identity import changes, sign_out

ROUTE = ("DELETE", "/sessions")


@endpoint(query=frozenset({"except"}))
def handler(request: Request[Any]) -> Response:
    kept = request.query.get("except")
    if kept not in {None, "current"}:
        raise MalformedRequestError
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    sign_out.end_all(except_current=kept is not None, principal=principal, now_s=now_s)
    return Response(204)
