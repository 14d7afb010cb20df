"""DELETE /sessions/{id}: end one session of the account."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import changes, sign_out

ROUTE = ("DELETE", "/sessions/{id}")


@endpoint()
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    sign_out.end_one(request.id_in_path(), principal=principal, now_s=now_s)
    return Response(204)
