"""Many orders at once: money is conserved, no key posts twice, every chain is whole."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from portcullis import entropy
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.ledger.post import Posted
from portcullis.refusals import (
    IdempotencyKeyReusedError,
    InsufficientFundsError,
    WalletAlreadyOpenError,
)
from tests.contract.ledger import orders
from tests.contract.ledger.bank import ROLES, Bank, User

pytestmark = pytest.mark.contract

THREADS = 16
TRANSFERS = 2_000
WALLETS = 10
ATTEMPTS_MAX = 40
PAUSE_S = 0.05

type Outcome = Posted | RefusedError


@dataclass(frozen=True)
class Wish:
    """What somebody wants to be transferred, under one key however often it is asked for."""

    giver: User
    taker: User
    minor: int
    key: str

    @property
    def body(self) -> bytes:
        """The order."""
        return orders.transfer(self.taker.account, f"{self.minor // 100}.{self.minor % 100:02d}")


def outcome(attempt: Callable[[], Posted]) -> Outcome:
    """Return how an order ended; while that is not known, ask again, a bounded number of times."""
    for _ in range(ATTEMPTS_MAX):
        try:
            return attempt()
        except RefusedError as refusal:
            return refusal
        except InfrastructureError:
            threading.Event().wait(entropy.jitter_s(PAUSE_S))
    raise AssertionError("no answer however often it was asked for")


def ordered(bank: Bank, wish: Wish) -> Outcome:
    """Give one order, with a fresh command and a fresh proof for each attempt."""

    def attempt() -> Posted:
        command = bank.command("transfer", wish.giver, wish.body, key=wish.key)
        return bank.obey(command, role=ROLES["transfer"])[1]

    return outcome(attempt)


def at_once[Result](works: Sequence[Callable[[], Result]]) -> list[Result]:
    """Do all the works from one moment on, each in a thread of its own."""
    start = threading.Barrier(len(works))

    def work(one: Callable[[], Result]) -> Result:
        start.wait()
        return one()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(work, works))


@pytest.mark.timeout(900)
def test_two_thousand_transfers_at_once_conserve_money(bank: Bank) -> None:
    """Between ten wallets by sixteen givers: nothing is lost, made, overdrawn or posted twice."""
    people = [bank.holder("100.00") for _ in range(WALLETS)]
    before = bank.audit()
    chance = random.Random(7)  # noqa: S311 it chooses who pays whom, no secret
    wishes = []
    for number in range(TRANSFERS):
        giver, taker = chance.sample(people, 2)
        wishes.append(Wish(giver, taker, chance.randint(1, 4_000), f"key-{number}"))
    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = list(pool.map(lambda wish: ordered(bank, wish), wishes))
    after = bank.audit()  # chains whole, no balance below zero, entries are legs, evidence used

    posted = {
        (wish.giver.account + "#transfer", wish.key): one.posting
        for wish, one in zip(wishes, outcomes, strict=True)
        if isinstance(one, Posted)
    }
    refused = [one for one in outcomes if not isinstance(one, Posted)]
    assert all(type(one) is InsufficientFundsError for one in refused)
    assert len(posted) + len(refused) == TRANSFERS
    assert len(posted) >= TRANSFERS // 4, "too few succeeded to prove anything"
    assert len(set(posted.values())) == len(posted)
    assert {key: after.keys[key] for key in after.keys.keys() - before.keys.keys()} == posted
    assert after.postings.keys() - before.postings.keys() == set(posted.values())
    assert after.entries - before.entries == 2 * len(posted)
    owned = [after.balances[person.account, "EUR"] for person in people]
    assert sum(owned) == WALLETS * 10_000
    assert sum(after.balances.values()) == 0
    expected = dict.fromkeys((person.account for person in people), 10_000)
    for wish, one in zip(wishes, outcomes, strict=True):
        if isinstance(one, Posted):
            expected[wish.giver.account] -= wish.minor
            expected[wish.taker.account] += wish.minor
    assert owned == list(expected.values())


def test_one_key_given_by_four_at_once_posts_once(bank: Bank) -> None:
    """Of four identical orders one posts, and the others are answered with its receipt."""
    people = [bank.holder("100.00") for _ in range(4)]
    for number in range(50):
        giver, taker = people[number % 4], people[(number + 1) % 4]
        wish = Wish(giver, taker, 7, f"key-{number}")
        outcomes = at_once([partial(ordered, bank, wish)] * 4)
        posted = [one for one in outcomes if isinstance(one, Posted)]
        assert len(posted) == 4
        assert sorted(one.replayed for one in posted) == [False, True, True, True]
        assert len({(one.posting, one.receipt, one.at) for one in posted}) == 1
    books = bank.audit()
    assert sum(posting["kind"] == "transfer" for posting in books.postings.values()) == 50


def test_one_command_delivered_four_times_at_once_posts_once(bank: Bank) -> None:
    """A command that arrives four times is one posting: the same evidence is no second order."""
    giver, taker = bank.holder("100.00"), bank.holder()
    for number in range(10):
        body = orders.transfer(taker.account, "1.00")
        command = bank.command("transfer", giver, body, key=f"key-{number}")

        def attempt(command: str = command) -> Outcome:
            return outcome(lambda: bank.obey(command, role=ROLES["transfer"])[1])

        posted = [one for one in at_once([attempt] * 4) if isinstance(one, Posted)]
        assert len(posted) == 4
        assert len({one.posting for one in posted}) == 1
        assert sum(not one.replayed for one in posted) == 1
    assert bank.balance(taker) == 1_000


def test_one_key_given_for_four_orders_at_once_posts_one(bank: Bank) -> None:
    """Four different orders under one key: one is posted, the other three contradict it."""
    giver, taker = bank.holder("100.00"), bank.holder()
    for number in range(10):
        wishes = [Wish(giver, taker, minor, f"key-{number}") for minor in (1, 2, 3, 4)]
        outcomes = at_once([partial(ordered, bank, wish) for wish in wishes])
        kinds = sorted(type(one).__name__ for one in outcomes)
        assert kinds == [IdempotencyKeyReusedError.__name__] * 3 + [Posted.__name__]
    assert len([k for k in bank.audit().keys if k[0].endswith("#transfer")]) == 10


def test_a_wallet_is_not_spent_twice_by_orders_at_once(bank: Bank) -> None:
    """Sixteen orders for all that a wallet holds: one is posted, fifteen find it empty."""
    takers = [bank.holder() for _ in range(THREADS)]
    giver = bank.holder("5.00")
    wishes = [Wish(giver, taker, 500, f"key-{number}") for number, taker in enumerate(takers)]
    outcomes = at_once([partial(ordered, bank, wish) for wish in wishes])
    assert sum(isinstance(one, Posted) for one in outcomes) == 1
    assert sum(type(one) is InsufficientFundsError for one in outcomes) == THREADS - 1
    assert bank.balance(giver) == 0


def test_one_proof_serves_one_of_many_orders_at_once(bank: Bank) -> None:
    """The same proof id under eight keys at once posts once."""
    giver, taker = bank.holder("100.00"), bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)

    def attempt(key: str) -> Outcome:
        proof = bank.proof(giver, "transfer", body, key, token, jti="the-same-proof")
        command = bank.command("transfer", giver, body, token=token, proof=proof)
        return outcome(lambda: bank.obey(command, role=ROLES["transfer"])[1])

    outcomes = at_once([partial(attempt, f"key-{number}") for number in range(8)])
    assert sum(isinstance(one, Posted) for one in outcomes) == 1
    assert bank.balance(taker) == 100


def test_a_wallet_opened_by_many_at_once_is_opened_once(bank: Bank) -> None:
    """Eight openings under eight keys: one is posted, seven find the wallet open."""
    user = bank.user()

    def attempt(key: str) -> Outcome:
        def opening() -> Posted:
            command = bank.command("open-wallet", user, orders.open_wallet(), key=key)
            return bank.obey(command, role=ROLES["open-wallet"])[1]

        return outcome(opening)

    outcomes = at_once([partial(attempt, f"key-{number}") for number in range(8)])
    assert sum(isinstance(one, Posted) for one in outcomes) == 1
    assert sum(type(one) is WalletAlreadyOpenError for one in outcomes) == 7
    assert bank.audit().balances == {(user.account, "EUR"): 0}


def test_a_house_is_opened_once_by_first_deposits_at_once(bank: Bank) -> None:
    """Eight first deposits open one house and stop together at its floor."""
    partner = bank.partner("sandbox", floor={"EUR": "5.00"})
    takers = [bank.holder() for _ in range(8)]

    def attempt(number: int) -> Outcome:
        body = orders.deposit(takers[number].account, "1.00", f"ref-{number}")
        return outcome(lambda: bank.obey_partner(partner.command(body), role=partner.role)[1])

    outcomes = at_once([partial(attempt, number) for number in range(8)])
    assert sum(isinstance(one, Posted) for one in outcomes) == 5
    assert sum(type(one) is InsufficientFundsError for one in outcomes) == 3
    assert bank.balance(partner) == -500
