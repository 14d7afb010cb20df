"""P-256 public keys: as JWK, and named by their RFC 7638 thumbprint."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError

COORDINATE_BYTES = 32


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A P-256 public key and its name."""

    thumbprint: str
    key: ec.EllipticCurvePublicKey

    @classmethod
    def of(cls, key: ec.EllipticCurvePublicKey) -> "PublicKey":
        """Return *key* with its thumbprint."""
        return cls(thumbprint=_thumbprint(_members(key)), key=key)

    @classmethod
    def from_jwk(cls, jwk: object) -> "PublicKey":
        """Return the key of a public P-256 JWK.

        Raises:
            EvidenceError: it is of another kind, not on the curve, or holds a private member
                (RFC 9449 section 4.3, check 7).
        """
        if not isinstance(jwk, Mapping) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
            raise EvidenceError("JWK is not a P-256 key")
        if "d" in jwk:
            raise EvidenceError("JWK holds a private key")
        x, y = jwk.get("x"), jwk.get("y")
        if not isinstance(x, str) or not isinstance(y, str):
            raise EvidenceError("JWK has no point")
        raw = unb64url(x), unb64url(y)
        if any(len(coordinate) != COORDINATE_BYTES for coordinate in raw):
            raise EvidenceError("JWK coordinate length")
        try:
            numbers = ec.EllipticCurvePublicNumbers(
                int.from_bytes(raw[0]), int.from_bytes(raw[1]), ec.SECP256R1()
            )
            key = numbers.public_key()
        except ValueError:
            raise EvidenceError("JWK is not a point of the curve") from None
        return cls.of(key)

    def to_jwk(self) -> dict[str, str]:
        """Return the public JWK."""
        return _members(self.key)


def _members(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "crv": "P-256",
        "kty": "EC",
        "x": b64url(numbers.x.to_bytes(COORDINATE_BYTES)),
        "y": b64url(numbers.y.to_bytes(COORDINATE_BYTES)),
    }


def _thumbprint(members: Mapping[str, Any]) -> str:
    # RFC 7638 section 3: required members in lexicographic order, no white space.
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return b64url(hashlib.sha256(canonical.encode()).digest())


class TrustedKeys:
    """The keys that one kind of evidence may be signed with, by ``kid``."""

    def __init__(self, *keys: PublicKey) -> None:
        self._keys = {key.thumbprint: key for key in keys}

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self._keys.values())

    def named(self, kid: object) -> PublicKey:
        """Return the trusted key called *kid*.

        Raises:
            EvidenceError: no trusted key has that name.
        """
        if not isinstance(kid, str) or kid not in self._keys:
            raise EvidenceError("unknown kid")
        return self._keys[kid]
