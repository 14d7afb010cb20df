"""Operators of the stack: persons with a key each, who come through one role together."""

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra import operate
from tests.support import commands, jws
from tests.support.commands import Overrides
from tests.support.http import Reply
from tests.support.iam import ROOT, Role, aws
from tests.support.stack import REGION, Stack

LOCKDOWN, LIFT = "/lockdown", "/lockdown/lift"


@dataclass(frozen=True)
class Operator:
    """Somebody who operates the platform, and the signing key that nobody else has."""

    name: str
    key: EllipticCurvePrivateKey = field(default_factory=jws.new_key, repr=False)

    def command(self, origin: str, path: str, order: bytes, **overrides: Unpack[Overrides]) -> str:
        """Return the signed command (a JWS) that carries `order` to `path` of the internal API."""
        return commands.signed(
            order,
            kind="release-account",
            issuer=f"operator:{self.name}",
            key=self.key,
            origin=origin,
            path=path,
            overrides=overrides,
        )

    def release(self, origin: str, account: str, **overrides: Unpack[Overrides]) -> str:
        """Return the signed command to release an account."""
        return self.command(origin, release_path(account), release_order(account), **overrides)

    def lift_quarantine(self, origin: str, account: str, **overrides: Unpack[Overrides]) -> str:
        """Return the signed command to lift an account's quarantine."""
        honest: Overrides = {"kind": "lift-quarantine"}
        return self.command(
            origin, lift_path(account), release_order(account), **(honest | overrides)
        )

    def lock_down(
        self, origin: str, *, reason: str = "drill", **overrides: Unpack[Overrides]
    ) -> str:
        """Return the signed command to freeze outgoing money."""
        honest: Overrides = {"kind": "lock-down"}
        order = jws.compact_json({"reason": reason})
        return self.command(origin, LOCKDOWN, order, **(honest | overrides))

    def lift_lockdown(self, origin: str, *, since: str, **overrides: Unpack[Overrides]) -> str:
        """Return the signed command to end the lockdown that began at *since* (RFC 3339)."""
        honest: Overrides = {"kind": "lift-lockdown"}
        order = jws.compact_json({"since": since})
        return self.command(origin, LIFT, order, **(honest | overrides))


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
        return self._order(release_path(account), {"commands": signed}, role)

    def lift_quarantine(self, account: str, *by: Operator, role: Role | None = None) -> Reply:
        """Have operators lift an account's quarantine together."""
        signed = [one.lift_quarantine(self.stack.internal_origin, account) for one in by]
        return self._order(lift_path(account), {"commands": signed}, role)

    def lock_down(self, by: Operator, *, reason: str = "drill", role: Role | None = None) -> Reply:
        """Have an operator freeze outgoing money for everybody."""
        signed = by.lock_down(self.stack.internal_origin, reason=reason)
        return self._order(LOCKDOWN, {"command": signed}, role)

    def lift_lockdown(self, *by: Operator, since: str, role: Role | None = None) -> Reply:
        """Have operators end the lockdown that began at *since* together."""
        signed = [one.lift_lockdown(self.stack.internal_origin, since=since) for one in by]
        return self._order(LIFT, {"commands": signed}, role)

    def typed(self, act: str, *options: str, by: Operator, now_s: int) -> str:
        """Return what `make operate` prints to an operator who types an act with its options."""
        held = self.role.credentials
        variables = {
            "AWS_ACCESS_KEY_ID": held.access_key,
            "AWS_SECRET_ACCESS_KEY": held.secret_key,
            "AWS_SESSION_TOKEN": held.token,
        }
        with (
            TemporaryDirectory() as folder,
            patch.dict(os.environ, variables),
            redirect_stdout(StringIO()) as printed,
        ):
            key = Path(folder, "key.pem")
            key.write_bytes(by.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            who = ["--operator", by.name, "--key", str(key)]
            where = ["--origin", self.stack.internal_origin, "--region", REGION]
            operate.operate([act, *options, *who, *where], now_s=now_s)
        return printed.getvalue().strip()

    def _order(self, path: str, envelope: Mapping[str, object], role: Role | None) -> Reply:
        return (role or self.role).call(
            "POST",
            path,
            body=jws.compact_json(envelope),
            headers={"Content-Type": "application/json"},
        )


def release_path(account: str) -> str:
    """Return the internal route on which an account is released."""
    return f"/accounts/{account}/release"


def lift_path(account: str) -> str:
    """Return the internal route on which an account's quarantine is lifted."""
    return f"/accounts/{account}/lift"


def release_order(account: str) -> bytes:
    """Return the order that two operators sign alike."""
    return jws.compact_json({"account": account})
