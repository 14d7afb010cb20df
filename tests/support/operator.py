"""Operators of the stack: persons with a key each, who come through one role together."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from tests.support import jws
from tests.support.http import Reply
from tests.support.iam import ROOT, Role, aws
from tests.support.stack import Stack

COMMAND_LIFETIME_S = 30
"""The longest `exp - iat` that is accepted."""


class Overrides(TypedDict, total=False):
    """What to change about a command, to build what must be refused.

    Attributes:
        kind: Another kind of act.
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


@dataclass(frozen=True)
class Operator:
    """Somebody who operates the platform, and the signing key that nobody else has."""

    name: str
    key: EllipticCurvePrivateKey = field(default_factory=jws.new_key, repr=False)

    def command(self, origin: str, path: str, order: bytes, **overrides: Unpack[Overrides]) -> str:
        """Return the signed command (a JWS) that carries `order` to `path` of the internal API."""
        key = overrides.get("signed_by", self.key)
        issued_at = int(overrides.get("now", time.time()))
        header: dict[str, object] = {
            "typ": "portcullis-command+jwt",
            "alg": "ES256",
            "kid": jws.thumbprint(jws.public_jwk(key)),
        }
        claims: dict[str, object] = {
            "iss": f"operator:{self.name}",
            "aud": origin,
            "htm": "POST",
            "htu": origin + path,
            "iat": issued_at,
            "exp": issued_at + COMMAND_LIFETIME_S,
            "jti": uuid.uuid4().hex,
            "kind": overrides.get("kind", "release-account"),
            "body": jws.b64url(order),
        }
        return jws.sign(
            header | dict(overrides.get("header", {})),
            claims | dict(overrides.get("claims", {})),
            key,
        )

    def release(self, origin: str, account: str, **overrides: Unpack[Overrides]) -> str:
        """Return the signed command to release an account."""
        return self.command(origin, release_path(account), release_order(account), **overrides)


@dataclass(frozen=True)
class Office:
    """Where the operators of a running stack come from."""

    stack: Stack

    def registered(self, name: str | None = None) -> Operator:
        """Return a new operator, whom the stack knows from now on."""
        operator = Operator(name or f"op-{uuid.uuid4().hex[:12]}")
        registration = {"operator": operator.name, "key": jws.public_jwk(operator.key)}
        answer = aws(
            self.stack.endpoint,
            ROOT,
            "lambda",
            "invoke",
            FunctionName=f"{self.stack.name}-operations-register-operator",
            Qualifier="live",
            Payload=json.dumps(registration),
        )
        assert json.load(answer["Payload"])["operator"] == operator.name
        return operator

    @property
    def role(self) -> Role:
        """The IAM role that all operators come through."""
        return Role(self.stack, f"{self.stack.name}-operator")

    def release(self, account: str, *by: Operator, role: Role | None = None) -> Reply:
        """Have operators release an account together."""
        signed = [one.release(self.stack.internal_origin, account) for one in by]
        return (role or self.role).call(
            "POST",
            release_path(account),
            body=jws.compact_json({"commands": signed}),
            headers={"Content-Type": "application/json"},
        )


def release_path(account: str) -> str:
    """Return the internal route on which an account is released."""
    return f"/accounts/{account}/release"


def release_order(account: str) -> bytes:
    """Return the order that two operators sign alike."""
    return jws.compact_json({"account": account})
