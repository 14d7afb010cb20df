"""POST /totp/confirm: make a TOTP enrolment a factor by its first code."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.evidence.approvals import Act
from portcullis.evidence.orders import AccountId as Id
from portcullis.identity import changes, totp_enrolment
from portcullis.identity.totp import Code
from portcullis.schema import Strict

ROUTE = ("POST", "/totp/confirm")


class ConfirmTotp(Strict):
    """The enrolment, its first code, and a passkey's approval."""

    enrolment: Id
    code: Code
    approval: str | None = None


@endpoint(body=ConfirmTotp)
def handler(request: Request[Any]) -> Response:
    given: ConfirmTotp = request.body
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(
        who,
        route=ROUTE,
        act=Act(kind="add-totp", fields=[given.enrolment]),
        approval=given.approval,
        now_s=now_s,
    )
    confirmed = totp_enrolment.confirm(
        given.enrolment, given.code, principal=principal, now_s=now_s
    )
    return Response(200, confirmed)
