"""What goes wrong between the ledger and its database: never a second posting, never half of one.

Amazon DynamoDB Local loses no answer and reports no conflict; the proxy before it does both.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from portcullis.aws.dynamodb import CONTENTION_ROUNDS_MAX, ContentionError, StoreError
from portcullis.aws.kms import KeyServiceError
from portcullis.errors import InfrastructureError
from portcullis.evidence.errors import EvidenceRefusedError
from portcullis.ledger.post import ROUNDS_MAX, Posted
from portcullis.refusals import (
    DebitNotAllowedError,
    IdempotencyKeyReusedError,
    InsufficientFundsError,
    WalletAlreadyOpenError,
)
from tests.contract.ledger import orders
from tests.contract.ledger.bank import NOW, ROLES, Bank, User
from tests.contract.ledger.books import dump
from tests.support.faults import ALWAYS, Loss, Proxy

pytestmark = pytest.mark.contract

WRITE = "ExecuteTransaction"
READ = "BatchGetItem"
SDK_ATTEMPTS = 2

losses = pytest.mark.parametrize("by", list(Loss), ids=lambda by: by.name.lower())


class Order:
    """One transfer of a euro under one key, which can be given again and again."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.giver, self.taker = bank.holder("100.00"), bank.holder()
        self.body = orders.transfer(self.taker.account, "1.00")
        self.command = self.new_command()

    def new_command(self, *, now: int = NOW) -> str:
        """Return a fresh command with a fresh proof for the same order."""
        return self.bank.command("transfer", self.giver, self.body, key="key-1", now=now)

    def give(self, command: str | None = None, *, now: int = NOW) -> Posted:
        """Give it, by its own command or another."""
        return self.bank.obey(command or self.command, role=ROLES["transfer"], now=now)[1]

    def is_posted_once(self) -> bool:
        """Whether exactly one euro has moved, after an audit of everything."""
        books = self.bank.audit()
        return (
            books.balances[self.giver.account, "EUR"],
            books.balances[self.taker.account, "EUR"],
            sum(posting["kind"] == "transfer" for posting in books.postings.values()),
        ) == (9_900, 100, 1)


@pytest.fixture
def order(bank: Bank, proxy: Proxy) -> Order:
    """An order, everything behind it warmed up, and nothing counted yet."""
    order = Order(bank)
    proxy.heal()
    bank.keys.calls.clear()
    return order


@contextmanager
def failing(order: Order, failure: type[InfrastructureError]) -> Iterator[None]:
    """Demand that what is done here fails with exactly *failure*, and changes nothing."""
    before = dump(order.bank.tables)
    with pytest.raises(InfrastructureError) as failed:
        yield
    assert failed.type is failure
    assert dump(order.bank.tables) == before


def test_a_transfer_costs_three_round_trips(order: Order, proxy: Proxy) -> None:
    """Batch read, signature, transaction: nothing else, and each once."""
    order.give()
    assert proxy.calls == Counter({READ: 1, WRITE: 1})
    assert order.bank.keys.calls == Counter({"Sign": 1})


def test_an_opening_costs_three_round_trips(order: Order, proxy: Proxy) -> None:
    """A wallet is opened at the price of a transfer."""
    order.bank.give("open-wallet", order.giver, orders.open_wallet("USD"))
    assert proxy.calls == Counter({READ: 1, WRITE: 1})
    assert order.bank.keys.calls == Counter({"Sign": 1})


def test_a_deposit_costs_one_more_for_the_registry(order: Order, proxy: Proxy) -> None:
    """The partner is looked up each time: a key that was struck off must not live on in memory."""
    order.bank.deposit(order.bank.funds, order.taker, "1.00")
    assert proxy.calls == Counter({"GetItem": 1, READ: 1, WRITE: 1})
    assert order.bank.keys.calls == Counter({"Sign": 1})


def test_a_replay_signs_and_writes_nothing(order: Order, proxy: Proxy) -> None:
    """A known order costs two reads."""
    order.give()
    proxy.heal()
    order.bank.keys.calls.clear()
    assert order.give(order.new_command()).replayed
    assert proxy.calls == Counter({READ: 1, "GetItem": 1})
    assert not order.bank.keys.calls


def test_a_refusal_signs_and_writes_nothing(order: Order, proxy: Proxy) -> None:
    """What the book does not allow costs one read; a forgery costs none."""
    with pytest.raises(InsufficientFundsError):
        order.bank.transfer(order.giver, order.taker, "100.01")
    assert proxy.calls == Counter({READ: 1})
    proxy.heal()
    with pytest.raises(EvidenceRefusedError):
        order.give(order.bank.command("transfer", order.giver, b"{}"))
    assert not proxy.calls
    assert not order.bank.keys.calls


@losses
def test_a_lost_answer_is_a_success_of_its_own_repetition(
    order: Order, proxy: Proxy, by: Loss
) -> None:
    """Committed, then lost: the SDK's repetition under the same token is answered as posted."""
    proxy.lose_answer(WRITE, by=by)
    assert not order.give().replayed
    assert proxy.calls[WRITE] == 2
    assert order.bank.keys.calls == Counter({"Sign": 1})
    assert order.is_posted_once()


@losses
def test_a_lost_answer_is_recognised_by_its_own_posting(
    order: Order, proxy: Proxy, by: Loss
) -> None:
    """Without DynamoDB's memory the repetition fails; the book shows that the posting is ours."""
    proxy.without_idempotency = True
    proxy.lose_answer(WRITE, by=by)
    posted = order.give()
    assert not posted.replayed
    assert proxy.calls == Counter({WRITE: 2, READ: 2, "GetItem": 1})
    assert order.bank.keys.calls == Counter({"Sign": 1})
    assert order.is_posted_once()
    assert order.bank.audit().postings[posted.posting]["receipt"] == posted.receipt


@pytest.mark.parametrize("stripped", [False, True], ids=["token kept", "token stripped"])
def test_a_lost_opening_and_a_lost_deposit_are_successes_too(
    order: Order, proxy: Proxy, *, stripped: bool
) -> None:
    """Every kind of posting recognises its own repetition."""
    bank = order.bank
    proxy.without_idempotency = stripped
    proxy.lose_answer(WRITE)
    assert not bank.give("open-wallet", order.giver, orders.open_wallet("USD"))["replayed"]
    proxy.lose_answer(WRITE)
    assert not bank.deposit(bank.funds, order.giver, "3.00", currency="USD")["replayed"]
    assert bank.keys.calls == Counter({"Sign": 2})
    assert bank.balance(order.giver, "USD") == 300


@pytest.mark.parametrize("stripped", [False, True], ids=["token kept", "token stripped"])
def test_an_outcome_that_stays_unknown_is_told_by_the_same_key(
    order: Order, proxy: Proxy, *, stripped: bool
) -> None:
    """If every answer is lost it is a failure; the same key then has the one posting's receipt."""
    proxy.without_idempotency = stripped
    # Unstripped, the repetition is answered from the token's memory, and that is lost as well;
    # stripped, it is told that the key is there, and the reading after it fails.
    proxy.lose_answer(WRITE, times=SDK_ATTEMPTS)
    proxy.fail_before(READ, nth=2, times=SDK_ATTEMPTS)
    with pytest.raises(StoreError):
        order.give()
    proxy.heal()
    again = order.give(order.new_command(now=NOW + 60), now=NOW + 60)
    assert again.replayed
    assert again.at == NOW
    assert order.bank.keys.calls == Counter({"Sign": 1})
    assert order.is_posted_once()


@losses
def test_a_failure_before_the_write_spends_nothing(order: Order, proxy: Proxy, by: Loss) -> None:
    """Neither key nor proof nor command nor money: the very same command posts afterwards."""
    proxy.fail_before(WRITE, by=by, times=SDK_ATTEMPTS)
    with failing(order, StoreError):
        order.give()
    assert proxy.calls[WRITE] == SDK_ATTEMPTS
    assert not order.give().replayed
    assert order.is_posted_once()


@losses
def test_one_failure_before_the_write_is_repeated_unseen(
    order: Order, proxy: Proxy, by: Loss
) -> None:
    """The SDK's second attempt posts; nobody hears of the first."""
    proxy.fail_before(WRITE, by=by)
    assert not order.give().replayed
    assert order.bank.keys.calls == Counter({"Sign": 1})
    assert order.is_posted_once()


def test_a_failed_read_signs_nothing(order: Order, proxy: Proxy) -> None:
    """What is not known is not decided."""
    proxy.fail_before(READ, times=SDK_ATTEMPTS)
    with failing(order, StoreError):
        order.give()
    assert not order.bank.keys.calls
    assert proxy.calls == Counter({READ: SDK_ATTEMPTS})
    assert not order.give().replayed
    assert order.is_posted_once()


def test_without_a_signature_nothing_is_posted(order: Order, proxy: Proxy) -> None:
    """A posting without its receipt does not exist; the same command posts once KMS is back."""
    order.bank.keys.failing.add("Sign")
    with failing(order, KeyServiceError):
        order.give()
    assert proxy.calls == Counter({READ: 1})
    order.bank.keys.failing.clear()
    assert not order.give().replayed
    assert order.is_posted_once()


def test_without_the_registry_no_deposit_is_posted(order: Order, proxy: Proxy) -> None:
    """A partner that cannot be looked up is not trusted, and not refused either."""
    bank = order.bank
    proxy.fail_before("GetItem", times=SDK_ATTEMPTS)
    with failing(order, StoreError):
        bank.deposit(bank.funds, order.taker, "1.00")


def test_a_conflict_is_retried_with_one_signature(order: Order, proxy: Proxy) -> None:
    """Others hold the heads three times; the fourth write posts, with the receipt of the first."""
    proxy.conflict(WRITE, times=3)
    assert not order.give().replayed
    assert proxy.calls == Counter({READ: 1, WRITE: 4})
    assert order.bank.keys.calls == Counter({"Sign": 1})
    assert order.is_posted_once()


def test_endless_conflict_is_a_bounded_failure(order: Order, proxy: Proxy) -> None:
    """After its bounded retries the ledger gives up, nothing posted; the same key then posts."""
    proxy.conflict(WRITE, times=ALWAYS)
    with failing(order, ContentionError):
        order.give()
    assert proxy.calls[WRITE] == CONTENTION_ROUNDS_MAX
    assert order.bank.keys.calls == Counter({"Sign": 1})
    proxy.heal()
    assert not order.give(order.new_command()).replayed
    assert order.is_posted_once()


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
    ],
    ids=str,
)
def test_a_busy_database_is_retried_and_bounded(order: Order, proxy: Proxy, code: str) -> None:
    """Refused once it is asked again, by the SDK; refused for ever nothing is posted."""
    proxy.refuse(WRITE, code, times=ALWAYS)
    with failing(order, ContentionError):
        order.give()
    assert proxy.calls[WRITE] == SDK_ATTEMPTS
    proxy.heal()
    proxy.refuse(WRITE, code, times=SDK_ATTEMPTS - 1)
    assert not order.give().replayed
    assert order.bank.keys.calls == Counter({"Sign": 2})
    assert order.is_posted_once()


def test_a_moved_head_is_read_again(order: Order, proxy: Proxy) -> None:
    """A failed condition is classified by reading again; the receipt is not signed again."""
    proxy.cancel(WRITE, "None", "ConditionalCheckFailed", times=3)
    assert not order.give().replayed
    assert proxy.calls == Counter({READ: 4, WRITE: 4})
    assert order.bank.keys.calls == Counter({"Sign": 1})
    assert order.is_posted_once()


@pytest.mark.parametrize(
    "reasons",
    [
        ("ConditionalCheckFailed",),
        ("TransactionConflict", "ConditionalCheckFailed"),
        ("None", "None", "None", "None", "None", "DuplicateItem"),
    ],
    ids=["condition", "condition and conflict", "duplicate"],
)
def test_a_condition_that_never_holds_is_a_bounded_failure(
    order: Order, proxy: Proxy, reasons: tuple[str, ...]
) -> None:
    """Rounds are bounded, too: no posting, one signature, and the same key posts afterwards."""
    proxy.cancel(WRITE, *reasons, times=ALWAYS)
    with failing(order, ContentionError):
        order.give()
    assert proxy.calls == Counter({READ: ROUNDS_MAX, WRITE: ROUNDS_MAX})
    assert order.bank.keys.calls == Counter({"Sign": 1})
    proxy.heal()
    assert not order.give().replayed
    assert order.is_posted_once()


@pytest.mark.parametrize("reason", ["AccessDenied", "ItemCollectionSizeLimitExceeded", "Other"])
def test_a_cancellation_that_we_do_not_know_is_a_failure(
    order: Order, proxy: Proxy, reason: str
) -> None:
    """It is neither contention nor a condition: it is not repeated, and nothing is posted."""
    proxy.cancel(WRITE, "None", reason)
    with failing(order, StoreError):
        order.give()
    assert proxy.calls[WRITE] == 1


def test_a_kill_between_read_and_write_is_seen_by_the_write(order: Order, proxy: Proxy) -> None:
    """The epoch is demanded by the transaction itself: a session killed meanwhile pays nothing."""
    proxy.meanwhile(WRITE, lambda: order.bank.stand(order.giver, epoch=2))
    with pytest.raises(DebitNotAllowedError):
        order.give()
    assert order.bank.balance(order.giver) == 10_000


def test_a_quarantine_between_read_and_write_is_seen_by_the_write(
    order: Order, proxy: Proxy
) -> None:
    """So is the status: an account restricted meanwhile pays nothing, and opens nothing."""
    proxy.meanwhile(WRITE, lambda: order.bank.stand(order.giver, status="QUARANTINED"))
    with pytest.raises(DebitNotAllowedError):
        order.give()
    order.bank.stand(order.giver)
    proxy.meanwhile(WRITE, lambda: order.bank.stand(order.giver, status="QUARANTINED"))
    with pytest.raises(DebitNotAllowedError):
        order.bank.give("open-wallet", order.giver, orders.open_wallet("USD"))
    assert order.bank.balance(order.giver) == 10_000


def test_a_freeze_between_read_and_write_is_seen_by_the_write(order: Order, proxy: Proxy) -> None:
    """So is a recovery's freeze."""
    proxy.meanwhile(WRITE, lambda: order.bank.stand(order.giver, frozen_until=NOW + 1))
    with pytest.raises(DebitNotAllowedError):
        order.give()
    order.bank.stand(order.giver)
    proxy.meanwhile(WRITE, lambda: order.bank.stand(order.giver, frozen_until=NOW + 1))
    with pytest.raises(DebitNotAllowedError):
        order.bank.give("open-wallet", order.giver, orders.open_wallet("USD"))
    assert order.bank.balance(order.giver) == 10_000


def test_money_spent_between_read_and_write_is_not_spent_again(order: Order, proxy: Proxy) -> None:
    """The wallet is emptied meanwhile: the write fails, and the answer is that it is empty."""
    proxy.meanwhile(WRITE, lambda: order.bank.transfer(order.giver, order.taker, "99.50"))
    with pytest.raises(InsufficientFundsError):
        order.give()
    assert order.bank.balance(order.giver) == 50


def test_money_moved_between_read_and_write_is_counted(order: Order, proxy: Proxy) -> None:
    """Both heads move meanwhile: the posting follows them in both chains."""
    proxy.meanwhile(WRITE, lambda: order.bank.transfer(order.giver, order.taker, "99.00"))
    assert not order.give().replayed
    assert order.bank.keys.calls == Counter({"Sign": 2})
    assert (order.bank.balance(order.giver), order.bank.balance(order.taker)) == (0, 10_000)


def test_the_same_order_posted_between_read_and_write_is_a_replay(
    order: Order, proxy: Proxy
) -> None:
    """Somebody else gave the same order under the same key: one posting, and its receipt."""
    first: list[Posted] = []
    proxy.meanwhile(WRITE, lambda: first.append(order.give(order.new_command())))
    posted = order.give()
    assert posted.replayed
    assert (posted.posting, posted.receipt) == (first[0].posting, first[0].receipt)
    assert order.is_posted_once()


def test_another_order_posted_between_read_and_write_takes_the_key(
    order: Order, proxy: Proxy
) -> None:
    """The key now stands for another order: 422, and only that one is posted."""

    def other() -> None:
        order.bank.transfer(order.giver, order.taker, "2.00", key="key-1")

    proxy.meanwhile(WRITE, other)
    with pytest.raises(IdempotencyKeyReusedError):
        order.give()
    assert order.bank.balance(order.taker) == 200


def test_a_proof_used_between_read_and_write_is_not_used_again(order: Order, proxy: Proxy) -> None:
    """Another order with the same proof id was faster: this one is refused."""
    bank, giver, token = order.bank, order.giver, order.bank.token(order.giver)

    def command(key: str) -> str:
        proof = bank.proof(giver, "transfer", order.body, key, token, jti="the-same-proof")
        return bank.command("transfer", giver, order.body, token=token, proof=proof)

    proxy.meanwhile(WRITE, lambda: order.give(command("key-2")))
    with pytest.raises(EvidenceRefusedError):
        order.give(command("key-3"))
    assert bank.balance(order.taker) == 100


def test_a_wallet_opened_between_read_and_write_is_not_opened_again(
    order: Order, proxy: Proxy
) -> None:
    """Opening never replaces a head: the balance that it holds by now stays."""
    bank = order.bank
    user: User = bank.user()

    def open_and_fill() -> None:
        bank.give("open-wallet", user, orders.open_wallet(), key="other")
        bank.deposit(bank.funds, user, "5.00")

    proxy.meanwhile(WRITE, open_and_fill)
    with pytest.raises(WalletAlreadyOpenError):
        bank.give("open-wallet", user, orders.open_wallet(), key="mine")
    assert bank.balance(user) == 500


def test_a_house_opened_between_read_and_write_is_not_opened_again(
    order: Order, proxy: Proxy
) -> None:
    """Two first deposits of one partner: the second follows the first, and counts its debt."""
    bank = order.bank
    partner = bank.partner("sandbox", floor={"EUR": "5.00"})
    proxy.meanwhile(WRITE, lambda: bank.deposit(partner, order.taker, "4.00"))
    with pytest.raises(InsufficientFundsError):
        bank.deposit(partner, order.taker, "2.00")
    assert bank.balance(partner) == -400
