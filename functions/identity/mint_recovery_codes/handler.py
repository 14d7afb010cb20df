"""POST /recovery-codes: ten new recovery codes; all older ones are burned."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.evidence.approvals import Act
from portcullis.identity import changes, recovery_codes
from portcullis.schema import Strict

ROUTE = ("POST", "/recovery-codes")


class MintRecoveryCodes(Strict):
    """A passkey's approval, where the account has a passkey."""

    approval: str | None = None


@endpoint(body=MintRecoveryCodes)
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(
        who,
        route=ROUTE,
        act=Act(kind="mint-recovery-codes", fields=[]),
        approval=request.body.approval,
        now_s=now_s,
    )
    return Response(201, {"codes": recovery_codes.mint(principal, now_s=now_s)})
