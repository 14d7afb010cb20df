"""Throttling: the arithmetic of a bucket, and the policies that the product has."""

import hashlib
import itertools
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.identity import tables, throttle
from portcullis.identity.throttle import Policy

AT_MS = 1_800_000_000_000
DAY_S = 86_400
KEBAB_CASE = re.compile(r"[a-z]+(-[a-z]+)*")

POLICIES = [value for value in vars(throttle).values() if isinstance(value, Policy)]

policies = st.builds(
    Policy, st.just("any"), burst=st.integers(1, 50), period_s=st.integers(1, 3600)
)
gaps_ms = st.lists(st.integers(0, 5_000) | st.integers(0, 5_000_000), max_size=200)
walks_ms = st.lists(st.integers(-20_000, 20_000), max_size=200)


def decided(policy: Policy, times_ms: Iterable[int]) -> list[bool]:
    """Return who is admitted of requests at these times, in this order."""
    arrival_ms, admitted = 0, []
    for now_ms in times_ms:
        conforms = policy.wait_ms(arrival_ms=arrival_ms, now_ms=now_ms) == 0
        if conforms:
            arrival_ms = max(arrival_ms, now_ms) + policy.interval_ms
        admitted.append(conforms)
    return admitted


def token_bucket(policy: Policy, times_ms: Iterable[int]) -> list[bool]:
    """Return the same of a bucket of tokens, exactly: the model that everybody knows."""
    tokens, last_ms, admitted = Fraction(policy.burst), 0, []
    for now_ms in times_ms:
        refilled = tokens + Fraction(now_ms - last_ms, policy.interval_ms)
        tokens, last_ms = min(Fraction(policy.burst), refilled), now_ms
        admitted.append(tokens >= 1)
        tokens -= 1 if tokens >= 1 else 0
    return admitted


def admissions(policy: Policy, times_ms: list[int]) -> list[int]:
    """Return the times of those who are admitted, in their order."""
    return list(itertools.compress(times_ms, decided(policy, times_ms)))


# ---- the arithmetic -----------------------------------------------------------------------------


@given(policies, gaps_ms)
def test_a_bucket_decides_as_a_bucket_of_tokens(policy: Policy, gaps: list[int]) -> None:
    """In order of time, the one number admits whom an exact token bucket admits, and no other."""
    times_ms = list(itertools.accumulate(gaps, initial=AT_MS))
    assert decided(policy, times_ms) == token_bucket(policy, times_ms)


@given(policies, walks_ms)
def test_no_order_of_times_admits_more_than_burst_and_rate(
    policy: Policy, steps: list[int]
) -> None:
    """Whatever clocks do, from any admission on: the burst, and one for each interval since."""
    times_ms = admissions(policy, list(itertools.accumulate(steps, initial=AT_MS)))
    for first in range(len(times_ms)):
        latest_ms = times_ms[first]
        for count, now_ms in enumerate(times_ms[first:], start=1):
            latest_ms = max(latest_ms, now_ms)
            elapsed = Fraction(latest_ms - times_ms[first], policy.interval_ms)
            assert count <= policy.burst + elapsed


@given(policies, walks_ms, st.integers(0, 10_000))
def test_a_clock_that_steps_back_admits_no_more(
    policy: Policy, steps: list[int], back_ms: int
) -> None:
    """An arrival time that does not conform now conforms at no earlier time."""
    arrival_ms = AT_MS + sum(steps)
    now = policy.wait_ms(arrival_ms=arrival_ms, now_ms=AT_MS)
    assert policy.wait_ms(arrival_ms=arrival_ms, now_ms=AT_MS - back_ms) >= now


@given(policies)
def test_at_one_moment_the_burst_is_admitted_and_no_more(policy: Policy) -> None:
    """Equal times are as good as any: all of the burst, then nobody."""
    assert decided(policy, [AT_MS] * (policy.burst + 3)) == [True] * policy.burst + [False] * 3


@given(policies, st.integers(0, 10**10))
def test_the_pause_is_exact(policy: Policy, ahead_ms: int) -> None:
    """A millisecond before its end a request does not conform; at its end it does."""
    arrival_ms = AT_MS + ahead_ms
    wait_ms = policy.wait_ms(arrival_ms=arrival_ms, now_ms=AT_MS)
    assert policy.wait_ms(arrival_ms=arrival_ms, now_ms=AT_MS + wait_ms) == 0
    if wait_ms:
        assert policy.wait_ms(arrival_ms=arrival_ms, now_ms=AT_MS + wait_ms - 1) == 1


@given(policies)
def test_a_quiet_period_refills_the_bucket(policy: Policy) -> None:
    """After a burst, one period (its rounding included) later the whole burst is there again."""
    later_ms = AT_MS + policy.burst * policy.interval_ms
    times_ms = [AT_MS] * policy.burst + [later_ms] * (policy.burst + 1)
    assert decided(policy, times_ms) == [True] * 2 * policy.burst + [False]


@given(policies)
def test_an_interval_is_never_too_short(policy: Policy) -> None:
    """What does not divide is rounded to the slower side, by less than a millisecond."""
    exact_ms = Fraction(policy.period_s * 1000, policy.burst)
    assert exact_ms <= policy.interval_ms < exact_ms + 1


# ---- the policies -------------------------------------------------------------------------------


def test_policies_are_told_apart_by_name() -> None:
    """A policy's name is in keys and headers: one each, in kebab-case."""
    names = [policy.name for policy in POLICIES]
    assert len(names) == len(set(names)) > 0
    assert all(KEBAB_CASE.fullmatch(name) for name in names)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: str(policy.name))
def test_the_interval_of_a_policy_is_exact(policy: Policy) -> None:
    """What a policy promises is what it does: its interval is a whole number of milliseconds."""
    assert policy.interval_ms * policy.burst == policy.period_s * 1000


def test_every_policy_is_documented_as_it_is() -> None:
    """docs/throttling.md has each policy with its burst and period, and no other."""
    page = Path("docs/throttling.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert sorted(rows) == sorted((p.name, str(p.burst), str(p.period_s)) for p in POLICIES)


@pytest.mark.parametrize("policy", [throttle.OPTIONS_BY_NETWORK, throttle.SIGN_IN_BY_NETWORK])
def test_a_network_may_do_twenty_ceremonies_a_second(policy: Policy) -> None:
    """A whole office, or a test suite, behind one address is not stopped."""
    assert all(decided(policy, range(AT_MS, AT_MS + 300_000, 50)))


def test_a_day_of_guessing_one_password_is_bounded() -> None:
    """From all networks together: the burst, and one each minute."""
    every_second = list(range(AT_MS, AT_MS + DAY_S * 1000, 1000))
    policy = throttle.SIGN_IN_BY_LOGIN
    tried = sum(decided(policy, [AT_MS] * policy.burst + every_second))
    assert tried == 20 + DAY_S // 60 - 1


def test_a_day_of_guessing_many_passwords_from_one_network_is_bounded() -> None:
    """The burst, and one in two seconds."""
    every_second = list(range(AT_MS, AT_MS + DAY_S * 1000, 1000))
    policy = throttle.PASSWORD_BY_NETWORK
    tried = sum(decided(policy, [AT_MS] * policy.burst + every_second))
    assert tried == 300 + DAY_S // 2 - 1


# ---- the key ------------------------------------------------------------------------------------


def test_a_bucket_s_key_names_its_policy_and_not_its_subject() -> None:
    """A role can be limited to a policy by the key's beginning; the subject is a digest."""
    digest = hashlib.sha256(b"192.0.2.0/24").hexdigest()
    key = tables.bucket_key("sign-in-network", "192.0.2.0/24")
    assert key == {"pk": f"BUCKET#sign-in-network#{digest}"}


def test_buckets_are_apart_by_policy_and_by_subject() -> None:
    """No two of them share a key."""
    pairs = itertools.product(["options-network", "sign-in-network"], ["a", "b", "", "a#b"])
    keys = [tables.bucket_key(policy, subject)["pk"] for policy, subject in pairs]
    assert len(set(keys)) == len(keys)
