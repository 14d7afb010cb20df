"""POST /sessions/password: the first half of a sign-in with a password."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import logins, password_sign_in, passwords, tickets
from portcullis.schema import Strict


class PasswordSignIn(Strict):
    """A login name and its password."""

    login: logins.Typed
    password: passwords.Typed


@endpoint(body=PasswordSignIn)
def handler(request: Request[Any]) -> Response:
    pending = password_sign_in.begin(
        request.body.login,
        request.body.password,
        proof=proof_of(request),
        source=request.source,
        now_s=clock.now_s(),
    )
    return Response(
        200,
        {
            "ticket": pending.ticket,
            "expires_in": tickets.LIFETIME_S,
            "second_factors": list(pending.second_factors),
            "set_password_again": pending.is_stale,
        },
    )
