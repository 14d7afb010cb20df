"""The sandbox partner: it holds a role and a signing key of its own, and pays money in."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict, Unpack

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support import jws
from tests.support.http import Reply
from tests.support.iam import Role
from tests.support.stack import Stack

COMMAND_LIFETIME_S = 30
"""The longest `exp - iat` that the ledger accepts."""


class Overrides(TypedDict, total=False):
    """What to change about a command, to build what the ledger must refuse.

    Attributes:
        kind: Another kind of posting.
        header: JWS header members to replace, or to drop with `jws.ABSENT`.
        claims: Claims to replace, or to drop with `jws.ABSENT`.
        signed_by: Another signing key.
        command: A whole command instead, such as one already sent.
        role: Another role to send it with.
        now: Seconds since the epoch for `iat`.
    """

    kind: str
    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed_by: EllipticCurvePrivateKey
    command: str
    role: Role
    now: float


@dataclass(frozen=True)
class Partner:
    """A registered partner of the stack."""

    stack: Stack
    name: str = "sandbox"

    @cached_property
    def key(self) -> EllipticCurvePrivateKey:
        """The partner's signing key, from its PEM file."""
        key = load_pem_private_key(self.stack.partner_key.read_bytes(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise TypeError("the partner's key is not an elliptic-curve key")
        return key

    @cached_property
    def role(self) -> Role:
        """The partner's own IAM role."""
        return Role(self.stack, f"{self.stack.name}-partner-{self.name}")

    def deposit(
        self,
        account: str | None,
        amount: str,
        currency: str,
        reference: str,
        **overrides: Unpack[Overrides],
    ) -> Reply:
        """Pay `amount` into the account's wallet; `reference` makes it idempotent."""
        order = jws.compact_json(
            {
                "account": account,
                "amount": {"amount": amount, "currency": currency},
                "reference": reference,
            }
        )
        return self.send("/deposits", order, **overrides)

    def send(self, path: str, order: bytes, **overrides: Unpack[Overrides]) -> Reply:
        """Sign a command that carries `order`, a deposit by default, and POST it to `path`."""
        command = overrides.get("command") or self.command(path, order, **overrides)
        return overrides.get("role", self.role).call(
            "POST",
            path,
            body=jws.compact_json({"command": command}),
            headers={"Content-Type": "application/json"},
        )

    def command(self, path: str, order: bytes, **overrides: Unpack[Overrides]) -> str:
        """Return the signed command (a JWS) without sending it."""
        key = overrides.get("signed_by", self.key)
        origin = self.stack.internal_origin
        issued_at = int(overrides.get("now", time.time()))
        header: dict[str, object] = {
            "typ": "portcullis-command+jwt",
            "alg": "ES256",
            "kid": jws.thumbprint(jws.public_jwk(key)),
        }
        claims: dict[str, object] = {
            "iss": f"partner:{self.name}",
            "aud": origin,
            "htm": "POST",
            "htu": origin + path,
            "iat": issued_at,
            "exp": issued_at + COMMAND_LIFETIME_S,
            "jti": uuid.uuid4().hex,
            "kind": overrides.get("kind", "deposit"),
            "body": jws.b64url(order),
        }
        return jws.sign(
            header | dict(overrides.get("header", {})),
            claims | dict(overrides.get("claims", {})),
            key,
        )
