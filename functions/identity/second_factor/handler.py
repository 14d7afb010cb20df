"""POST /sessions/second-factor: finish a sign-in with a password."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import second_factor
from portcullis.identity.second_factor import Answer


@endpoint(body=Answer)
def handler(request: Request[Any]) -> Response:
    tokens = second_factor.finish(
        request.body, proof=proof_of(request), source=request.source, now_s=clock.now_s()
    )
    return Response(200, tokens.to_json())
