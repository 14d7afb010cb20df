"""DPoP proofs (RFC 9449) as an honest client makes them, and as an attacker would."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from tests.support import jws


def digest(data: bytes) -> str:
    """Return base64url(SHA-256(data)): the form of `ath` (RFC 9449 section 4.2) and of `bd`."""
    return jws.b64url(sha256(data).digest())


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """What is wrong with a proof beyond its claims. The default forges nothing.

    Attributes:
        header: Members to replace, or to drop with `jws.ABSENT` (`typ`, `alg`, `jwk`).
        private_jwk: Whether the header gives the private key away.
        signed_by: Another key that signs under this key's `jwk`.
        unsigned: Whether the signature is left empty, as for `alg: none`.
        after_signing: Claims changed once the signature is made.
    """

    header: Mapping[str, object] = field(default_factory=dict)
    private_jwk: bool = False
    signed_by: EllipticCurvePrivateKey | None = None
    unsigned: bool = False
    after_signing: Mapping[str, object] = field(default_factory=dict)


HONEST = Forgery()


@dataclass(frozen=True)
class ProofKey:
    """The P-256 key that a session's tokens are bound to; it lives in memory only."""

    private: EllipticCurvePrivateKey = field(default_factory=jws.new_key, repr=False)

    @cached_property
    def jkt(self) -> str:
        """The RFC 7638 thumbprint that a token's `cnf.jkt` names."""
        return jws.thumbprint(jws.public_jwk(self.private))

    def proof(
        self,
        method: str,
        url: str,
        *,
        access_token: str | None = None,
        body: bytes | None = None,
        idempotency_key: str | None = None,
        nonce: str | None = None,
        now: float | None = None,
        jti: str | None = None,
        forgery: Forgery = HONEST,
        **overrides: object,
    ) -> str:
        """Return a proof for one request.

        Args:
            method: The request's method (`htm`).
            url: The request's URL without query and fragment (`htu`).
            access_token: The token presented beside the proof, bound by `ath`.
            body: The raw body of an order, bound by `bd`.
            idempotency_key: The key of an order, bound by `idk`.
            nonce: The nonce that the server gave (RFC 9449 section 8).
            now: Seconds since the epoch for `iat`; the machine's clock if None.
            jti: The proof's id; a fresh one if None.
            forgery: What is wrong with the proof, for tests of refusals.
            **overrides: Claims to replace or add, or to drop with `jws.ABSENT`.
        """
        claims: dict[str, object] = {
            "jti": jti or uuid.uuid4().hex,
            "htm": method,
            "htu": url,
            "iat": int(time.time() if now is None else now),
            "ath": jws.ABSENT if access_token is None else digest(access_token.encode()),
            "bd": jws.ABSENT if body is None else digest(body),
            "idk": jws.ABSENT if idempotency_key is None else idempotency_key,
            "nonce": jws.ABSENT if nonce is None else nonce,
        }
        jwk = (jws.private_jwk if forgery.private_jwk else jws.public_jwk)(self.private)
        header: dict[str, object] = {"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}
        proof = jws.sign(
            {**header, **forgery.header}, claims | overrides, forgery.signed_by or self.private
        )
        if forgery.after_signing:
            proof = jws.altered(proof, **forgery.after_signing)
        return proof.rpartition(".")[0] + "." if forgery.unsigned else proof
