"""What an operator types becomes a command that the product obeys, and nothing else is sent."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from pydantic import ValidationError

from infra import operate
from infra.operate import ACTS, OperateError, Operator
from portcullis.evidence import commands, orders
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.orders import OrderKind

ORIGIN = "https://internal.example.test"
NOW = 1_800_000_000
ALICE, BOB = (Operator(name, ec.generate_private_key(ec.SECP256R1())) for name in ("alice", "bob"))
TERMS: dict[OrderKind, dict[str, str]] = {
    "lock-down": {"reason": "intrusion"},
    "lift-lockdown": {},
    "lift-quarantine": {"account": "a" * 26},
    "release-account": {"account": "a" * 26},
}
PATHS: dict[OrderKind, str] = {
    "lock-down": "/lockdown",
    "lift-lockdown": "/lockdown/lift",
    "lift-quarantine": f"/accounts/{'a' * 26}/lift",
    "release-account": f"/accounts/{'a' * 26}/release",
}


@pytest.mark.parametrize("kind", ACTS)
def test_what_is_signed_is_what_the_product_verifies(kind: OrderKind) -> None:
    """Header, claims and order are those of the operator's route, at this moment."""
    command = operate.signed(kind, TERMS[kind], by=ALICE, origin=ORIGIN, now_s=NOW)
    verified = commands.verify(
        commands.parse(command),
        key=PublicKey.of(ALICE.key.public_key()),
        expected_issuer="operator:alice",
        expected_audience=ORIGIN,
        expected_path=PATHS[kind],
        now_s=NOW + 29,
    )
    assert verified.kind == kind
    assert orders.read(verified.order, ACTS[kind].model).model_dump() == TERMS[kind]


@pytest.mark.parametrize("kind", [kind for kind, act in ACTS.items() if act.operators == 2])
def test_two_operators_sign_the_same_bytes(kind: OrderKind) -> None:
    """Typed on two machines, the order is one."""
    bodies = {
        commands.parse(
            operate.signed(kind, TERMS[kind], by=who, origin=ORIGIN, now_s=NOW)
        ).payload.split(b'"body":"')[1]
        for who in (ALICE, BOB)
    }
    assert len(bodies) == 1


WRONG: list[tuple[OrderKind, Mapping[str, str]]] = [
    ("lock-down", {}),
    ("lock-down", {"reason": "because"}),
    ("lock-down", {"reason": "drill", "account": "a" * 26}),
    ("lift-lockdown", {"reason": "drill"}),
    ("release-account", {}),
    ("release-account", {"account": "../lockdown"}),
]


@pytest.mark.parametrize(("kind", "terms"), WRONG)
def test_terms_that_are_not_the_order_s_are_not_signed(
    kind: OrderKind, terms: Mapping[str, str]
) -> None:
    """A slip of the pen is noticed before anything is signed or sent."""
    with pytest.raises(ValidationError):
        operate.signed(kind, terms, by=ALICE, origin=ORIGIN, now_s=NOW)


def test_a_freeze_is_sent_alone_and_a_lift_with_both() -> None:
    """The request's shape is the route's."""
    frozen = operate.request("lock-down", {"reason": "drill"}, ["one"], origin=ORIGIN)
    lifted = operate.request("lift-lockdown", {}, ["one", "two"], origin=ORIGIN)
    assert (frozen.url, json.loads(frozen.data or b"")) == (
        ORIGIN + "/lockdown",
        {"command": "one"},
    )
    assert (lifted.url, json.loads(lifted.data or b"")) == (
        ORIGIN + "/lockdown/lift",
        {"commands": ["one", "two"]},
    )


def key_file(folder: Path, key: ec.EllipticCurvePrivateKey) -> str:
    """Write a private key where an operator has it."""
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(path)


def test_one_of_two_is_printed_and_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first operator's command goes to the second by hand."""
    key = key_file(tmp_path, ALICE.key)
    line = ["lift-lockdown", "--operator", "alice", "--key", key, "--origin", ORIGIN]
    assert operate.operate(line) == 0
    printed = capsys.readouterr().out.strip()
    assert commands.issuer(commands.parse(printed)) == "operator:alice"


def test_a_key_of_another_curve_signs_nothing(tmp_path: Path) -> None:
    """ES256 has one curve."""
    key = key_file(tmp_path, ec.generate_private_key(ec.SECP384R1()))
    line = ["lift-lockdown", "--operator", "alice", "--key", key, "--origin", ORIGIN]
    with pytest.raises(OperateError, match="P-256"):
        operate.operate(line)


def test_an_answer_that_does_not_come_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes silence for a freeze."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    nowhere = operate.request("lock-down", {}, ["one"], origin="http://127.0.0.1:1")
    with pytest.raises(OperateError, match="No answer"):
        operate.send(nowhere, region="us-east-1")
