"""What a refused password costs does not tell why it was refused.

Compared is this process's CPU time: the store runs in a process of its own, so what else the
machine does hardly counts. Samples are interleaved, so what drifts drifts for all.
"""

import gc
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence

import pytest

from portcullis.identity.starting import SignInRefusedError
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Person, begin, now
from tests.support.dpop import ProofKey

SAMPLES = 12
SERIES_MAX = 3
PAUSE_S = 3_600
"""Between tries, on the domain's clock: no throttle has anything to remember."""
MEDIANS_APART_MAX = 0.10
P_MIN = 0.001 / 6
"""For each of six pairs, so that all of them together raise one false alarm in a thousand runs."""
LOGINS = ("alice@example.test", "bob@example.test", "carol@example.test")
PASSWORD, OTHER = "seven green otters hum", "eleven brass kettles sing"

pytestmark = pytest.mark.contract


def _member(login: str) -> Person:
    person = Person.with_account()
    person.put_password(person.sign_in(), login, PASSWORD)
    return person


@pytest.fixture
def refused(product: Product, person: Person) -> dict[str, tuple[str, str]]:
    """Name and password of each kind that is refused."""
    person.put_password(person.sign_in(), LOGINS[0], PASSWORD)
    restricted, changed = (_member(login) for login in LOGINS[1:])
    records.restrict(product[0], restricted.account)
    changed.put_password(changed.sign_in(), "dora@example.test", OTHER)
    return {
        "a wrong password": (LOGINS[0], OTHER),
        "an unknown name": ("nobody@example.test", PASSWORD),
        "a restricted account": (LOGINS[1], PASSWORD),
        "a name that was given up": (LOGINS[2], PASSWORD),
    }


def test_the_time_of_a_refusal_does_not_tell_its_reason(
    refused: dict[str, tuple[str, str]],
) -> None:
    """Four kinds of refusal take times that a rank test cannot tell apart.

    A difference of ours is there in each series; one of a busy machine is not.
    """
    clock, key = itertools.count(now() + PAUSE_S, PAUSE_S), ProofKey()
    found: list[tuple[str, str, float, float]] = []
    for _ in range(SERIES_MAX):
        times: dict[str, list[float]] = {kind: [] for kind in refused}
        for kind, (login, password) in [*refused.items()] * (SAMPLES + 1):
            times[kind].append(_cost_s(lambda: begin(login, password, key, at_s=next(clock))))  # noqa: B023 called at once
        found = _told_apart({kind: each[1:] for kind, each in times.items()})  # the first warms up
        if not found:
            return
    assert not found


def _told_apart(measured: dict[str, list[float]]) -> list[tuple[str, str, float, float]]:
    """Return the kinds that their times tell apart."""
    found = []
    for one, other in itertools.combinations(measured, 2):
        first, second = measured[one], measured[other]
        apart = abs(statistics.median(first) / statistics.median(second) - 1)
        if apart >= MEDIANS_APART_MAX or _p(first, second) <= P_MIN:
            found.append((one, other, apart, _p(first, second)))
    return found


def test_the_rank_test_finds_a_difference() -> None:
    """Samples that a tenth of their spread divides are not told apart; disjoint ones are."""
    base = [1 + 0.01 * index for index in range(SAMPLES)]
    assert _p(base, [each + 0.005 for each in base]) > P_MIN
    assert _p(base, [each + 0.2 for each in base]) < P_MIN


def _cost_s(refusal: Callable[[], object]) -> float:
    """The CPU time of this process during one refusal, without the collector's."""
    gc.collect()
    gc.disable()
    start = time.process_time()
    with pytest.raises(SignInRefusedError):
        refusal()
    cost = time.process_time() - start
    gc.enable()
    return cost


def _p(first: Sequence[float], second: Sequence[float]) -> float:
    """The two-sided p-value of Mann and Whitney's U, by its normal approximation."""
    wins = sum((a > b) + 0.5 * (a == b) for a in first for b in second)
    m, n = len(first), len(second)
    sigma = math.sqrt(m * n * (m + n + 1) / 12)
    return math.erfc(abs(wins - m * n / 2) / sigma / math.sqrt(2))
