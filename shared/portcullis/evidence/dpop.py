"""DPoP proofs: RFC 9449, with the order of a money route signed in two further claims.

``bd`` is base64url(SHA-256(raw body)) and ``idk`` the idempotency key: RFC 9449 permits further
claims, and without them a proof says that the user was here, not what the user ordered.
"""

import hashlib
import hmac
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from portcullis.evidence import claims, jws
from portcullis.evidence.encoding import b64url
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey

TYP = "dpop+jwt"
CHARS_MAX = 4096
AGE_S_MAX = 60
AHEAD_S_MAX = 10
REMEMBERED_S = AGE_S_MAX + AHEAD_S_MAX + 60
"""How long a used proof is remembered: its whole window, and a minute for clocks that differ."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    jti: str = Field(min_length=1, max_length=128)
    htm: str
    htu: str
    iat: int
    ath: str | None = None
    nonce: str | None = None
    bd: str | None = None
    idk: str | None = None


class Proof(BaseModel):
    """A verified proof: its key's thumbprint, and what it says."""

    model_config = ConfigDict(strict=True, frozen=True)

    jkt: str
    jti: str
    issued_at_s: int
    nonce: str | None
    body_digest: str | None
    idempotency_key: str | None

    @property
    def single_use_id(self) -> str:
        """What must be used once: (jkt, jti), so that nobody can burn another's proof."""
        return b64url(hashlib.sha256(f"{self.jkt}.{self.jti}".encode()).digest())


def verify(
    compact: str,
    *,
    expected_method: str,
    expected_url: str,
    access_token: str | None,
    now_s: int,
) -> Proof:
    """Return the proof if it is for this request and, where there is one, this access token.

    Args:
        compact: the one value of the DPoP header.
        expected_method: the request's method.
        expected_url: the configured public origin and the raw path: never the Host header.
        access_token: the token presented with the request, or None where there is none.
        now_s: the time, in Unix seconds.

    Raises:
        EvidenceError: one of the checks of RFC 9449 section 4.3 fails. That the key is the
            token's (check 12) is for the caller, who knows the token's claims; that the nonce is
            the server's (check 10) is for who gives nonces out.
    """
    parsed = jws.parse(compact, expected_typ=TYP, chars_max=CHARS_MAX)
    key = PublicKey.from_jwk(parsed.header.get("jwk"))
    jws.verify(parsed, key=key.key)
    proof = claims.read(parsed.payload, _Claims)
    if proof.htm != expected_method:
        raise EvidenceError("proof method")
    if _normal(proof.htu) != _normal(expected_url):
        raise EvidenceError("proof URL")
    if not now_s - AGE_S_MAX <= proof.iat <= now_s + AHEAD_S_MAX:
        raise EvidenceError("proof time")
    if access_token is not None and not _is_digest(proof.ath, access_token.encode()):
        raise EvidenceError("proof is for another token")
    return Proof(
        jkt=key.thumbprint,
        jti=proof.jti,
        issued_at_s=proof.iat,
        nonce=proof.nonce,
        body_digest=proof.bd,
        idempotency_key=proof.idk,
    )


def verify_order(proof: Proof, *, body: bytes, idempotency_key: str) -> Literal[True]:
    """Return True if *proof* signs exactly this body under exactly this idempotency key.

    Raises:
        EvidenceError: it does not.
    """
    if not _is_digest(proof.body_digest, body):
        raise EvidenceError("proof signs another body")
    if proof.idempotency_key != idempotency_key:
        raise EvidenceError("proof signs another idempotency key")
    return True


def _is_digest(claimed: str | None, of: bytes) -> bool:
    digest = b64url(hashlib.sha256(of).digest())
    return claimed is not None and hmac.compare_digest(claimed.encode(), digest.encode())


def _normal(url: str) -> tuple[str, str, int | None, str]:
    """RFC 3986 section 6.2.2-3, without query and fragment (RFC 9449 section 4.3, check 9)."""
    # None of our paths needs an escape: an escaped spelling is a second name for a route. And
    # urlsplit drops white space and controls, which no URL has.
    if "%" in url or any(char <= " " or char == "\x7f" for char in url):
        raise EvidenceError("proof URL has an escape or a control")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise EvidenceError("proof URL is not a URL") from None
    if "@" in parts.netloc:
        raise EvidenceError("proof URL names a user")
    default = _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname or "", default if port is None else port, parts.path or "/"
