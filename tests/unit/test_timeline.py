"""The timeline: it reads the audit trail as it is, and is silent about nothing."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from infra import timeline
from infra.timeline import Version
from portcullis.operations import segments
from portcullis.operations.events import Event

ACCOUNT = "je3s6orgs6yk55hkzgb5z77jra"


def event(number: int, **facts: Any) -> Event:
    """Return an event of the account."""
    return Event(
        account=ACCOUNT,
        number=number,
        kind="password-set",
        at_s=1_700_000_000 + number,
        facts=facts,
    )


def segment(*numbers: int, account: str = ACCOUNT) -> Version:
    """Return an object of the trail with these events, under the name of its first."""
    found = [replace(event(number), account=account) for number in numbers]
    return Version(key=segments.key_of(account, numbers[0]), raw=raw(found))


def raw(found: list[Event], **change: Any) -> bytes:
    """Return the bytes of an object with these events, with members of each *change*d."""
    bodies = [{**one.body(), **change} for one in found]
    return json.dumps(
        {"version": 1, "account": found[0].account, "events": bodies}, allow_nan=True
    ).encode()


def numbers(*versions: Version) -> list[int]:
    """Return the numbers of the events in a timeline."""
    return [one.number for one in timeline.of(ACCOUNT, versions).events]


def test_a_whole_trail_is_told_in_order() -> None:
    """Every event once, and nothing found."""
    told = timeline.of(ACCOUNT, [segment(1, 2, 3), segment(4), segment(5, 6)])
    assert [one.number for one in told.events] == [1, 2, 3, 4, 5, 6]
    assert told.findings == []


def test_an_empty_trail_is_empty() -> None:
    """No event, and no finding either."""
    assert timeline.of(ACCOUNT, []) == timeline.Timeline(events=[], findings=[])


@pytest.mark.parametrize(
    ("versions", "finding"),
    [
        ([segment(2, 3)], "GAP: event 1 is missing"),
        ([segment(1), segment(5)], "GAP: events 2 to 4 are missing"),
        ([segment(1, 2, 3), segment(3, 4)], "OVERLAP: event 3 is in two objects"),
        ([segment(1, 2, 3, 4), segment(2, 3)], "OVERLAP: events 2 to 3 are in two objects"),
        ([segment(1), segment(1, 2)], "000000000001.json was overwritten"),
        ([segment(1), Version(segment(1).key, None)], "000000000001.json was deleted"),
        ([Version(segment(1).key, b"{}")], "is not a segment of this account"),
        ([Version(segment(1).key, raw([event(2)]))], "is not a segment of this account"),
        ([Version(f"events/{ACCOUNT}/x.json", b"{}")], "is not a segment of this account"),
        ([Version(f"events/{ACCOUNT}/1.json", raw([event(1)]))], "is not a segment"),
        ([segment(1, account="other")], "is not a segment of this account"),
        ([Version(segment(1).key, raw([event(1)], facts=5))], "is not a segment"),
        ([Version(segment(1).key, raw([event(1)], facts={"a": float("nan")}))], "is not a segment"),
        ([Version(segment(1).key, raw([event(1)], kind=["x"]))], "is not a segment"),
        ([Version(segment(1).key, raw([event(1)], at=5))], "is not a segment"),
        ([Version(segment(1).key, raw([event(1)], at="0001-01-01T00:00:00+23:59"))], "is not a"),
        ([Version(segment(1).key, b"[" * 100_000)], "is not a segment of this account"),
        ([Version(segment(1).key, b"\xff")], "is not a segment of this account"),
    ],
)
def test_what_is_wrong_is_said(versions: list[Version], finding: str) -> None:
    """A gap, an overlap, a second version, a deletion and a foreign object are found."""
    assert any(finding in one for one in timeline.of(ACCOUNT, versions).findings)


def test_what_cannot_be_read_hides_nothing_behind_it() -> None:
    """Every line of the others is printed, and the gap is said beside the finding."""
    told = timeline.of(
        ACCOUNT, [segment(1), Version(segment(2).key, raw([event(2)], facts=5)), segment(3, 4)]
    )
    assert [timeline.line(one)[:29].split()[-1] for one in told.events] == ["1", "3", "4"]
    assert [finding.partition(" ")[0] for finding in told.findings] == [segment(2).key, "GAP:"]


def test_the_oldest_version_counts() -> None:
    """Who overwrites an object changes nothing that is told."""
    newer = Version(segment(1).key, raw([event(1, passkey="forged")]))
    assert timeline.of(ACCOUNT, [segment(1), newer]).events == [event(1)]


def test_an_overlap_tells_each_event_once() -> None:
    """What stands in two objects is told as the first of them says."""
    assert numbers(segment(1, 2, 3), segment(3, 4)) == [1, 2, 3, 4]


def test_a_line_cannot_move_the_cursor() -> None:
    """Control characters of a forged event are shown, and not obeyed."""
    forged = Event(account=ACCOUNT, number=1, kind="\x1b[2J", at_s=0, facts={"\r": "\x1b[1A"})
    assert timeline.line(forged).isprintable()


class Bucket:
    """S3 as far as the timeline asks it: versions of objects, listed newest first."""

    def __init__(self, *versions: tuple[str, str, datetime, bytes | None]) -> None:
        self._versions = versions

    def get_paginator(self, _: str) -> "Bucket":
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert Bucket == "audit"
        for key, version, at, raw_ in self._versions:
            assert key.startswith(Prefix)
            entry = {"Key": key, "VersionId": version, "LastModified": at}
            kind = "DeleteMarkers" if raw_ is None else "Versions"
            yield {kind: [entry if raw_ is None else {**entry, "ETag": "x"}]}

    def get_object(self, *, Bucket: str, Key: str, VersionId: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "audit"
        found = [one for one in self._versions if one[:2] == (Key, VersionId)]
        return {"Body": io.BytesIO(found[0][3] or b"")}


def test_versions_are_read_oldest_first_and_deletions_are_seen() -> None:
    """In the order of keys, then of time, whatever the order of the listing."""
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    one, two = segments.key_of(ACCOUNT, 1), segments.key_of(ACCOUNT, 2)
    bucket = Bucket(
        (two, "c", early, b"two"),
        (one, "b", late, b"newer"),
        (one, "a", early, b"older"),
        (two, "d", late, None),
    )
    assert list(timeline.stored(bucket, "audit", ACCOUNT)) == [
        Version(one, b"older"),
        Version(one, b"newer"),
        Version(two, b"two"),
        Version(two, None),
    ]
