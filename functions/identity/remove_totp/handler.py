"""DELETE /totp: remove TOTP."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.evidence.approvals import Act
from portcullis.identity import changes, totp_enrolment
from portcullis.vocabulary import APPROVAL_HEADER

ROUTE = ("DELETE", "/totp")


@endpoint()
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(
        who,
        route=ROUTE,
        act=Act(kind="remove-totp", fields=[]),
        approval=request.header(APPROVAL_HEADER),
        now_s=now_s,
    )
    totp_enrolment.remove(principal, now_s=now_s)
    return Response(204)
