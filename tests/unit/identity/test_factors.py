"""The factors of an account: whatever is added, changed and removed, a complete way in is left."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.errors import RefusedError
from portcullis.identity.factors import (
    PASSKEYS_MAX,
    PROVISIONAL_S,
    RECOVERED_MAX,
    EnrolledPasskey,
    Factors,
    LastFactorError,
    NoSuchFactorError,
    Password,
    TooManyPasskeysError,
    Totp,
)

ACCOUNT, OPENED_AT = "a" * 26, 1_800_000_000

type Step = Callable[[Factors, int], Factors]


def _passkey(name: str, *, at_s: int, wait_s: int = 0) -> EnrolledPasskey:
    return EnrolledPasskey(
        id=name, credential_id=name.encode(), added_at=at_s, established_at=at_s + wait_s
    )


FIRST = Factors.first(ACCOUNT, _passkey("first", at_s=OPENED_AT))


def _add(held: Factors, name: str, wait_s: int, now_s: int) -> Factors:
    if held.holds(name.encode()):
        return held
    return held.plus(_passkey(name, at_s=now_s, wait_s=wait_s))


def _add_totp(held: Factors, name: str, wait_s: int, now_s: int) -> Factors:
    return held if held.totp else held.next(totp=Totp(name, now_s, now_s + wait_s))


def _set_password(held: Factors, name: str, wait_s: int, now_s: int) -> Factors:
    before = held.password
    established = before.established_at if before else now_s + wait_s
    return held.next(password=Password(name, "index", established))


_steps: st.SearchStrategy[Step] = st.builds(
    lambda change, name, wait_s: lambda held, now_s: change(held, name, wait_s, now_s),
    st.sampled_from(
        [
            _add,
            _add_totp,
            _set_password,
            lambda held, name, _, now_s: held.without(name, now_s=now_s),
            lambda held, _, __, now_s: held.without_totp(now_s=now_s),
            lambda held, name, _, __: held.relabelled(name, b"sealed"),
            lambda held, name, _, __: held.next(codes=name),
        ]
    ),
    st.sampled_from(["first", "second", "third", "fourth"]),
    st.sampled_from([0, PROVISIONAL_S]),
)
"""Changes as the domain makes them: additions may be provisional, removals are checked."""


@given(st.lists(st.tuples(_steps, st.integers(0, 2 * PROVISIONAL_S)), max_size=40))
def test_no_sequence_of_changes_shuts_the_owner_out(steps: list[tuple[Step, int]]) -> None:
    """Refused or not, each change leaves a complete way in, and a version counts each one."""
    held, now_s = FIRST, OPENED_AT
    for step, later_s in steps:
        now_s += later_s
        before = held
        try:
            held = step(held, now_s)
        except RefusedError:
            assert held is before
        assert held.has_way_in(now_s)
        assert held.version in {before.version, before.version + 1}
        assert (held.version == before.version) == (held is before)


@given(st.lists(st.tuples(_steps, st.integers(0, 2 * PROVISIONAL_S)), max_size=10))
def test_factors_survive_the_table(steps: list[tuple[Step, int]]) -> None:
    """What is stored is what is read again."""
    held, now_s = FIRST, OPENED_AT
    for step, later_s in steps:
        now_s += later_s
        try:
            held = step(held, now_s)
        except RefusedError:
            continue
    assert Factors.from_item(held.to_item()) == held


def _pair(password_wait_s: int, totp_wait_s: int) -> Factors:
    """An account with a passkey, a password and TOTP."""
    return FIRST.next(
        password=Password("v", "index", OPENED_AT + password_wait_s),
        totp=Totp("e", OPENED_AT, OPENED_AT + totp_wait_s),
    )


def test_the_last_passkey_stays() -> None:
    """With nothing else it is not removed."""
    with pytest.raises(LastFactorError):
        FIRST.without("first", now_s=OPENED_AT)


@pytest.mark.parametrize(
    ("password_wait_s", "totp_wait_s"),
    [(PROVISIONAL_S, 0), (0, PROVISIONAL_S), (PROVISIONAL_S, PROVISIONAL_S)],
)
def test_a_provisional_pair_is_no_way_in(password_wait_s: int, totp_wait_s: int) -> None:
    """Password and TOTP count together, and only once both are full factors."""
    held = _pair(password_wait_s, totp_wait_s)
    with pytest.raises(LastFactorError):
        held.without("first", now_s=OPENED_AT + PROVISIONAL_S - 1)
    assert held.without("first", now_s=OPENED_AT + PROVISIONAL_S).passkeys == ()


@pytest.mark.parametrize("half", [{"password": None}, {"totp": None}])
def test_half_a_pair_is_no_way_in(half: dict[str, None]) -> None:
    """Neither a password nor TOTP is a way in alone."""
    with pytest.raises(LastFactorError):
        _pair(0, 0).next(**half).without("first", now_s=OPENED_AT)


def test_totp_that_completes_the_last_way_in_stays() -> None:
    """Without a passkey it is not removed."""
    held = _pair(0, 0).without("first", now_s=OPENED_AT)
    with pytest.raises(LastFactorError):
        held.without_totp(now_s=OPENED_AT)


def test_a_provisional_passkey_is_no_way_in() -> None:
    """It does not let the established one go before its day is over."""
    held = FIRST.plus(_passkey("second", at_s=OPENED_AT, wait_s=PROVISIONAL_S))
    with pytest.raises(LastFactorError):
        held.without("first", now_s=OPENED_AT + PROVISIONAL_S - 1)
    left = held.without("first", now_s=OPENED_AT + PROVISIONAL_S)
    assert [one.id for one in left.passkeys] == ["second"]


def test_what_is_not_there_is_not_found() -> None:
    """No unknown passkey is removed, renamed or returned, and no TOTP that is not there."""
    for attempt in (
        lambda: FIRST.without("other", now_s=OPENED_AT),
        lambda: FIRST.relabelled("other", b""),
        lambda: FIRST.passkey("other"),
        lambda: FIRST.without_totp(now_s=OPENED_AT),
    ):
        with pytest.raises(NoSuchFactorError):
            attempt()


def test_there_are_at_most_sixteen_passkeys_and_four_recovered_ones_more() -> None:
    """The seventeenth is refused, unless a recovery brings it; the twenty-first in any case."""
    held = FIRST
    for index in range(PASSKEYS_MAX - 1):
        held = held.plus(_passkey(str(index), at_s=OPENED_AT))
    with pytest.raises(TooManyPasskeysError):
        held.plus(_passkey("one more", at_s=OPENED_AT))
    held.without("0", now_s=OPENED_AT).demand_room()
    for index in range(RECOVERED_MAX):
        held = held.plus(replace(_passkey(f"recovered {index}", at_s=OPENED_AT), recovered=True))
    with pytest.raises(TooManyPasskeysError):
        held.plus(replace(_passkey("one more", at_s=OPENED_AT), recovered=True))
