"""POST /oauth/revoke: end the session of a refresh token (RFC 7009)."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.identity import revocation
from portcullis.identity.oauth import RevocationRequest


@endpoint(body=RevocationRequest, form=True, oauth=True)
def handler(request: Request[Any]) -> Response:
    revocation.revoke(request.body.demand_token(), now_s=clock.now_s())
    return Response(200)
