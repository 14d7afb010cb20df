"""Keys of passkeys, as JWKs, and the signatures that they make.

The type of the key alone decides the algorithm: ES256 for P-256, EdDSA for Ed25519, RS256 for
RSA. Nothing that is signed, or sent, can choose another.
"""

from collections.abc import Mapping
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from portcullis.evidence.encoding import unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey

ED25519_BYTES = 32
RSA_BITS_MIN, RSA_BITS_MAX = 2048, 4096
"""RFC 7518 section 3.3 asks for 2048; beyond 4096 a signature is a burden to verify."""
RSA_EXPONENT = 65_537

_MEMBERS = {
    "EC": {"kty", "crv", "x", "y"},
    "OKP": {"kty", "crv", "x"},
    "RSA": {"kty", "n", "e"},
}

type PasskeyKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey


def from_jwk(jwk: Mapping[str, str]) -> PasskeyKey:
    """Return the key of a passkey.

    Raises:
        EvidenceError: it is of another type or curve, not a key of its type, too weak or too
            long, or has a member that such a key does not need (a private one, an algorithm).
    """
    kty = jwk.get("kty", "")
    if set(jwk) != _MEMBERS.get(kty):
        raise EvidenceError("passkey key members")
    if kty == "EC":
        return PublicKey.from_jwk(jwk).key
    return _ed25519(jwk) if kty == "OKP" else _rsa(jwk)


def verify(signature: bytes, *, signed: bytes, jwk: Mapping[str, str]) -> Literal[True]:
    """Return True if the passkey of *jwk* signed *signed* (WebAuthn Level 3, section 6.5.5).

    Raises:
        EvidenceError: it did not, or the key is not a passkey's.
    """
    key = from_jwk(jwk)
    try:
        match key:
            case EllipticCurvePublicKey():
                key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
            case Ed25519PublicKey():
                key.verify(signature, signed)
            case RSAPublicKey():
                key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise EvidenceError("passkey signature") from None
    return True


def _ed25519(jwk: Mapping[str, str]) -> Ed25519PublicKey:
    raw = unb64url(jwk["x"])
    if jwk["crv"] != "Ed25519" or len(raw) != ED25519_BYTES:
        raise EvidenceError("passkey key is not of Ed25519")
    return Ed25519PublicKey.from_public_bytes(raw)


def _rsa(jwk: Mapping[str, str]) -> RSAPublicKey:
    n, e = unb64url(jwk["n"]), unb64url(jwk["e"])
    if n.startswith(b"\0") or e.startswith(b"\0"):  # RFC 7518 section 6.3.1.1: one spelling
        raise EvidenceError("passkey key has leading zeros")
    modulus, exponent = int.from_bytes(n), int.from_bytes(e)
    if not RSA_BITS_MIN <= modulus.bit_length() <= RSA_BITS_MAX or exponent != RSA_EXPONENT:
        raise EvidenceError("passkey key is too weak or too long")
    return RSAPublicNumbers(exponent, modulus).public_key()
