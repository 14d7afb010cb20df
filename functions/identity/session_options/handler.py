"""POST /sessions/options: the options of a sign-in ceremony."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import sign_in
from portcullis.schema import Strict


class Nothing(Strict):
    """An empty object."""


@endpoint(body=Nothing)
def handler(request: Request[Any]) -> Response:
    options = sign_in.options(proof=proof_of(request), source=request.source, now_s=clock.now_s())
    return Response(200, {"publicKey": options})
