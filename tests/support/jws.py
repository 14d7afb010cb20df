"""Compact JWS with ES256, from the RFCs: 7515 (JWS), 7517 and 7518 (keys), 7638 (thumbprint).

Independent of the product on purpose: two readings of one standard find each other's mistakes.
"""

import base64
import json
from collections.abc import Mapping
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

COORDINATE_BYTES = 32
"""RFC 7518 section 3.4: R and S are each as long as the P-256 field element."""


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"  # in the names of tests, which must be the same in every process


ABSENT = _Absent()
"""As a member's value: leave that member out, to build what a verifier must refuse."""


def new_key() -> EllipticCurvePrivateKey:
    """Return a fresh P-256 key that exists only in memory."""
    return generate_private_key(SECP256R1())


def b64url(data: bytes) -> str:
    """Encode as RFC 7515 section 2 asks: the URL-safe alphabet, no padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """Decode unpadded base64url.

    Raises:
        ValueError: The text is not canonical base64url.
    """
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def compact_json(members: Mapping[str, object]) -> bytes:
    """Serialize without spaces, leaving out every member that is `ABSENT`."""
    present = {name: value for name, value in members.items() if value is not ABSENT}
    return json.dumps(present, separators=(",", ":"), ensure_ascii=False).encode()


def public_jwk(key: EllipticCurvePrivateKey | EllipticCurvePublicKey) -> dict[str, str]:
    """Return the public JWK of a P-256 key (RFC 7518 section 6.2.1)."""
    public = key.public_key() if isinstance(key, EllipticCurvePrivateKey) else key
    numbers = public.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": b64url(numbers.x.to_bytes(COORDINATE_BYTES)),
        "y": b64url(numbers.y.to_bytes(COORDINATE_BYTES)),
    }


def private_jwk(key: EllipticCurvePrivateKey) -> dict[str, str]:
    """Return the JWK with its private member `d`: what no proof may ever carry."""
    secret = key.private_numbers().private_value.to_bytes(COORDINATE_BYTES)
    return public_jwk(key) | {"d": b64url(secret)}


def public_key(jwk: Mapping[str, str]) -> EllipticCurvePublicKey:
    """Return the key that a P-256 JWK describes.

    Raises:
        ValueError: The point is not on the curve.
    """
    x, y = (int.from_bytes(b64url_decode(jwk[name])) for name in ("x", "y"))
    return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint (RFC 7638): required members only, sorted, no spaces."""
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return b64url(sha256(compact_json(required)).digest())


def signature(signing_input: bytes, key: EllipticCurvePrivateKey) -> bytes:
    """Sign as R || S (RFC 7518 section 3.4), with high or low S as it comes."""
    r, s = decode_dss_signature(key.sign(signing_input, ECDSA(SHA256())))
    return r.to_bytes(COORDINATE_BYTES) + s.to_bytes(COORDINATE_BYTES)


def sign(
    header: Mapping[str, object], claims: Mapping[str, object], key: EllipticCurvePrivateKey
) -> str:
    """Return the compact JWS of `claims`."""
    signing_input = f"{b64url(compact_json(header))}.{b64url(compact_json(claims))}"
    return f"{signing_input}.{b64url(signature(signing_input.encode(), key))}"


def header_of(jws: str) -> dict[str, object]:
    """Return the protected header, unverified."""
    return _object(jws.split(".", maxsplit=1)[0])


def claims_of(jws: str) -> dict[str, object]:
    """Return the claims, unverified."""
    return _object(jws.split(".")[1])


def verify(jws: str, key: EllipticCurvePublicKey) -> dict[str, object]:
    """Return the claims of a JWS that `key` signed.

    Raises:
        cryptography.exceptions.InvalidSignature: `key` did not sign this.
    """
    signing_input, _, tail = jws.rpartition(".")
    raw = b64url_decode(tail)
    r, s = int.from_bytes(raw[:COORDINATE_BYTES]), int.from_bytes(raw[COORDINATE_BYTES:])
    key.verify(encode_dss_signature(r, s), signing_input.encode(), ECDSA(SHA256()))
    return claims_of(jws)


def altered(jws: str, **claims: object) -> str:
    """Return the JWS with claims changed (or `ABSENT`) *after* signing: the signature is stale."""
    header, payload, tail = jws.split(".")
    return ".".join((header, b64url(compact_json(_object(payload) | claims)), tail))


def _object(part: str) -> dict[str, object]:
    decoded = json.loads(b64url_decode(part))
    if not isinstance(decoded, dict):
        raise TypeError("a JWS part that is not a JSON object")
    return decoded
