"""Back-off: the schedule of pauses, and what it leaves to one who guesses."""

import pytest

from portcullis.identity import backoff
from portcullis.identity.throttle import SECOND_FACTOR_BY_ACCOUNT

HOUR_S, DAY_S = 3600, 86_400


def attempts_until(end_s: int) -> int:
    """Return how many attempts one makes before *end_s* that never pauses longer than it must."""
    failures, now_s = 0, 0
    while now_s < end_s:
        failures += 1
        now_s += backoff.pause_s(failures)
    return failures


@pytest.mark.parametrize(
    ("failures", "pause_s"),
    [(0, 0), (1, 0), (4, 0), (5, 1), (6, 2), (7, 4), (13, 256), (14, 512), (15, 900), (16, 900)],
)
def test_a_pause_doubles_from_the_fifth_failure_on(failures: int, pause_s: int) -> None:
    """A few slips cost nothing; then each failure doubles the pause, up to 15 minutes."""
    assert backoff.pause_s(failures) == pause_s


@pytest.mark.parametrize("failures", [100, 10**6, 10**30])
def test_a_pause_is_at_most_fifteen_minutes(failures: int) -> None:
    """However many failed: the owner is slowed down, never shut out."""
    assert backoff.pause_s(failures) == 900


def test_a_day_of_guessing_is_bounded() -> None:
    """109 attempts on the first day, 96 on each after."""
    assert attempts_until(DAY_S) == 109
    assert attempts_until(2 * DAY_S) - attempts_until(DAY_S) in {95, 96}


def test_one_lane_cannot_empty_the_account_s_bucket() -> None:
    """What one lane lets pass in its first hour, and in each after, leaves room for the others."""
    assert attempts_until(HOUR_S) == 17 < SECOND_FACTOR_BY_ACCOUNT.burst
    assert attempts_until(2 * HOUR_S) - attempts_until(HOUR_S) == 4


def test_waiting_to_be_forgotten_wins_nothing() -> None:
    """A fresh start each day has fewer attempts than going on."""
    before_the_longest_pause = attempts_until(1024)
    assert before_the_longest_pause == 15 < DAY_S // backoff.PAUSE_S_MAX
    assert backoff.FORGOTTEN_AFTER_S >= DAY_S
