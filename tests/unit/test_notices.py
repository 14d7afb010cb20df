"""Notices: who hears of what, and that nothing but ids and codes is said."""

import json

import pytest

from portcullis.operations.events import Event
from portcullis.operations.notices import KINDS, REASONS, Notice
from tests.unit.architecture import written_events

SILENT = {"locked-down", "lockdown-lifted", "passkey-renamed"}
"""Events that the owner need not hear of, or that are nobody's own."""


def event(kind: str, **facts: object) -> Event:
    """Return an event as it leaves the platform."""
    return Event(account="acct1", number=12, kind=kind, at_s=1_700_000_000, facts=facts)


def test_every_kind_of_event_is_told_or_silent_on_purpose() -> None:
    """A new kind of event is a decision about whether the owner hears of it."""
    assert set(written_events.facts()) - KINDS - set(REASONS) == SILENT


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
        ("session-ended", {"reason": ["refresh-token-reused"]}),
        ("session-ended", {"reason": {}}),
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
