"""Signed commands to the internal API, and what can be wrong with one."""

import time
import uuid
from collections.abc import Mapping
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from tests.support import jws

LIFETIME_S = 30
"""The longest `exp - iat` that is accepted."""


class Overrides(TypedDict, total=False):
    """What to change about a command, to build what must be refused.

    Attributes:
        kind: Another kind of command.
        header: JWS header members to replace, or to drop with `jws.ABSENT`.
        claims: Claims to replace, or to drop with `jws.ABSENT`.
        signed_by: Another signing key.
        now: Seconds since the epoch for `iat`.
    """

    kind: str
    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed_by: EllipticCurvePrivateKey
    now: float


def signed(
    order: bytes,
    *,
    kind: str,
    issuer: str,
    key: EllipticCurvePrivateKey,
    origin: str,
    path: str,
    overrides: Overrides,
) -> str:
    """Return the signed command (a JWS) that carries `order` to `path` of the internal API."""
    signer = overrides.get("signed_by", key)
    issued_at = int(overrides.get("now", time.time()))
    header: dict[str, object] = {
        "typ": "portcullis-command+jwt",
        "alg": "ES256",
        "kid": jws.thumbprint(jws.public_jwk(signer)),
    }
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": origin,
        "htm": "POST",
        "htu": origin + path,
        "iat": issued_at,
        "exp": issued_at + LIFETIME_S,
        "jti": uuid.uuid4().hex,
        "kind": overrides.get("kind", kind),
        "body": jws.b64url(order),
    }
    return jws.sign(
        header | dict(overrides.get("header", {})),
        claims | dict(overrides.get("claims", {})),
        signer,
    )
