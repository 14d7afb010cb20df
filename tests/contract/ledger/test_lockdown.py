"""Lockdown at the ledger: what leaves is stopped at once, what comes in goes on."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from portcullis import clock
from portcullis.identity import lockdown
from portcullis.identity.tables import LOCKDOWN
from portcullis.ledger import book
from portcullis.ledger.book import Page
from portcullis.ledger.post import Posted
from portcullis.operations import registry
from portcullis.operations.registry import OperatorRegistration
from portcullis.refusals import DebitNotAllowedError, LockedDownError
from tests.contract.conftest import INTERNAL_ORIGIN
from tests.contract.ledger import orders
from tests.contract.ledger.bank import NOW, Bank
from tests.contract.ledger.test_races import Outcome, Wish, ordered
from tests.support import jws
from tests.support.faults import TRANSACTION, Proxy
from tests.support.operator import Operator

pytestmark = pytest.mark.contract

THREADS = 16
FREEZE_AFTER = 60
"""Postings that are through before somebody freezes."""
AFTERWARDS_S = 1.0
"""How long everybody goes on trying after the freeze."""
BOUND_S = 10.0
"""The promise: no money goes out that much later."""


@dataclass(frozen=True)
class Office:
    """Two operators who freeze and lift at the domain's door, as their routes do it."""

    alice: Operator
    bob: Operator

    def freeze(self) -> None:
        """Freeze outgoing money."""
        command = self.alice.lock_down(INTERNAL_ORIGIN, now=NOW)
        assert lockdown.lock_down(command, caller_role="operator", now_s=NOW).locked

    def lift(self) -> None:
        """Let it go out again."""
        since = clock.rfc3339(NOW)
        commands = [
            one.lift_lockdown(INTERNAL_ORIGIN, since=since, now=NOW)
            for one in (self.alice, self.bob)
        ]
        assert not lockdown.lift(commands, caller_role="operator", now_s=NOW).locked


@pytest.fixture
def office(bank: Bank) -> Office:
    """Two registered operators."""
    assert bank
    both = Operator("alice"), Operator("bob")
    for one in both:
        key = jws.public_jwk(one.key)
        registry.register_operator(OperatorRegistration(operator=one.name, key=key))
    return Office(*both)


def test_nobody_s_money_leaves_under_lockdown(bank: Bank, office: Office) -> None:
    """Every transfer is refused, by its own name, and changes nothing."""
    people = [bank.holder("5.00") for _ in range(3)]
    office.freeze()
    for giver, taker in zip(people, [*people[1:], people[0]], strict=True):
        with bank.unchanged(LockedDownError):
            bank.transfer(giver, taker, "1.00")


def test_money_comes_in_under_lockdown(bank: Bank, office: Office) -> None:
    """Partners pay in, and wallets are opened: nothing of it leaves."""
    office.freeze()
    user = bank.holder("5.00")
    bank.give("open-wallet", user, orders.open_wallet("USD"))
    bank.deposit(bank.funds, user, "2.00")
    assert bank.balance(user) == 700


def test_money_leaves_again_when_two_have_lifted(bank: Bank, office: Office) -> None:
    """The order that was refused is posted under the same key: a refusal used nothing up."""
    giver, taker = bank.holder("5.00"), bank.holder()
    office.freeze()
    with bank.unchanged(LockedDownError):
        bank.transfer(giver, taker, "1.00", key="key-1")
    office.lift()
    assert not bank.transfer(giver, taker, "1.00", key="key-1")["replayed"]
    assert bank.balance(taker) == 100


def test_what_was_posted_before_is_answered_as_posted(bank: Bank, office: Office) -> None:
    """A replay moves no money, so a lockdown does not make it look as if none had moved."""
    giver, taker = bank.holder("5.00"), bank.holder()
    first = bank.transfer(giver, taker, "1.00", key="key-1")
    office.freeze()
    assert bank.transfer(giver, taker, "1.00", key="key-1") == first | {"replayed": True}


def test_a_lift_frees_nobody_who_is_held_for_a_reason_of_his_own(
    bank: Bank, office: Office
) -> None:
    """An account in quarantine stays where it is."""
    giver, taker = bank.holder("5.00"), bank.holder()
    office.freeze()
    bank.stand(giver, status="QUARANTINED", epoch=2)
    office.lift()
    with bank.unchanged(DebitNotAllowedError):
        bank.transfer(giver, taker, "1.00")


def test_a_posting_that_meets_contention_looks_at_the_switch_again(
    bank: Bank, office: Office, proxy: Proxy
) -> None:
    """Whoever has to read again reads the lockdown, too: a second round is no way around it."""
    giver, taker = bank.holder("5.00"), bank.holder()

    def meanwhile() -> None:
        bank.deposit(bank.funds, giver, "1.00")
        office.freeze()

    proxy.meanwhile(TRANSACTION, meanwhile)
    with pytest.raises(LockedDownError):
        bank.transfer(giver, taker, "1.00")
    assert (bank.balance(giver), bank.balance(taker)) == (600, 0)


def test_what_was_read_before_the_freeze_may_still_be_posted(
    bank: Bank, office: Office, proxy: Proxy
) -> None:
    """The window that the runbook names is real: from its read on, a posting is not stopped."""
    giver, taker = bank.holder("5.00"), bank.holder()
    proxy.meanwhile(TRANSACTION, office.freeze)
    bank.transfer(giver, taker, "1.00")
    assert bank.balance(taker) == 100


def test_the_lockdown_is_read_in_the_one_read_and_is_in_no_transaction(
    bank: Bank, proxy: Proxy
) -> None:
    """A posting costs no round trip more for it, and no two postings meet at one item."""
    giver, taker = bank.holder("5.00"), bank.holder()
    seen: list[str] = []
    for operation in ("BatchGetItem", "ExecuteTransaction"):
        proxy.meanwhile(
            operation, partial(seen.append, operation), matching=lambda body: LOCKDOWN in str(body)
        )
    proxy.calls.clear()
    bank.transfer(giver, taker, "1.00")
    assert seen == ["BatchGetItem"]
    assert proxy.calls == {"BatchGetItem": 1, "ExecuteTransaction": 1}


@dataclass(frozen=True)
class Try:
    """One order: when its last read began, when it had its answer, and which."""

    read_at: float
    answered_at: float
    outcome: Outcome


@contextmanager
def last_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.local]:
    """Note for each thread when its last read of the book began."""
    notes, read = threading.local(), book.read

    def noted(*arguments: Any) -> Page:
        notes.began = time.monotonic()
        return read(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(book, "read", noted)
        yield notes


def test_no_posting_that_read_after_the_freeze_commits(
    bank: Bank, office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sixteen givers post as fast as they can: from the freeze's answer on, no new read posts."""
    people = [bank.holder("1000.00") for _ in range(THREADS)]
    enough, over = threading.Semaphore(0), threading.Event()

    def give(lane: int, notes: threading.local) -> list[Try]:
        tries: list[Try] = []
        try:
            while not over.is_set():
                wish = Wish(people[lane], people[lane - 1], 1, f"key-{len(tries)}")
                outcome = ordered(bank, wish)
                tries.append(Try(notes.began, time.monotonic(), outcome))
                enough.release()
        finally:
            enough.release(FREEZE_AFTER)  # a lane that fails does not let the freeze wait for it
        return tries

    with last_reads(monkeypatch) as notes, ThreadPoolExecutor(THREADS) as pool:
        lanes = [pool.submit(give, lane, notes) for lane in range(THREADS)]
        for _ in range(FREEZE_AFTER):
            assert enough.acquire(timeout=60)
        office.freeze()
        frozen_at = time.monotonic()
        threading.Event().wait(AFTERWARDS_S)
        over.set()
        tries = [one for lane in lanes for one in lane.result()]

    posted = [one for one in tries if isinstance(one.outcome, Posted)]
    refused = [one for one in tries if not isinstance(one.outcome, Posted)]
    assert len(posted) >= FREEZE_AFTER
    assert {type(one.outcome) for one in refused} == {LockedDownError}
    assert len(refused) >= THREADS
    assert [one for one in posted if one.read_at >= frozen_at] == []
    last_s = max(one.answered_at for one in posted) - frozen_at
    with capsys.disabled():
        print(f"\nlast posting answered {last_s * 1000:+.0f} ms after the freeze's answer")  # noqa: T201
    assert last_s < BOUND_S
    assert sum(bank.audit().balances.values()) == 0
