"""Notices: who hears of what, and that nothing but ids and codes is said."""

import ast
import json
from typing import Any

import pytest

from portcullis.operations.notices import KINDS, REASONS, Notice
from tests.unit.architecture.sources import PRODUCT, tree

SILENT = {"passkey-renamed"}
"""Events that the owner need not hear of."""


def event(kind: str, **facts: object) -> dict[str, Any]:
    """Return an event as it is stored."""
    key = {"pk": "EVENT#acct1", "sk": "000000000012"}
    return {**key, "kind": kind, "at": 1_700_000_000, "ttl": 1_703_024_000, **facts}


def written() -> set[str]:
    """Return every kind of event that the identity zone writes, read from its sources."""
    kinds: set[str] = set()
    for file in sorted((PRODUCT / "identity").glob("*.py")):
        for node in ast.walk(tree(file)):
            match node:
                case ast.Call(func=ast.Name(id="Event"), args=[ast.Constant(value=str(kind)), *_]):
                    kinds.add(kind)
                case ast.Call(func=ast.Attribute(attr="opened"), keywords=keywords):
                    kinds |= {str(one.value.value) for one in keywords if one.arg == "kind"}  # type: ignore[attr-defined]
                case ast.Call(func=ast.Name(id="Event")):
                    pytest.fail(f"{file.name}: the kind of an event must be a literal")
    return kinds


def test_every_kind_of_event_is_told_or_silent_on_purpose() -> None:
    """A new kind of event is a decision about whether the owner hears of it."""
    assert written() - KINDS - set(REASONS) == SILENT


def test_a_notice_is_this_message() -> None:
    """Account, number, kind and time, in one line of JSON."""
    notice = Notice.of(event("recovery-started"))
    assert notice is not None
    assert notice.to_json() == (
        '{"account":"acct1","number":12,"kind":"recovery-started","at":"2023-11-14T22:13:20Z"}'
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_changes_access_is_told(kind: str) -> None:
    """Each of these kinds makes a notice, whatever its facts."""
    notice = Notice.of(event(kind, reason="signed-out"))
    assert notice is not None
    assert (notice.account, notice.number, notice.reason) == ("acct1", 12, None)


def test_a_spent_token_is_told_with_its_reason() -> None:
    """A session that a reused refresh token ended is told of, and why it ended."""
    notice = Notice.of(event("session-ended", reason="refresh-token-reused"))
    assert notice is not None
    assert json.loads(notice.to_json())["reason"] == "refresh-token-reused"


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("session-ended", {"reason": "signed-out"}),
        ("session-ended", {"reason": "displaced"}),
        ("session-ended", {}),
        *[(kind, {}) for kind in sorted(SILENT)],
        ("unknown-kind", {}),
        ("unknown-kind", {"reason": "refresh-token-reused"}),
    ],
)
def test_the_rest_is_not_told(kind: str, facts: dict[str, object]) -> None:
    """What an owner did, and what nobody decided to tell, makes no notice."""
    assert Notice.of(event(kind, **facts)) is None


def test_no_fact_of_an_event_is_in_its_notice() -> None:
    """Facts that an event holds today or tomorrow are not told by accident."""
    notice = Notice.of(event("session-started", sid="S1", country="RO", jkt="K1", login="a@b"))
    assert notice is not None
    assert set(json.loads(notice.to_json())) == {"account", "number", "kind", "at"}
