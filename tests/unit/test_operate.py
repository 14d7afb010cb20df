"""What an operator types becomes a command that the product obeys, and nothing else is sent."""

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
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
from tests.support import loopback

ORIGIN = "https://internal.example.test"
NOW = 1_800_000_000
SINCE = "2027-01-15T08:00:00Z"
ALICE, BOB = (Operator(name, ec.generate_private_key(ec.SECP256R1())) for name in ("alice", "bob"))
TERMS: dict[OrderKind, dict[str, str]] = {
    "lock-down": {"reason": "intrusion"},
    "lift-lockdown": {"since": SINCE},
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
    ("lift-lockdown", {}),
    ("lift-lockdown", {"since": "now"}),
    ("lift-lockdown", {"since": SINCE, "reason": "drill"}),
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
    lifted = operate.request("lift-lockdown", {"since": SINCE}, ["one", "two"], origin=ORIGIN)
    assert (frozen.url, json.loads(frozen.data or b"")) == (
        ORIGIN + "/lockdown",
        {"command": "one"},
    )
    assert (lifted.url, json.loads(lifted.data or b"")) == (
        ORIGIN + "/lockdown/lift",
        {"commands": ["one", "two"]},
    )


def key_file(
    folder: Path,
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    *,
    passphrase: str | None = None,
) -> str:
    """Write a private key where an operator has it."""
    path = folder / "key.pem"
    how = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    return str(path)


@pytest.fixture
def key(tmp_path: Path) -> str:
    """Alice's private key, in a file."""
    return key_file(tmp_path, ALICE.key)


@dataclass
class Door:
    """Where the internal API would be, and what came there."""

    origin: str
    came: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)


class _Handler(loopback.Handler):
    service: Door

    def do_POST(self) -> None:  # noqa: N802 the base class calls it so
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.service.came.append((self.path, self.headers["Authorization"], json.loads(raw)))
        refuses = self.path.endswith("/lift")
        body = b"{}"
        self.send_response(409 if refuses else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def door() -> Iterator[Door]:
    """A door that opens for a freeze and for nothing else."""
    with loopback.serving(_Handler, Door) as service:
        yield service


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operators' role is taken on in this shell, and nothing else is configured."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")


def line(act: str, *options: str, key: str, origin: str = ORIGIN) -> list[str]:
    """Return what an operator types."""
    return [act, *options, "--operator", "alice", "--key", key, "--origin", origin]


def test_one_of_two_is_printed_and_not_sent(
    key: str, door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first operator's command goes to the second by hand."""
    typed = line("lift-lockdown", "--since", SINCE, key=key, origin=door.origin)
    assert operate.operate(typed, now_s=NOW) == 0
    printed = capsys.readouterr().out.strip()
    assert commands.issuer(commands.parse(printed)) == "operator:alice"
    assert door.came == []


def test_the_second_sends_both(key: str, door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """The other's command goes out as it came, with one's own; a refusal is no success."""
    other = operate.signed("lift-lockdown", {"since": SINCE}, by=BOB, origin=door.origin, now_s=NOW)
    options = ("--since", SINCE, "--with", other, "--region", "eu-west-1")
    typed = line("lift-lockdown", *options, key=key, origin=door.origin)
    assert operate.operate(typed, now_s=NOW) == 1
    ((path, _, body),) = door.came
    assert (path, list(body)) == ("/lockdown/lift", ["commands"])
    first, second = cast("list[str]", body["commands"])
    assert first == other
    assert commands.issuer(commands.parse(second)) == "operator:alice"
    assert capsys.readouterr().out == "409 {}\n"


def test_a_freeze_takes_no_other_s_command(key: str) -> None:
    """What one operator orders is signed by that operator, not sent in place of another's."""
    typed = line("lock-down", "--reason", "drill", "--with", "eyJ0", key=key)
    with pytest.raises(SystemExit):
        operate.operate(typed, now_s=NOW)


@pytest.mark.parametrize(
    ("variables", "options", "region"),
    [
        ({"AWS_REGION": "eu-central-1"}, (), "eu-central-1"),
        ({"AWS_DEFAULT_REGION": "eu-north-1"}, (), "eu-north-1"),
        ({"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-north-1"}, (), "eu-central-1"),
        ({"AWS_REGION": "eu-central-1"}, ("--region", "eu-west-3"), "eu-west-3"),
    ],
)
def test_the_request_is_signed_for_the_stack_s_region(
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    door: Door,
    variables: Mapping[str, str],
    options: tuple[str, ...],
    region: str,
) -> None:
    """The one that is named, or else the environment's: IAM refuses a signature for another."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    typed = line("lock-down", "--reason", "drill", *options, key=key, origin=door.origin)
    assert operate.operate(typed, now_s=NOW) == 0
    ((path, authorization, body),) = door.came
    assert (path, list(body)) == ("/lockdown", ["command"])
    assert f"/{region}/execute-api/aws4_request" in authorization


def test_no_region_is_guessed(key: str, door: Door) -> None:
    """A freeze that IAM would refuse is not sent: the operator hears what is missing."""
    typed = line("lock-down", "--reason", "drill", key=key, origin=door.origin)
    with pytest.raises(OperateError, match="--region"):
        operate.operate(typed, now_s=NOW)
    assert door.came == []


@pytest.mark.parametrize(
    "origin",
    [
        "internal.example.test",
        "https://internal.example.test/",
        "https://internal.example.test/v1",
        "https://internal.example.test?x=1",
        "https://Internal.example.test",
        "http://internal.example.test",
        "ftp://internal.example.test",
        "",
    ],
)
def test_an_origin_is_scheme_and_host_alone(
    key: str, capsys: pytest.CaptureFixture[str], origin: str
) -> None:
    """Anything else would sign another URL than the stack's, or send an order in clear."""
    with pytest.raises(SystemExit):
        operate.operate(line("lock-down", "--reason", "drill", key=key, origin=origin), now_s=NOW)
    assert "scheme and host alone" in capsys.readouterr().err


SLIPS = {
    "another reason": (("lock-down", "--reason", "because"), "--reason: .*'drill'"),
    "another time": (("lift-lockdown", "--since", "yesterday"), "--since: "),
    "another account": (("lift-quarantine", "--account", "../lockdown"), "--account: "),
}


@pytest.mark.parametrize(("typed", "said"), SLIPS.values(), ids=SLIPS)
def test_a_slip_of_the_pen_is_a_sentence(key: str, typed: tuple[str, ...], said: str) -> None:
    """The operator reads which option is wrong, on a line for each, and no program's dump."""
    with pytest.raises(OperateError, match=said) as told:
        operate.operate(line(*typed, key=key), now_s=NOW)
    assert len(str(told.value).splitlines()) == 1
    assert "pydantic" not in str(told.value)


@pytest.mark.parametrize("kind", ACTS)
def test_an_act_without_its_terms_is_not_signed(
    kind: OrderKind, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What must be said is asked for by name."""
    with pytest.raises(SystemExit):
        operate.operate(line(kind, key=key), now_s=NOW)
    (term,) = TERMS[kind]
    assert f"--{term}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_a_key_of_another_curve_signs_nothing(
    tmp_path: Path, other: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
) -> None:
    """ES256 has one curve."""
    typed = line("lock-down", "--reason", "drill", key=key_file(tmp_path, other))
    with pytest.raises(OperateError, match="P-256"):
        operate.operate(typed, now_s=NOW)


def test_what_is_no_key_is_said(tmp_path: Path) -> None:
    """A file that is not there, and one that holds something else."""
    (tmp_path / "key.pem").write_text("secret")
    for name, said in (("nothing.pem", "No such file"), ("key.pem", "no private key")):
        typed = line("lock-down", "--reason", "drill", key=str(tmp_path / name))
        with pytest.raises(OperateError, match=said) as told:
            operate.operate(typed, now_s=NOW)
        assert "secret" not in str(told.value)


def test_an_encrypted_key_is_opened_by_its_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is asked for where nobody sees it; a wrong one opens nothing."""
    key = key_file(tmp_path, ALICE.key, passphrase="correct horse")
    typed = line("release-account", "--account", "a" * 26, key=key)
    answers = iter(["wrong horse", "correct horse"])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(answers))
    with pytest.raises(OperateError, match="passphrase"):
        operate.operate(typed, now_s=NOW)
    assert operate.operate(typed, now_s=NOW) == 0
    printed = capsys.readouterr().out.strip()
    commands.verify(
        commands.parse(printed),
        key=PublicKey.of(ALICE.key.public_key()),
        expected_issuer="operator:alice",
        expected_audience=ORIGIN,
        expected_path=PATHS["release-account"],
        now_s=NOW,
    )


def test_without_a_terminal_an_encrypted_key_is_refused(tmp_path: Path) -> None:
    """No passphrase is read from where it would be shown, or from what else comes in."""
    key = key_file(tmp_path, ALICE.key, passphrase="correct horse")
    ran = subprocess.run(
        [sys.executable, "-m", "infra.operate", *line("lock-down", "--reason", "drill", key=key)],
        input=b"correct horse\n",
        capture_output=True,
        start_new_session=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "shared"},
    )
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"no terminal" in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_an_answer_that_does_not_come_is_said() -> None:
    """Nobody takes silence for a freeze."""
    nowhere = operate.request("lock-down", {}, ["one"], origin="http://127.0.0.1:1")
    with pytest.raises(OperateError, match="No answer"):
        operate.send(nowhere, region="us-east-1")


def test_without_the_role_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, key: str, door: Door
) -> None:
    """A shell without credentials hears which role it lacks."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    typed = line("lock-down", "--reason", "drill", "--region", "eu-west-1", key=key)
    with pytest.raises(OperateError, match="<stack>-operator"):
        operate.operate([*typed[:-1], door.origin], now_s=NOW)
    assert door.came == []
