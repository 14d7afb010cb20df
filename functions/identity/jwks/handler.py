"""GET /.well-known/jwks.json: the public keys of access tokens (RFC 7517)."""

from typing import Any

from portcullis.aws import kms
from portcullis.edge import Request, Response, endpoint
from portcullis.settings import settings_list

CACHED_S = 300


@endpoint()
def handler(_: Request[Any]) -> Response:
    keys = [
        {**key.to_jwk(), "kid": key.thumbprint, "alg": "ES256", "use": "sig"}
        for key in kms.trusted_keys(*settings_list("ACCESS_TOKEN_KEYS"))
    ]
    return Response(200, {"keys": keys}, {"Cache-Control": f"public, max-age={CACHED_S}"})
