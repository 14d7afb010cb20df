"""Throttling on the real store: crowds, clocks, lost answers, and what it costs."""

import functools
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from random import Random

import pytest

from portcullis import clock
from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError, TooManyRequestsError
from portcullis.identity import tables, throttle
from portcullis.identity.throttle import WRITES_MAX, Policy
from tests.contract.identity.conftest import Product
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import blobs, unchanged
from tests.support import faults
from tests.support.faults import Loss, Proxy

AT_S = 1_800_000_000
CROWD = 32
POLICY = Policy("test-subject", burst=20, period_s=4)
"""Five a second."""
NETWORK = "192.0.2.0/24"

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("product")]


def admits(now_s: int, *, policy: Policy = POLICY, subject: str = NETWORK) -> bool:
    """Whether a request is admitted at a time."""
    try:
        throttle.admit(policy, subject, now_s=now_s)
    except TooManyRequestsError:
        return False
    return True


def admitted(count: int, now_s: int, *, policy: Policy = POLICY) -> int:
    """Return how many of so many requests are admitted, one after another."""
    return sum(admits(now_s, policy=policy) for _ in range(count))


def arrival_ms() -> int:
    """Return the arrival time that is stored."""
    item = dynamodb.get(tables.once(), tables.bucket_key(POLICY.name, NETWORK))
    return 0 if item is None else int(item["arrival_ms"])


def requests(times_s: list[int]) -> list[Callable[[], int]]:
    """Return the requests of a crowd, one for each time, each of which returns its time."""

    def request(now_s: int) -> int:
        throttle.admit(POLICY, NETWORK, now_s=now_s)
        return now_s

    return [functools.partial(request, now_s) for now_s in times_s]


# ---- crowds -------------------------------------------------------------------------------------


def test_a_crowd_at_one_moment_gets_the_burst(product: Product) -> None:
    """Of 32 at once 20 pass, a second later 5 more, and each of the others hears when."""
    assert product
    with Race[int](CROWD) as crowd:
        for second, expected in enumerate([20, 5, 5, 5, 5, 5]):
            passed, refused = split(
                crowd.run(*requests([AT_S + second] * CROWD)), TooManyRequestsError
            )
            assert len(passed) == expected
            assert len(refused) == CROWD - expected
            assert {refusal.retry_after_s for refusal in refused} == {1}


def test_a_crowd_for_seconds_gets_the_burst_and_the_rate() -> None:
    """32 callers that never rest, each with the time as it reads it: burst and rate, no more."""
    ends = time.monotonic() + 4

    def insist(_: int) -> list[int]:
        passed = []
        while time.monotonic() < ends:
            now_s = clock.now_s()
            if admits(now_s):
                passed.append(now_s)
        return passed

    with ThreadPoolExecutor(CROWD) as pool:
        times_s = list(itertools.chain.from_iterable(pool.map(insist, range(CROWD))))
    elapsed_ms = (max(times_s) - min(times_s)) * 1000
    assert POLICY.burst < len(times_s) <= POLICY.burst + elapsed_ms / POLICY.interval_ms


@pytest.mark.parametrize("seed", range(3))
def test_clocks_that_differ_admit_no_more_than_the_latest_of_them(seed: int) -> None:
    """Callers that are seconds apart share one bucket: burst, and the rate to the latest time."""
    draw = Random(seed)  # noqa: S311 a reproducible order, not a secret
    times_s: list[int] = []
    with Race[int](CROWD) as crowd:
        for second in range(12):
            moment = [AT_S + second - draw.randint(0, 6) for _ in range(CROWD)]
            times_s += split(crowd.run(*requests(moment)), TooManyRequestsError)[0]
    elapsed = Fraction((max(times_s) - min(times_s)) * 1000, POLICY.interval_ms)
    assert POLICY.burst <= len(times_s) <= POLICY.burst + elapsed


# ---- one after another --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_store_decides_as_the_arithmetic(seed: int) -> None:
    """At any times, in any order, exactly those pass who conform, and hear the exact pause."""
    draw = Random(seed)  # noqa: S311 a reproducible order, not a secret
    now_s, expected_ms = AT_S, 0
    for _ in range(150):
        now_s += draw.choice([-2, -1, 0, 0, 0, 0, 0, 1, 1, 3])
        wait_ms = POLICY.wait_ms(arrival_ms=expected_ms, now_ms=now_s * 1000)
        if wait_ms:
            with pytest.raises(TooManyRequestsError) as refused:
                throttle.admit(POLICY, NETWORK, now_s=now_s)
            assert refused.value.retry_after_s - 1 < wait_ms / 1000 <= refused.value.retry_after_s
        else:
            throttle.admit(POLICY, NETWORK, now_s=now_s)
            expected_ms = max(expected_ms, now_s * 1000) + POLICY.interval_ms
        assert arrival_ms() == expected_ms


def test_a_quiet_bucket_refills() -> None:
    """One period after a burst the whole burst is there again, and never more."""
    assert admitted(25, AT_S) == 20
    assert admitted(25, AT_S + POLICY.period_s) == 20
    assert admitted(25, AT_S + 1000) == 20


def test_a_clock_that_steps_back_admits_nobody_twice() -> None:
    """After a burst nobody passes at an earlier time, and the burst is not refilled by it."""
    assert admitted(20, AT_S) == 20
    assert admitted(5, AT_S - 3) == 0
    assert admitted(5, AT_S - 100_000) == 0
    assert admitted(5, AT_S) == 0
    assert admitted(10, AT_S + 1) == 5


def test_who_waits_as_told_passes() -> None:
    """The pause of a refusal is enough, and a second less is not."""
    slow = Policy("slow", burst=2, period_s=61)
    assert admitted(2, AT_S, policy=slow) == 2
    with pytest.raises(TooManyRequestsError) as refused:
        throttle.admit(slow, NETWORK, now_s=AT_S)
    pause_s = refused.value.retry_after_s
    assert not admits(AT_S + pause_s - 1, policy=slow)
    assert admits(AT_S + pause_s, policy=slow)


def test_a_refusal_says_which_limit_it_met() -> None:
    """Its policy, quota and window are the policy's."""
    admitted(20, AT_S)
    with pytest.raises(TooManyRequestsError) as refused:
        throttle.admit(POLICY, NETWORK, now_s=AT_S)
    told = refused.value
    assert (told.policy, told.quota, told.window_s) == ("test-subject", 20, 4)


def test_buckets_do_not_share() -> None:
    """Another subject, or the same under another policy, has a bucket of its own."""
    other = Policy("test-other", burst=1, period_s=60)
    assert admitted(21, AT_S) == 20
    assert admits(AT_S, subject="198.51.100.0/24")
    assert admits(AT_S, policy=other)
    assert not admits(AT_S)
    assert not admits(AT_S, policy=other)


# ---- what is stored, and what it costs ----------------------------------------------------------


def test_a_subject_is_stored_nowhere(product: Product) -> None:
    """A network or a name is in no key and no value."""
    admits(AT_S)
    stored = blobs(product[0])
    assert any(blob.startswith(b"BUCKET#test-subject#") for blob in stored)
    assert not any(NETWORK.encode() in blob for blob in stored)


@pytest.mark.parametrize("requests_before", [0, 10, 19])
def test_a_bucket_does_not_expire_before_it_is_full_again(requests_before: int) -> None:
    """Deletion by DynamoDB admits nobody: by then the bucket would be idle."""
    admitted(requests_before + 1, AT_S)
    item = dynamodb.get(tables.once(), tables.bucket_key(POLICY.name, NETWORK))
    assert item is not None
    assert item["ttl"] * 1000 >= item["arrival_ms"] + throttle.FORGOTTEN_AFTER_S * 1000 - 4000
    assert item["ttl"] <= AT_S + POLICY.period_s + throttle.FORGOTTEN_AFTER_S


def test_an_idle_bucket_costs_one_write_a_busy_one_two_and_none_a_read(proxy: Proxy) -> None:
    """An admission is one or two calls."""
    for expected in (1, 2, 2):
        proxy.calls.clear()
        throttle.admit(POLICY, NETWORK, now_s=AT_S)
        assert proxy.calls == {"UpdateItem": expected}


def test_a_refusal_changes_nothing(product: Product, proxy: Proxy) -> None:
    """An empty bucket is told by the first write, which fails, and stays as it was."""
    admitted(20, AT_S)
    proxy.calls.clear()
    with unchanged(product[0]):
        assert not admits(AT_S)
        assert not admits(AT_S - 1)
    assert proxy.calls == {"UpdateItem": 2}


def test_a_bucket_emptied_between_the_two_writes_refuses(product: Product, proxy: Proxy) -> None:
    """Who finds room and loses it to others before its write is refused, after two calls."""
    admitted(19, AT_S)

    def take_the_last() -> None:
        product[0].call(
            "update_item",
            TableName=tables.once(),
            Key={"pk": {"S": tables.bucket_key(POLICY.name, NETWORK)["pk"]}},
            UpdateExpression="SET arrival_ms = arrival_ms + :interval",
            ExpressionAttributeValues={":interval": {"N": str(POLICY.interval_ms)}},
        )

    proxy.calls.clear()
    proxy.meanwhile("UpdateItem", take_the_last, nth=2)
    assert not admits(AT_S)
    assert proxy.calls == {"UpdateItem": WRITES_MAX}


# ---- the store fails ----------------------------------------------------------------------------


@pytest.mark.parametrize("by", list(Loss), ids=lambda by: str(by.name.lower()))
@pytest.mark.parametrize("before", [0, 5])
def test_a_lost_answer_charges_at_most_once_more(proxy: Proxy, by: Loss, before: int) -> None:
    """A write whose answer is lost is repeated: the request passes, and is charged twice."""
    admitted(before, AT_S)
    lost = proxy.lose_answer("UpdateItem", by=by, nth=2 if before else 1)
    throttle.admit(POLICY, NETWORK, now_s=AT_S)
    assert lost.hits == 1
    assert arrival_ms() == AT_S * 1000 + (before + 2) * POLICY.interval_ms


def test_a_store_that_does_not_answer_admits_nobody(product: Product, proxy: Proxy) -> None:
    """No answer is no admission, whether the bucket is idle or busy."""
    for _ in range(2):
        failing = proxy.fail_before("UpdateItem", times=faults.ALWAYS)
        with unchanged(product[0]), pytest.raises(InfrastructureError):
            throttle.admit(POLICY, NETWORK, now_s=AT_S)
        assert failing.hits == 2
        proxy.heal()
        throttle.admit(POLICY, NETWORK, now_s=AT_S)


@pytest.mark.parametrize(
    "code", ["ProvisionedThroughputExceededException", "ThrottlingException", "AccessDenied"]
)
def test_a_store_that_refuses_admits_nobody(product: Product, proxy: Proxy, code: str) -> None:
    """A table that is throttled, or not allowed, is no reason to let anybody pass."""
    proxy.refuse("UpdateItem", code, times=faults.ALWAYS)
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        throttle.admit(POLICY, NETWORK, now_s=AT_S)


def test_a_bucket_that_vanishes_between_the_two_writes_admits_nobody(
    product: Product, proxy: Proxy
) -> None:
    """Deleted meanwhile, a bucket decides nothing; the next request begins a new one."""
    admits(AT_S)

    def delete() -> None:
        key = {"pk": {"S": tables.bucket_key(POLICY.name, NETWORK)["pk"]}}
        product[0].call("delete_item", TableName=tables.once(), Key=key)

    proxy.meanwhile("UpdateItem", delete, nth=2)
    with pytest.raises(InfrastructureError):
        throttle.admit(POLICY, NETWORK, now_s=AT_S)
    assert admitted(25, AT_S) == 20
