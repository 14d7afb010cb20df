"""POST /recovery: enrol a provisional passkey with a recovery code."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import recovery, recovery_codes
from portcullis.identity.passkeys import Registration
from portcullis.schema import Strict


class Recover(Strict):
    """The recovery code, and the new authenticator's answer to the options."""

    code: recovery_codes.Typed
    credential: Registration


@endpoint(body=Recover)
def handler(request: Request[Any]) -> Response:
    account, frozen_until = recovery.recover(
        request.body.code,
        request.body.credential,
        proof=proof_of(request),
        compact_proof=request.header("dpop") or "",
        source=request.source,
        now_s=clock.now_s(),
    )
    return Response(200, {"account": account, "frozen_until": clock.rfc3339(frozen_until)})
