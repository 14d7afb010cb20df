"""Access tokens: RFC 9068 JWTs, bound to the client's key (RFC 9449 section 6)."""

from pydantic import Field

from portcullis.evidence import claims, jws
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import TrustedKeys
from portcullis.schema import Strict

TYP = "at+jwt"
CLIENT_ID = "portcullis"
CHARS_MAX = 2048
LIFETIME_S = 900
ISSUED_AHEAD_S_MAX = 10
"""FAPI 2.0, 5.3.2.1-13: accept up to 10 s in the future."""


class Confirmation(Strict):
    """RFC 7800: the key that the bearer must prove to hold."""

    jkt: str


class AccessToken(Strict):
    """The claims of an access token. ``epoch`` and ``gen`` tie it to standing and family."""

    iss: str
    aud: str
    sub: str
    client_id: str
    iat: int
    exp: int
    jti: str
    cnf: Confirmation
    sid: str
    epoch: int = Field(ge=1)
    gen: int = Field(ge=1)
    acr: str
    amr: list[str]
    auth_time: int


def verify(compact: str, *, keys: TrustedKeys, expected_issuer: str, now_s: int) -> AccessToken:
    """Return the claims of an access token that one of *keys* signed for *expected_issuer*.

    Raises:
        EvidenceError: it is malformed, forged, expired, not yet issued, or of another issuer,
            audience or client.
    """
    parsed = jws.parse(compact, expected_typ=TYP, chars_max=CHARS_MAX)
    jws.verify(parsed, key=keys.named(parsed.header.get("kid")).key)
    token = claims.read(parsed.payload, AccessToken)
    if token.iss != expected_issuer or token.aud != expected_issuer:
        raise EvidenceError("token issuer or audience")
    if token.client_id != CLIENT_ID:
        raise EvidenceError("token client")
    if token.iat > now_s + ISSUED_AHEAD_S_MAX:
        raise EvidenceError("token is from the future")
    if not token.iat < token.exp <= token.iat + LIFETIME_S:
        raise EvidenceError("token lifetime")
    if now_s >= token.exp:
        raise EvidenceError("token expired")
    return token
