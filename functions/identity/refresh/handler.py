"""POST /oauth/token: rotate a refresh token (RFC 6749 section 6, RFC 9449 section 5)."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import proof_of
from portcullis.identity import nonces, refresh
from portcullis.identity.oauth import TokenRequest


@endpoint(body=TokenRequest, form=True, oauth=True, nonce=nonces.fresh)
def handler(request: Request[Any]) -> Response:
    presented = request.body.demand_refresh()
    tokens = refresh.refresh(
        presented, proof=proof_of(request), source=request.source, now_s=clock.now_s()
    )
    return Response(200, tokens.to_json())
