"""Compact JWS with ES256 and nothing else (RFC 7515, RFC 7518 section 3.4, RFC 8725).

One algorithm is not a gap: with no choice there is no confusion of algorithms. Each kind of
token has its own ``typ``, so that none can stand in for another (RFC 8725 section 3.11).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from portcullis import strict_json
from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError

ALGORITHM = "ES256"
SIGNATURE_BYTES = 64
PARTS = 3
_SHA256 = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Jws:
    """A parsed and *not yet verified* JWS."""

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes


def signing_input(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return what is to be signed for *claims* under *header*."""
    return ".".join(
        b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
    )


def assemble(signed: str, signature: bytes) -> str:
    """Return the compact JWS of a signing input and its 64-byte signature."""
    return f"{signed}.{b64url(signature)}"


def parse(compact: str, *, expected_typ: str, chars_max: int) -> Jws:
    """Return the parts of a compact JWS, its header checked.

    Raises:
        EvidenceError: it is too long, not three canonical parts, of another type or algorithm,
            or demands an extension (``crit``).
    """
    if len(compact) > chars_max:
        raise EvidenceError("JWS is too long")
    parts = compact.split(".")
    if len(parts) != PARTS:
        raise EvidenceError("JWS has not three parts")
    try:
        header = strict_json.parse(unb64url(parts[0]))
    except strict_json.JsonError:
        raise EvidenceError("JWS header is not JSON") from None
    if not isinstance(header, dict):
        raise EvidenceError("JWS header is not an object")
    if header.get("typ") != expected_typ:
        raise EvidenceError("JWS is of another type")
    if header.get("alg") != ALGORITHM:
        raise EvidenceError("JWS algorithm")
    if "crit" in header:
        raise EvidenceError("JWS demands an extension")
    signature = unb64url(parts[2])
    if len(signature) != SIGNATURE_BYTES:
        raise EvidenceError("JWS signature length")
    return Jws(
        header=header,
        payload=unb64url(parts[1]),
        signing_input=f"{parts[0]}.{parts[1]}".encode(),
        signature=signature,
    )


def verify(jws: Jws, *, key: ec.EllipticCurvePublicKey) -> Literal[True]:
    """Return True if *key* made the signature.

    Raises:
        EvidenceError: it did not.
    """
    half = SIGNATURE_BYTES // 2
    r, s = (int.from_bytes(part) for part in (jws.signature[:half], jws.signature[half:]))
    try:
        key.verify(encode_dss_signature(r, s), jws.signing_input, _SHA256)
    except InvalidSignature:
        raise EvidenceError("JWS signature") from None
    return True
