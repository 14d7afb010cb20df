"""After a life that used every route, nothing that was kept tells a secret of it.

The tables as they are, every log, and every notice are searched for each password, code, token,
login name, label and key that crossed the wire (canaries.py).
"""

import base64
import uuid
from collections.abc import Callable, Iterator

import pytest

from infra.local.inbox import messages
from tests.support.inside import outputs, root, table
from tests.support.stack import Stack
from tests.system import canaries
from tests.system.canaries import Canary, Finding, Kept
from tests.system.life import Life, lived

KNOWN = {
    # The evidence of a transfer is the command with the token and the proof that ordered it. The
    # token is bound to a key that was never sent and ends in 15 minutes; the proof is used.
    Finding("access token", "Journal POSTING command"),
    Finding("proof", "Journal POSTING command"),
}
"""Every place where a secret lies in clear, and why it may: docs/threat-model.md."""


@pytest.fixture(scope="module")
def life(stack: Stack) -> Life:
    """A life in which every secret of this product was used."""
    return lived(stack)


@pytest.fixture(scope="module")
def secrets(life: Life) -> set[Canary]:
    """Every secret of that life."""
    return canaries.of_exchanges(life.exchanges) | canaries.of_keys(life.proof_keys)


def in_tables(stack: Stack) -> Iterator[Kept]:
    """Yield every item of every table."""
    for output in outputs(stack):
        if output.endswith("Table"):
            name = output.removesuffix("Table")
            pages = root(stack, "dynamodb").get_paginator("scan")
            for page in pages.paginate(TableName=table(stack, name)):
                for item in page["Items"]:
                    yield from canaries.of_item(name, item)


def in_logs(stack: Stack) -> Iterator[Kept]:
    """Yield every line that functions, gateway, emulator and deployment have logged."""
    logs = root(stack, "logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in (one["logGroupName"] for one in page["logGroups"]):
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
                for event in events["events"]:
                    yield Kept(f"log {group}", event["message"].encode())
    for file in stack.partner_key.parent.glob("*.log"):
        yield Kept(f"file {file.name}", file.read_bytes())


def in_notices(stack: Stack) -> Iterator[Kept]:
    """Yield every notice that lies in the inbox."""
    for message in messages(name=stack.name, endpoint=stack.endpoint):
        yield Kept("notice", message.encode())


def test_every_kind_of_secret_was_used(secrets: set[Canary]) -> None:
    """The search is for all of them: one that the life does not use would never be found."""
    assert {one.name for one in secrets} == {
        "access token",
        "approval",
        "code",
        "codes",
        "label",
        "login",
        "password",
        "proof",
        "proof key",
        "refresh token",
        "secret",
        "ticket",
        "uri",
    }


def test_the_tables_tell_no_secret(stack: Stack, secrets: set[Canary]) -> None:
    """A dump of all tables has none, but for the evidence of orders, exactly where it belongs."""
    assert canaries.find(secrets, in_tables(stack)) == KNOWN


@pytest.mark.parametrize("kept", [in_logs, in_notices], ids=["logs", "notices"])
def test_neither_logs_nor_notices_tell_a_secret(
    stack: Stack, secrets: set[Canary], kept: Callable[[Stack], Iterator[Kept]]
) -> None:
    """No line and no message has one, in whatever spelling."""
    read = list(kept(stack))
    assert read
    assert canaries.find(secrets, read) == set()


def test_a_planted_secret_is_found(stack: Stack) -> None:
    """What the search says is worth something: it finds what was put into a table and a log."""
    planted = Canary("planted", f"canary-{uuid.uuid4()}".encode())
    key = {"pk": {"S": f"PLANTED#{uuid.uuid4()}"}}
    value = {"M": {"deep": {"L": [{"B": b"before" + planted.value + b"after"}]}}}
    store, logs = root(stack, "dynamodb"), root(stack, "logs")
    group, stream = f"/{stack.name}/identity", str(uuid.uuid4())
    text = base64.urlsafe_b64encode(b'{"x":"' + planted.value + b'"}').decode()
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    store.put_item(TableName=table(stack, "Once"), Item=key | {"value": value})
    try:
        line = {"timestamp": 1, "message": f"somebody logged {text}"}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[line])
        found = canaries.find({planted}, [*in_tables(stack), *in_logs(stack)])
    finally:
        store.delete_item(TableName=table(stack, "Once"), Key=key)
        logs.delete_log_stream(logGroupName=group, logStreamName=stream)
    assert found == {
        Finding("planted", "Once PLANTED value"),
        Finding("planted", f"log {group}"),
    }


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize(
    "spelling",
    [
        bytes,
        base64.b64encode,
        base64.urlsafe_b64encode,
        lambda value: value.hex().encode(),
        lambda value: value.hex().upper().encode(),
    ],
    ids=["clear", "base64", "base64url", "hex", "HEX"],
)
def test_every_spelling_is_found(spelling: Callable[[bytes], bytes], offset: int) -> None:
    """Whatever stands before and behind it, and whatever bytes it has."""
    value = bytes(range(250, 256)) + b"correct horse?~"
    kept = Kept("here", b'"' + spelling(b"x" * offset + value + b"!") + b'"')
    assert canaries.find({Canary("it", value)}, [kept]) == {Finding("it", "here")}


@pytest.mark.parametrize(
    "near", [b"1123456", b"1234567", b"10:00:00.123456", b"-123456", b"a123456"]
)
def test_six_digits_are_a_code_only_by_themselves(near: bytes) -> None:
    """A code is not found in longer numbers, and is in a sentence or a member."""
    code = Canary("code", b"123456")
    assert canaries.find({code}, [Kept("here", near)]) == set()
    for there in (b'{"code":"123456"}', b"code 123456 refused", b"123456"):
        assert canaries.find({code}, [Kept("here", there)])
