"""POST /accounts: open an account with its first passkey."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import accounts
from portcullis.identity.passkeys import Registration
from portcullis.schema import Strict


class OpenAccount(Strict):
    """The authenticator's answer to the options."""

    credential: Registration


@endpoint(body=OpenAccount)
def handler(request: Request[Any]) -> Response:
    account = accounts.open_account(
        request.body.credential,
        proof=proof_of(request),
        compact_proof=request.header("dpop") or "",
        source=request.source,
        now_s=clock.now_s(),
    )
    return Response(201, {"account": account})
