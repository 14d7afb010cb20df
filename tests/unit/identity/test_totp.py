"""TOTP: the codes of RFC 6238, one step of drift, and never backwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.identity import totp

SECRET = b"12345678901234567890"
"""RFC 6238 appendix B."""

VECTORS = {
    59: "94287082",
    1_111_111_109: "07081804",
    1_111_111_111: "14050471",
    1_234_567_890: "89005924",
    2_000_000_000: "69279037",
    20_000_000_000: "65353130",
}
"""RFC 6238 appendix B, SHA-1: eight digits, of which ours are the last six."""

_times = st.integers(10 * totp.STEP_S, 2**33)


def _code(secret: bytes, step: int) -> str:
    """The code of a step, found by asking for it."""
    return totp._totp(secret).generate(step * totp.STEP_S).decode()


@pytest.mark.parametrize(("at_s", "code"), VECTORS.items())
def test_the_codes_are_the_rfcs(at_s: int, code: str) -> None:
    """A code of the RFC's table belongs to the step of its time."""
    step = totp.matching_step(SECRET, code[-totp.DIGITS :], last_step=0, now_s=at_s)
    assert step == at_s // totp.STEP_S


@given(secret=st.binary(min_size=totp.SECRET_BYTES, max_size=totp.SECRET_BYTES), at_s=_times)
def test_a_step_of_drift_is_allowed_and_no_more(secret: bytes, at_s: int) -> None:
    """Of the steps around the present one three match, and none that is used or older."""
    present = at_s // totp.STEP_S
    near = {step: _code(secret, step) for step in range(present - 3, present + 4)}
    good = {near[step] for step in (present - 1, present, present + 1)}
    for code in near.values():
        found = totp.matching_step(secret, code, last_step=0, now_s=at_s)
        assert (found is not None) == (code in good)
        if found is not None:
            assert near[found] == code
            assert abs(found - present) <= totp.DRIFT_STEPS
            after = totp.matching_step(secret, code, last_step=found, now_s=at_s)
            assert after is None
        assert totp.matching_step(secret, code, last_step=present + 1, now_s=at_s) is None


@given(at_s=_times, code=st.text(max_size=12))
def test_any_other_text_is_no_code(at_s: int, code: str) -> None:
    """Whatever is typed, it matches only if it is a code of the three steps, digit for digit."""
    present = at_s // totp.STEP_S
    good = {_code(SECRET, step) for step in (present - 1, present, present + 1)}
    found = totp.matching_step(SECRET, code, last_step=0, now_s=at_s)
    assert (found is not None) == (code in good)


@given(secret=st.binary(min_size=totp.SECRET_BYTES, max_size=totp.SECRET_BYTES))
def test_a_secret_survives_being_typed(secret: bytes) -> None:
    """Base32 and back; the URI that an application reads has the same text in it."""
    text = totp.text(secret)
    assert totp.secret_in(text) == secret
    assert f"secret={text}&" in totp.uri(secret, account="a" * 26) + "&"
