"""POST /accounts/options: the options of the ceremony that opens an account."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import accounts
from portcullis.schema import Strict


class Nothing(Strict):
    """An empty object."""


@endpoint(body=Nothing)
def handler(request: Request[Any]) -> Response:
    options = accounts.options(proof=proof_of(request), source=request.source, now_s=clock.now_s())
    return Response(200, {"publicKey": options})
