"""The clock."""

import time

import pytest

from portcullis import clock


def test_now_is_unix_time_in_whole_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A begun second counts as its beginning: nothing is from the future by rounding."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.999)
    assert clock.now_s() == 1_800_000_000


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_800_000_000, "2027-01-15T08:00:00Z"),
        (4_102_444_800, "2100-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_told_in_utc(at: int, text: str) -> None:
    """RFC 3339 with `Z`, whatever zone the machine is in."""
    assert clock.rfc3339(at) == text


@pytest.mark.parametrize("at_s", [0, 1, 1_700_000_000, 4_102_444_800])
def test_a_time_that_was_written_is_read_back(at_s: int) -> None:
    """What one function writes the other reads, in UTC."""
    assert clock.from_rfc3339(clock.rfc3339(at_s)) == at_s


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-23", "2026-11-23T10:00:00", "2026-13-01T00:00:00Z"]
)
def test_any_other_text_is_no_time(text: str) -> None:
    """A date without a time, and a time without a zone, are refused."""
    with pytest.raises(ValueError, match=r"time data|unconverted"):
        clock.from_rfc3339(text)
