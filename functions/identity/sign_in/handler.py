"""POST /sessions: sign in with a passkey."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import sign_in
from portcullis.identity.passkeys import Assertion
from portcullis.schema import Strict


class SignIn(Strict):
    """The authenticator's answer to the options."""

    credential: Assertion


@endpoint(body=SignIn)
def handler(request: Request[Any]) -> Response:
    tokens = sign_in.sign_in(
        request.body.credential,
        proof=proof_of(request),
        source=request.source,
        now_s=clock.now_s(),
    )
    return Response(200, tokens.to_json())
