"""PUT /password: set or change the password and its login name."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.evidence.approvals import Act
from portcullis.identity import changes, logins, password_setting, passwords
from portcullis.schema import Strict

ROUTE = ("PUT", "/password")


class PutPassword(Strict):
    """The login name, the new password, and a passkey's approval."""

    login: logins.Typed
    password: passwords.Typed
    approval: str | None = None


@endpoint(body=PutPassword)
def handler(request: Request[Any]) -> Response:
    given: PutPassword = request.body
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(
        who,
        route=ROUTE,
        act=Act(kind="set-password", fields=[]),
        approval=given.approval,
        now_s=now_s,
    )
    put = password_setting.put(given.login, given.password, principal=principal, now_s=now_s)
    return Response(200, put)
