"""DELETE /recovery: cancel a recovery, and burn all codes."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import changes, recovery_cancelling

ROUTE = ("DELETE", "/recovery")


@endpoint()
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    recovery_cancelling.cancel(principal, now_s=now_s)
    return Response(204)
