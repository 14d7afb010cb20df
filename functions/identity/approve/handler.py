"""POST /approvals: an approval for the act that a factor has answered for; a lift is done here."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.evidence.approvals import LIFETIME_S
from portcullis.identity import approving, changes
from portcullis.identity.approving import Answer

ROUTE = ("POST", "/approvals")


@endpoint(body=Answer)
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    approval = approving.approve(request.body, principal=principal, now_s=now_s)
    if approval is None:
        return Response(200, {"lifted": True})
    return Response(201, {"approval": approval, "expires_in": LIFETIME_S})
