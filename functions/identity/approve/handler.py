"""POST /approvals: an approval for the act that a passkey has signed."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import approving, changes
from portcullis.identity.passkeys import Assertion
from portcullis.schema import Strict

ROUTE = ("POST", "/approvals")


class Approve(Strict):
    """The authenticator's answer to the options."""

    credential: Assertion


@endpoint(body=Approve)
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    approval, expires_in_s = approving.approve(
        request.body.credential, principal=principal, now_s=now_s
    )
    return Response(201, {"approval": approval, "expires_in": expires_in_s})
