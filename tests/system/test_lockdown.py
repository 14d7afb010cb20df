"""Lockdown on the deployed stack: one operator's word stops what is in flight, by HTTP and role."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from portcullis import clock
from tests.support import inside
from tests.support.client import Client
from tests.support.operator import Office, Operator
from tests.support.stack import Stack
from tests.system.people import euros, with_money
from tests.system.test_owner import answered
from tests.system.test_stolen_roles import denied, resources, role
from tests.template.test_rights import LIFT, RAISE_EPOCHS

__all__ = ["resources"]

LOCKDOWN = "LOCKDOWN"
GIVERS = 6
PROBES_BEFORE = 6
AFTERWARDS_S = 6.0
"""A second longer than any posting function lives."""
BOUND_S = 10.0
WRITERS = RAISE_EPOCHS | LIFT | {"identity-open-account"}
"""Roles that may change standings, or make one."""

type Pair = tuple[Operator, Operator]


@pytest.fixture
def pair(stack: Stack) -> Iterator[Pair]:
    """Two operators, who leave the platform open to the tests that follow."""
    office = Office(stack)
    both = office.registered(), office.registered()
    yield both
    if (since := frozen_since(stack)) is not None:
        assert office.lift_lockdown(*both, since=since).status == 200


def frozen_since(stack: Stack) -> str | None:
    """Return the time by which a lift names the lockdown that stands, None if there is none."""
    stands = inside.item(stack, "Standing", LOCKDOWN)
    if stands is None or not stands["locked"]["BOOL"]:
        return None
    return clock.rfc3339(int(stands["since"]["N"]))


def test_what_leaves_is_stopped_and_what_comes_in_is_not(stack: Stack, pair: Pair) -> None:
    """One operator freezes, one alone lifts nothing, two do; then the same order is posted.

    A second freeze stands apart: a lift of the first does not end it.
    """
    office, giver, taker = Office(stack), with_money(stack, "5.00"), with_money(stack, "1.00")
    never = clock.rfc3339(0)
    assert answered(office.lift_lockdown(*pair, since=never)) == (409, "not-locked-down")
    frozen = office.lock_down(pair[0])
    assert (frozen.status, frozen.json["locked"], frozen.json["reason"]) == (200, True, "drill")
    anew = office.lock_down(pair[1], reason="fraud")
    assert (anew.status, anew.json["locked"], anew.json["reason"]) == (200, True, "fraud")
    first, since = frozen.json["since"], anew.json["since"]
    assert answered(office.lift_lockdown(*pair, since=first)) == (409, "another-lockdown")
    refused = giver.transfer(taker.account, "1.00", "EUR", key="after-the-lift")
    assert answered(refused) == (403, "locked-down")
    assert with_money(stack, "2.00").wallets().status == 200
    alone = office.lift_lockdown(pair[0], pair[0], since=since)
    assert answered(alone) == (403, "two-operators-required")
    assert office.lift_lockdown(*pair, since=since).status == 200
    assert giver.transfer(taker.account, "1.00", "EUR", key="after-the-lift").status == 201
    assert euros(taker) == "2.00"


def test_only_the_operators_role_reaches_the_switch(stack: Stack, pair: Pair) -> None:
    """A partner's role is refused before any function hears of it."""
    office, partner = Office(stack), role(stack, "partner-sandbox")
    assert answered(office.lock_down(pair[0], role=partner)) == (403, "forbidden")
    lift = office.lift_lockdown(*pair, since=clock.rfc3339(0), role=partner)
    assert answered(lift) == (403, "forbidden")


def test_no_role_that_writes_standings_lifts_a_lockdown(
    stack: Stack, resources: dict[str, str], pair: Pair
) -> None:
    """The item is in their table, and its key is not theirs, by whichever action they try."""
    assert Office(stack).lock_down(pair[0]).status == 200
    ways = list(_ways(resources["StandingTable"]))
    passed = [
        (thief, operation)
        for thief in sorted(WRITERS)
        for operation, parameters in ways
        if not denied(role(stack, thief), "dynamodb", operation, **parameters)
    ]
    assert passed == []
    assert frozen_since(stack) is not None


def _ways(table: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every call that could take the lockdown away, with its parameters."""
    key = {"pk": {"S": LOCKDOWN}}
    opened = {**key, "locked": {"BOOL": False}, "since": {"N": "0"}, "reason": {"S": "drill"}}
    change = {
        "UpdateExpression": "SET locked = :no",
        "ExpressionAttributeValues": {":no": {"BOOL": False}},
    }
    yield "put_item", {"TableName": table, "Item": opened}
    yield "update_item", {"TableName": table, "Key": key, **change}
    yield "delete_item", {"TableName": table, "Key": key}
    for request in ({"PutRequest": {"Item": opened}}, {"DeleteRequest": {"Key": key}}):
        yield "batch_write_item", {"RequestItems": {table: [request]}}
    for action in (
        {"Put": {"TableName": table, "Item": opened}},
        {"Update": {"TableName": table, "Key": key, **change}},
        {"Delete": {"TableName": table, "Key": key}},
    ):
        yield "transact_write_items", {"TransactItems": [action]}
    for text in (
        f'UPDATE "{table}" SET "locked" = false WHERE "pk" = ?',  # noqa: S608 a table's name
        f'DELETE FROM "{table}" WHERE "pk" = ?',  # noqa: S608 a table's name
        f"INSERT INTO \"{table}\" VALUE {{'pk': ?, 'locked': false}}",
    ):
        one = {"Statement": text, "Parameters": [{"S": LOCKDOWN}]}
        yield "execute_statement", one
        yield "execute_transaction", {"TransactStatements": [one]}
        yield "batch_execute_statement", {"Statements": [one]}


@dataclass(frozen=True)
class Try:
    """A transfer: when it was sent, when it was answered, and how."""

    sent_at: float
    answered_at: float
    status: int
    name: str | None


def test_no_money_leaves_ten_seconds_after_a_freeze(
    stack: Stack, pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    """Givers transfer without a pause: what is sent after the operator's 200 is never posted."""
    givers = [with_money(stack, "100.00") for _ in range(GIVERS)]
    enough, over = threading.Semaphore(0), threading.Event()

    def give(lane: int) -> list[Try]:
        tries: list[Try] = []
        giver, taker = givers[lane], givers[lane - 1]
        try:
            while not over.is_set():
                tries.append(_transferred(giver, str(taker.account)))
                enough.release()
        finally:
            enough.release(PROBES_BEFORE)
        return tries

    with ThreadPoolExecutor(GIVERS) as pool:
        lanes = [pool.submit(give, lane) for lane in range(GIVERS)]
        for _ in range(PROBES_BEFORE):
            assert enough.acquire(timeout=60)
        assert Office(stack).lock_down(pair[0]).status == 200
        frozen_at = time.monotonic()
        over.wait(AFTERWARDS_S)
        over.set()
        tries = [one for lane in lanes for one in lane.result()]
    posted = [one for one in tries if one.status == 201]
    late = [one for one in tries if one.sent_at >= frozen_at]
    assert {(one.status, one.name) for one in late} == {(403, "locked-down")}
    last_s = max(one.answered_at for one in posted) - frozen_at
    with capsys.disabled():
        print(f"\nlast transfer answered {last_s * 1000:+.0f} ms after the freeze's answer")  # noqa: T201
    assert last_s < BOUND_S


def _transferred(giver: Client, taker: str) -> Try:
    sent_at = time.monotonic()
    reply = giver.transfer(taker, "0.01", "EUR")
    status, name = answered(reply)
    return Try(sent_at, time.monotonic(), status, name)
