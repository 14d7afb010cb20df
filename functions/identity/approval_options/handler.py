"""POST /approvals/options: the options of the ceremony in which one act is approved."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import approving, changes
from portcullis.identity.approvable import Approvable

ROUTE = ("POST", "/approvals/options")


@endpoint(body=Approvable)
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    options = approving.options(request.body.act, principal=principal, now_s=now_s)
    return Response(200, options)
