"""Back-off of second factors on the real store: one verification in each slot, and no lockout."""

import functools
from random import Random

import pytest

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError
from portcullis.errors import InfrastructureError, TooManyRequestsError
from portcullis.identity import backoff, tables
from portcullis.identity.backoff import Charge
from tests.contract.identity.conftest import Product
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import unchanged
from tests.support import faults
from tests.support.faults import Loss, Proxy

AT_S = 1_800_000_000
DAY_S = 86_400
CROWD = 16
ACCOUNT, OTHER = "a" * 26, "b" * 26
DEVICE, STRANGER, STRANGER_TOO = "d" * 43, "s" * 43, "t" * 43
SLOTS_S = [0, 0, 0, 0, 0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1923, 2823, 3723]
"""When one that only fails is heard, at the earliest: written down, not computed."""

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("product")]


def charge(second: int, *, jkt: str = STRANGER, account: str = ACCOUNT) -> Charge:
    """Read and charge, as the second factor's function does."""
    found = dynamodb.batch_get(*backoff.wanted(account, jkt=jkt))
    return backoff.charge(account, jkt=jkt, found=found, now_s=AT_S + second)


def pause_s(second: int, *, jkt: str = STRANGER, account: str = ACCOUNT) -> int:
    """Return the pause that an attempt hears, which must be refused."""
    with pytest.raises(TooManyRequestsError) as refused:
        charge(second, jkt=jkt, account=account)
    assert (refused.value.policy, refused.value.quota) == (backoff.POLICY, 1)
    assert refused.value.window_s in {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900}
    return refused.value.retry_after_s


def fail(until_second: int, *, jkt: str = STRANGER, account: str = ACCOUNT) -> list[int]:
    """Fail as often as the schedule allows, and return when."""
    slots = [second for second in SLOTS_S if second <= until_second]
    for second in slots:
        charge(second, jkt=jkt, account=account)
    return slots


def succeed(charged: Charge, second: int) -> None:
    """Do what a right code does to the lane and the device, in one transaction."""
    dynamodb.execute(backoff.cleared(charged), backoff.remembered(charged, now_s=AT_S + second))


def know(second: int, *, jkt: str = DEVICE, account: str = ACCOUNT) -> None:
    """Make a key a known device of an account."""
    succeed(charge(second, jkt=jkt, account=account), second)


def failures(lane: str = backoff.SHARED_LANE) -> int:
    """Return how many failures of a lane are stored."""
    item = dynamodb.get(tables.once(), tables.backoff_key(ACCOUNT, lane))
    assert item is not None
    return int(item["failures"])


# ---- the schedule -------------------------------------------------------------------------------


def test_who_only_fails_is_heard_when_the_schedule_says() -> None:
    """Five attempts at once, then pauses that double to 15 minutes: heard in each slot."""
    assert fail(4000) == SLOTS_S
    assert pause_s(3724) == 899


@pytest.mark.parametrize(
    ("after", "second", "expected"), [(0, 0, 1), (7, 7, 8), (7, 14, 1), (1023, 1023, 900)]
)
def test_who_comes_early_hears_when_and_changes_nothing(
    product: Product, proxy: Proxy, after: int, second: int, expected: int
) -> None:
    """A refusal is one read: its pause is exact, and nothing is written."""
    fail(after)
    proxy.calls.clear()
    with unchanged(product[0]):
        assert pause_s(second) == expected
    assert proxy.calls == {"BatchGetItem": 1}
    charge(second + expected)


def test_a_clock_that_steps_back_is_no_slot() -> None:
    """At an earlier time nobody is heard who is not heard now."""
    fail(7)
    for second in (7, 6, 0, -1000):
        assert pause_s(second) == 15 - second


# ---- crowds -------------------------------------------------------------------------------------


def test_a_crowd_gets_one_verification_in_each_slot() -> None:
    """16 at once in each of 40 seconds: exactly the slots of the schedule are granted."""
    granted: list[int] = []
    with Race[Charge](CROWD) as crowd:
        for second in range(40):
            outcomes = crowd.run(*[functools.partial(charge, second)] * CROWD)
            granted += [second] * len(split(outcomes, TooManyRequestsError)[0])
    assert granted == [second for second in SLOTS_S if second < 40]


@pytest.mark.parametrize("seed", range(3))
def test_clocks_that_differ_are_granted_no_more_than_the_latest_of_them(seed: int) -> None:
    """A crowd of servers that are seconds apart never exceeds the schedule of the foremost."""
    draw = Random(seed)  # noqa: S311 a reproducible order, not a secret
    granted = 0
    with Race[Charge](CROWD) as crowd:
        for second in range(5, 36):
            times = [second - draw.randint(0, 5) for _ in range(CROWD)]
            outcomes = crowd.run(*(functools.partial(charge, time) for time in times))
            heard, _ = split(outcomes, TooManyRequestsError, ContentionError)
            granted += len(heard)
            assert 5 <= granted <= sum(slot <= second for slot in SLOTS_S)


def test_what_was_read_long_ago_opens_no_slot() -> None:
    """A caller that read before others failed is refused by its own write."""
    fresh = dynamodb.batch_get(*backoff.wanted(ACCOUNT, jkt=STRANGER))
    charge(0)
    after_one = dynamodb.batch_get(*backoff.wanted(ACCOUNT, jkt=STRANGER))
    for second in SLOTS_S[1:8]:
        charge(second)
    for found in (fresh, after_one):
        with pytest.raises(TooManyRequestsError) as refused:
            backoff.charge(ACCOUNT, jkt=STRANGER, found=found, now_s=AT_S + 7)
        assert refused.value.retry_after_s == 8
    assert failures() == 8


def test_a_count_that_came_back_opens_no_slot() -> None:
    """The same number of failures, taken back and made anew, is another pause."""
    for _ in range(5):
        charge(0)
    found = dynamodb.batch_get(*backoff.wanted(ACCOUNT, jkt=STRANGER))
    succeed(charge(1, jkt=STRANGER_TOO), 1)
    for _ in range(5):
        charge(1)
    with pytest.raises(TooManyRequestsError):
        backoff.charge(ACCOUNT, jkt=STRANGER, found=found, now_s=AT_S + 1)
    assert failures() == 5


def test_a_server_that_is_behind_refuses_no_free_attempt() -> None:
    """The first five depend on no clock."""
    for second in (10, 0, 9, 1, 5):
        charge(second)
    assert pause_s(5) == 1


def test_a_success_beside_a_guess_stays_a_success() -> None:
    """A guess that was charged after the right code does not undo its transaction."""
    right = charge(0)
    charge(0)
    succeed(right, 0)
    assert failures() == 0


# ---- success ------------------------------------------------------------------------------------


def test_success_takes_the_failures_back() -> None:
    """After a right code the schedule begins anew."""
    fail(15)
    succeed(charge(31), 31)
    for _ in range(5):
        charge(31)
    assert pause_s(31) == 1


def test_a_transaction_that_fails_takes_nothing_back(product: Product) -> None:
    """The failures are forgotten by the transaction of the session, or not at all."""
    fail(7)
    charged = charge(15)
    never = dynamodb.demand(
        tables.once(), tables.device_key(OTHER, DEVICE), where='"ttl" > ?', given=(0,)
    )
    with unchanged(product[0]), pytest.raises(ConditionFailedError):
        dynamodb.execute(
            backoff.cleared(charged), backoff.remembered(charged, now_s=AT_S + 15), never
        )
    assert pause_s(15) == 16


def test_success_without_a_charge_is_no_success() -> None:
    """There is nothing to clear where nothing was charged."""
    nobody = Charge(OTHER, STRANGER, backoff.SHARED_LANE, is_device_stored=False, failures=1)
    with pytest.raises(ConditionFailedError):
        dynamodb.execute(backoff.cleared(nobody))


# ---- lanes --------------------------------------------------------------------------------------


def test_strangers_do_not_slow_a_known_device() -> None:
    """However often unknown keys fail, the owner's device is heard at once."""
    know(0)
    fail(1023)
    assert pause_s(1023) == 900
    assert pause_s(1023, jkt=STRANGER_TOO) == 900
    assert charge(1023, jkt=DEVICE).lane == DEVICE


def test_all_strangers_share_one_lane() -> None:
    """A new key is no fresh start."""
    for second, number in zip(SLOTS_S[:10], range(10), strict=True):
        charge(second, jkt=f"{number}" * 43)
    assert pause_s(31, jkt="x" * 43) == 32


def test_a_known_device_is_slowed_by_its_own_failures_alone() -> None:
    """A stolen device backs off like anybody, and slows nobody else."""
    know(0)
    know(0, jkt=STRANGER_TOO)
    fail(7, jkt=DEVICE)
    assert pause_s(7, jkt=DEVICE) == 8
    charge(7, jkt=STRANGER)
    charge(7, jkt=STRANGER_TOO)


def test_a_known_device_s_success_does_not_help_strangers() -> None:
    """What a device takes back is its own lane's."""
    know(0)
    fail(7)
    succeed(charge(7, jkt=DEVICE), 7)
    assert pause_s(7) == 8


def test_accounts_do_not_share() -> None:
    """A device known to one account is a stranger to another, and failures are an account's."""
    know(0)
    fail(7)
    charge(7, account=OTHER)
    assert charge(7, jkt=DEVICE, account=OTHER).lane == backoff.SHARED_LANE


def test_a_failure_makes_no_device_known() -> None:
    """Only the transaction of a success does."""
    fail(15, jkt=DEVICE)
    assert charge(31, jkt=DEVICE).lane == backoff.SHARED_LANE


@pytest.mark.parametrize(("day", "is_known"), [(89, True), (90, False), (1000, False)])
def test_a_device_is_forgotten_after_ninety_days(day: int, is_known: bool) -> None:  # noqa: FBT001
    """On the day it is a stranger, though DynamoDB has not deleted it yet."""
    know(0)
    lane = charge(day * DAY_S, jkt=DEVICE).lane
    assert lane == (DEVICE if is_known else backoff.SHARED_LANE)


@pytest.mark.parametrize("day", [89, 90, 1000])
def test_success_makes_a_device_known_for_ninety_days_more(day: int) -> None:
    """Known, expired or long expired: it is known from this success on."""
    know(0)
    know(day * DAY_S)
    assert charge((day + 89) * DAY_S, jkt=DEVICE).lane == DEVICE


def test_one_device_is_made_known_once() -> None:
    """Of two first successes of one key at once, one transaction wins and the other writes none."""
    one, other = charge(0, jkt=DEVICE), charge(0, jkt=DEVICE)
    succeed(one, 0)
    with pytest.raises(ConditionFailedError):
        succeed(other, 0)


# ---- forgetting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("later_s", "expected"), [(DAY_S - 1, 10), (DAY_S, 1)])
def test_failures_are_forgotten_after_a_day_without_one(later_s: int, expected: int) -> None:
    """By the clock, not by when DynamoDB deletes; a second less, and the count goes on."""
    assert len(fail(15)) == 9
    charge(15 + later_s)
    assert failures() == expected


def test_a_lane_is_kept_longer_than_its_longest_pause() -> None:
    """DynamoDB deletes no pause that has not ended."""
    fail(3723)
    item = dynamodb.get(tables.once(), tables.backoff_key(ACCOUNT, backoff.SHARED_LANE))
    assert item is not None
    assert item["ttl"] - item["not_before"] > 10 * backoff.PAUSE_S_MAX


# ---- the store, and what it costs ---------------------------------------------------------------


def test_a_charge_is_one_write_on_top_of_its_caller_s_read(proxy: Proxy) -> None:
    """First, further and known: one read of three items, one write."""
    know(0)
    for jkt in (STRANGER, STRANGER, DEVICE, DEVICE):
        proxy.calls.clear()
        charge(0, jkt=jkt)
        assert proxy.calls == {"BatchGetItem": 1, "UpdateItem": 1}


@pytest.mark.parametrize("by", list(Loss), ids=lambda by: str(by.name.lower()))
@pytest.mark.parametrize("before", [0, 7])
def test_a_lost_answer_is_charged_once(proxy: Proxy, by: Loss, before: int) -> None:
    """The SDK's repetition meets the attempt's own id: granted, and counted once."""
    count = len(fail(before)) if before else 0
    lost = proxy.lose_answer("UpdateItem", by=by)
    charge(15 if before else 0)
    assert lost.hits == 1
    assert failures() == count + 1


def test_a_store_that_does_not_answer_lets_no_code_be_verified(
    product: Product, proxy: Proxy
) -> None:
    """Without the charge there is no verification."""
    proxy.fail_before("UpdateItem", times=faults.ALWAYS)
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        charge(0)


def test_a_charge_that_meets_a_transaction_lets_no_code_be_verified(
    product: Product, proxy: Proxy
) -> None:
    """While a success is being written, another attempt of the lane is not heard."""
    proxy.refuse("UpdateItem", "TransactionConflictException", times=faults.ALWAYS)
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        charge(0)


def test_others_who_keep_interfering_end_in_a_bounded_number_of_rounds(
    product: Product, proxy: Proxy
) -> None:
    """A lane that changes before each write, and never has to wait, is given up."""
    charge(0)

    def change() -> None:
        product[0].call(
            "update_item",
            TableName=tables.once(),
            Key={"pk": {"S": tables.backoff_key(ACCOUNT, backoff.SHARED_LANE)["pk"]}},
            UpdateExpression="SET failures = failures + :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    proxy.calls.clear()
    proxy.meanwhile("UpdateItem", change, times=faults.ALWAYS)
    with pytest.raises(InfrastructureError):
        charge(0)
    assert proxy.calls["UpdateItem"] == 6
    assert failures() == 7
