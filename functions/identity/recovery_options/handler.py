"""POST /recovery/options: the options of the ceremony that a recovery code opens."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import recovery, recovery_codes
from portcullis.schema import Strict


class RecoveryOptions(Strict):
    """A recovery code, as it was written down."""

    code: recovery_codes.Typed


@endpoint(body=RecoveryOptions)
def handler(request: Request[Any]) -> Response:
    options = recovery.options(
        request.body.code, proof=proof_of(request), source=request.source, now_s=clock.now_s()
    )
    return Response(200, {"publicKey": options})
