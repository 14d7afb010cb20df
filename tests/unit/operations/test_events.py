"""Events as they leave the platform: one body, which the published schema describes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from portcullis.operations import events
from portcullis.operations.events import Event, UnreadableEventError
from tests.support import event_schema
from tests.unit.architecture import written_events

ACCOUNT = "je3s6orgs6yk55hkzgb5z77jra"
OTHER = "kmurzzhdphjcnqj5yqc3yvggyu"
JUDGED = {
    "sid": OTHER,
    "occasion": "request",
    "reasons": ["impossible-travel"],
    "policy": "2026-11",
}
TRAVEL = {"distance_km": 2092, "beyond_error_km": 1204, "elapsed_s": 240}
SAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("account-opened", {}),
    ("session-started", {"sid": OTHER, "acr": "phr", "amr": ["hwk", "user"]}),
    ("session-ended", {"sid": OTHER, "reason": "refresh-token-reused"}),
    ("sessions-ended", {"reason": "signed-out"}),
    ("sessions-ended", {"reason": "signed-out", "kept": OTHER}),
    ("second-factor-failing", {"failures": 5}),
    ("passkey-added", {"passkey": OTHER, "established_at": 1_700_000_000}),
    ("passkey-renamed", {"passkey": OTHER}),
    ("passkey-removed", {"passkey": OTHER}),
    ("passkey-counter-regressed", {"passkey": OTHER}),
    ("password-set", {"changed": False}),
    ("totp-added", {"established_at": 1_700_000_000}),
    ("totp-removed", {}),
    ("recovery-codes-minted", {}),
    ("recovery-started", {"passkey": OTHER, "by": "code", "frozen_until": 1_700_086_400}),
    ("recovery-cancelled", {"passkeys": [OTHER]}),
    ("account-released", {"operators": ["alice", "bob"], "good_from": 1_700_259_200}),
    ("account-quarantined", {**JUDGED, **TRAVEL}),
    ("money-frozen", {**JUDGED, **TRAVEL}),
    ("approval-demanded", {**JUDGED, "reasons": ["device-changed"]}),
    ("quarantine-lifted", {"by": "passkey", "was_you": "yes"}),
    (
        "quarantine-lifted",
        {"by": "operators", "was_you": "unsaid", "operators": ["alice", "bob"]},
    ),
    ("approval-demand-lifted", {"by": "totp"}),
    ("locked-down", {"operator": "alice", "reason": "drill"}),
    ("lockdown-lifted", {"operators": ["alice", "bob"]}),
]


def event(kind: str = "account-opened", facts: dict[str, Any] | None = None) -> Event:
    """Return an event of this kind."""
    return Event(account=ACCOUNT, number=7, kind=kind, at_s=1_700_000_000, facts=facts or {})


def spoilt(kind: str, facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield facts that this kind may not have: each one missing, of a wrong type, and one more."""
    for name in facts:
        yield {**facts, name: None}
        yield {**facts, name: "a person's own words"}
    for more in ("ip", "country", "user_agent", "login"):
        yield {**facts, more: "x"}
    if kind not in {"quarantine-lifted", "sessions-ended"}:
        for name in facts.keys() - TRAVEL.keys():
            yield {one: value for one, value in facts.items() if one != name}


def test_the_schema_describes_every_event_that_is_written() -> None:
    """No kind and no fact is missing; another one is a change of the published schema."""
    allowed, written = event_schema.described(), written_events.facts()
    assert allowed.keys() == written.keys() == {kind for kind, _ in SAMPLES}
    for kind, facts in written.items():
        assert facts <= allowed[kind].get("properties", {}).keys(), kind


@pytest.mark.parametrize(("kind", "facts"), SAMPLES)
def test_an_event_is_valid_as_it_leaves(kind: str, facts: dict[str, Any]) -> None:
    """Its body fits the schema, and is read back as the same event."""
    body = json.loads(events.to_json(event(kind, facts).body()))
    assert event_schema.faults(body) == []
    assert Event.from_body(body) == event(kind, facts)


@pytest.mark.parametrize(("kind", "facts"), SAMPLES)
def test_the_schema_lets_nothing_else_pass(kind: str, facts: dict[str, Any]) -> None:
    """A fact that is missing, somebody's words, a place or an address is no valid event."""
    for wrong in spoilt(kind, facts):
        assert event_schema.faults(event(kind, wrong).body()) != [], wrong


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"account": "somebody"},
        {"number": 0},
        {"kind": "unknown"},
        {"at": "2023-11-14 22:13:20"},
        {"more": 1},
    ],
)
def test_the_schema_holds_the_envelope(change: dict[str, Any]) -> None:
    """Version, identity, time: each has its form, and there is nothing beside them."""
    assert event_schema.faults({**event().body(), **change}) != []


def test_an_event_of_the_platform_has_an_account_of_its_own() -> None:
    """A lockdown is nobody's: its events are numbered under LOCKDOWN."""
    facts = {"operator": "alice", "reason": "drill"}
    body = {**event("locked-down", facts).body(), "account": "LOCKDOWN"}
    assert event_schema.faults(body) == []


def test_a_stored_event_is_read_without_the_table_s_attributes() -> None:
    """Keys and expiry are the table's; the rest are facts."""
    item = {
        "pk": f"EVENT#{ACCOUNT}",
        "sk": "000000000007",
        "kind": "passkey-renamed",
        "at": 1_700_000_000,
        "ttl": 1_703_024_000,
        "passkey": OTHER,
    }
    assert Event.from_item(item) == event("passkey-renamed", {"passkey": OTHER})


STORED = {"pk": f"EVENT#{ACCOUNT}", "sk": "000000000007", "kind": "totp-added", "at": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"sk": "seven"},
        {"sk": "000000000000"},
        {"sk": "1000000000000"},
        {"kind": None},
        {"kind": ""},
        {"kind": "Totp added"},
        {"kind": "k" * 65},
        {"at": None},
        {"at": "1.5"},
        {"at": 10**18},
        {"sid": b"bytes"},
        {"sid": {"deep": [b"bytes"]}},
    ],
)
def test_an_odd_item_is_no_event(change: dict[str, Any]) -> None:
    """Whoever wrote it, it has no body, and nothing of it is in what is raised."""
    assert Event.from_item(STORED).number == 7
    with pytest.raises(UnreadableEventError, match=r"^unreadable event$") as raised:
        Event.from_item({**STORED, **change})
    assert raised.value.__suppress_context__


def test_an_item_without_kind_or_time_is_no_event() -> None:
    """An attribute that is missing is not made up."""
    for name in ("kind", "at"):
        with pytest.raises(UnreadableEventError):
            Event.from_item({key: value for key, value in STORED.items() if key != name})


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"account": 5},
        {"number": 0},
        {"number": 1.0},
        {"kind": 5},
        {"at": "2023-11-14 22:13:20"},
        {"at": 5},
        {"facts": 5},
        {"facts": [1]},
        {"more": 1},
    ],
)
def test_another_body_is_no_event(change: dict[str, Any]) -> None:
    """Each member has its form, and there is none beside them."""
    with pytest.raises(UnreadableEventError):
        Event.from_body({**event().body(), **change})


@pytest.mark.parametrize("body", [None, 5, "x", [], {}])
def test_what_is_no_object_is_no_event(body: object) -> None:
    """Any value may be in the bucket."""
    with pytest.raises(UnreadableEventError):
        Event.from_body(body)


def test_the_same_event_is_the_same_text() -> None:
    """Members are in one order, so that two publishers write the same bytes."""
    one = events.to_json({"b": 1, "a": {"d": 2, "c": 3}})
    assert one == events.to_json({"a": {"c": 3, "d": 2}, "b": 1}) == '{"a":{"c":3,"d":2},"b":1}'
