"""The published schema: open to what comes later, exact about what is known."""

import json
from typing import Any

import pytest

from tests.support import event_schema
from tests.support.event_schema import faults, faults_as_published

BODY: dict[str, Any] = {
    "version": 1,
    "account": "je3s6orgs6yk55hkzgb5z77jra",
    "number": 3,
    "kind": "session-ended",
    "at": "2026-11-24T10:27:19Z",
    "facts": {"reason": "refresh-token-reused", "sid": "kmurzzhdphjcnqj5yqc3yvggyu"},
}


def facts(**changed: object) -> dict[str, Any]:
    """Return the event with other facts; None takes one away."""
    made = {**BODY["facts"], **changed}
    return {**BODY, "facts": {name: value for name, value in made.items() if value is not None}}


LATER: dict[str, dict[str, Any]] = {
    "a kind": {**BODY, "kind": "passkey-synced", "facts": {"to": 7}},
    "a fact": facts(device=["any", "form"]),
    "a code": facts(reason="session-too-old"),
    "a member": {**BODY, "zone": "identity"},
}


@pytest.mark.parametrize("body", LATER.values(), ids=LATER.keys())
def test_a_receiver_is_not_broken_by_what_comes_later(body: dict[str, Any]) -> None:
    """It comes without a new version, and the schema of today lets it pass."""
    assert faults_as_published(body) == []


@pytest.mark.parametrize("body", LATER.values(), ids=LATER.keys())
def test_what_is_not_described_is_no_event_of_ours(body: dict[str, Any]) -> None:
    """The same, written by us today, is a defect: the schema would say less than we publish."""
    assert faults(BODY) == []
    assert faults(body) != []


WRONG: dict[str, dict[str, Any]] = {
    "no account": {name: value for name, value in BODY.items() if name != "account"},
    "another version": {**BODY, "version": 2},
    "number 0": {**BODY, "number": 0},
    "a kind that is no code": {**BODY, "kind": "Session ended"},
    "a time of another zone": {**BODY, "at": "2026-11-24T10:27:19+01:00"},
    "facts that are none": {**BODY, "facts": []},
    "a known fact is missing": facts(sid=None),
    "a known fact has another form": facts(sid="somebody"),
    "a code in somebody's words": facts(reason="He said so."),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_what_is_known_is_held(body: dict[str, Any]) -> None:
    """Open is not loose: the envelope and each known fact keep their form within a version."""
    assert faults_as_published(body) != []
    assert faults(body) != []


def test_no_part_of_the_published_schema_is_closed() -> None:
    """Not one description refuses what it does not name."""
    text = json.dumps(event_schema.schema())
    assert "additionalProperties" not in text
    assert "unevaluatedProperties" not in text
    assert "oneOf" not in text


def test_a_code_is_listed_and_open() -> None:
    """Wherever codes are listed, another code of the same form is let in beside them."""
    listed = [
        fact
        for kind in event_schema.described().values()
        for fact in kind.get("properties", {}).values()
        if "enum" in json.dumps(fact)
    ]
    assert listed
    for fact in listed:
        known, other = fact["anyOf"]
        assert set(known) == {"enum"}
        assert other == {"$ref": "#/$defs/code"}
