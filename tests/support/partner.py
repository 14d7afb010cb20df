"""The sandbox partner: it holds a role and a signing key of its own, and pays money in."""

from dataclasses import dataclass
from functools import cached_property
from typing import Unpack

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support import commands, jws
from tests.support.http import Reply
from tests.support.iam import Role
from tests.support.stack import Stack


class Overrides(commands.Overrides, total=False):
    """What to change about a command, to build what the ledger must refuse.

    Attributes:
        command: A whole command instead, such as one already sent.
        role: Another role to send it with.
    """

    command: str
    role: Role


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
        return commands.signed(
            order,
            kind="deposit",
            issuer=f"partner:{self.name}",
            key=self.key,
            origin=self.stack.internal_origin,
            path=path,
            overrides=overrides,
        )
