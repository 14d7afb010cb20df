"""What genuine orders are refused, by the state of the book; nothing changes on any refusal."""

import pytest

from portcullis.refusals import (
    BalanceLimitError,
    DebitNotAllowedError,
    IdempotencyKeyReusedError,
    InsufficientFundsError,
    SameWalletError,
    WalletAlreadyOpenError,
    WalletNotOpenError,
)
from tests.contract.ledger import orders
from tests.contract.ledger.bank import NOW, ROLES, Bank, User

pytestmark = pytest.mark.contract

BALANCE_MAX = 10**17


def test_a_transfer_to_oneself_is_refused(bank: Bank) -> None:
    """A transfer needs two accounts."""
    giver = bank.holder("100.00")
    with bank.unchanged(SameWalletError):
        bank.transfer(giver, giver, "1.00")


@pytest.mark.parametrize("amount", ["100.01", "10000000000000.00"])
def test_an_overdraft_is_refused(bank: Bank, amount: str) -> None:
    """Not a cent more than the wallet holds can leave it."""
    giver, taker = bank.holder("100.00"), bank.holder()
    with bank.unchanged(InsufficientFundsError):
        bank.transfer(giver, taker, amount)


def test_an_empty_wallet_gives_nothing(bank: Bank) -> None:
    """The smallest amount is too much for a wallet without money."""
    giver, taker = bank.holder(), bank.holder("5.00")
    with bank.unchanged(InsufficientFundsError):
        bank.transfer(giver, taker, "0.01")


def test_money_of_another_currency_does_not_help(bank: Bank) -> None:
    """What a user holds in one currency covers nothing in another."""
    giver, taker = bank.holder("100.00", "USD"), bank.holder()
    bank.give("open-wallet", giver, orders.open_wallet("EUR"))
    with bank.unchanged(InsufficientFundsError):
        bank.transfer(giver, taker, "1.00")


def test_a_transfer_from_an_absent_wallet_is_refused(bank: Bank) -> None:
    """Who has opened no wallet gives nothing."""
    giver, taker = bank.user(), bank.holder()
    with bank.unchanged(WalletNotOpenError):
        bank.transfer(giver, taker, "1.00")


def test_a_transfer_to_an_absent_wallet_is_refused(bank: Bank) -> None:
    """Nothing is sent to an account without a wallet, nor to one that does not exist."""
    giver = bank.holder("100.00")
    for taker in (bank.user(), User()):
        with bank.unchanged(WalletNotOpenError):
            bank.transfer(giver, taker, "1.00")


def test_a_transfer_to_a_wallet_of_another_currency_is_refused(bank: Bank) -> None:
    """The taker's wallet must be open in the currency that is sent."""
    giver, taker = bank.holder("100.00", "EUR"), bank.holder(currency="USD")
    with bank.unchanged(WalletNotOpenError):
        bank.transfer(giver, taker, "1.00")


def test_a_deposit_to_an_absent_wallet_is_refused(bank: Bank) -> None:
    """A deposit opens no wallet, and no house either."""
    partner, user = bank.partner("sandbox", floor={"EUR": "100.00"}), bank.user()
    with bank.unchanged(WalletNotOpenError):
        bank.deposit(partner, user, "1.00")


def test_a_wallet_is_opened_once(bank: Bank) -> None:
    """A second opening under another key is refused and leaves the balance alone."""
    user = bank.holder("5.00")
    with bank.unchanged(WalletAlreadyOpenError):
        bank.give("open-wallet", user, orders.open_wallet("EUR"), key="another")


def test_a_credit_beyond_the_balance_limit_is_refused(bank: Bank) -> None:
    """No wallet holds more than a balance can be; one that is just full stays so."""
    giver, taker = bank.holder("100.00"), bank.holder()
    bank.tables.call(
        "update_item",
        TableName=bank.tables.balances,
        Key={"pk": {"S": f"WALLET#{taker.account}"}, "sk": {"S": "EUR"}},
        UpdateExpression="SET #balance = :balance",
        ExpressionAttributeNames={"#balance": "balance"},
        ExpressionAttributeValues={":balance": {"N": str(BALANCE_MAX - 100)}},
    )
    with bank.unchanged(BalanceLimitError):
        bank.transfer(giver, taker, "1.01")
    with bank.unchanged(BalanceLimitError):
        bank.deposit(bank.funds, taker, "1.01")
    bank.transfer(giver, taker, "1.00")
    with bank.unchanged(BalanceLimitError):
        bank.transfer(giver, taker, "0.01")


def test_a_deposit_beyond_the_floor_is_refused(bank: Bank) -> None:
    """A house owes no more than its partner was registered for: at once or by and by."""
    partner, user = bank.partner("sandbox", floor={"EUR": "100.00"}), bank.holder()
    with bank.unchanged(InsufficientFundsError):
        bank.deposit(partner, user, "100.01")
    bank.deposit(partner, user, "100.00")
    with bank.unchanged(InsufficientFundsError):
        bank.deposit(partner, user, "0.01")


def test_a_deposit_in_a_currency_without_a_floor_is_refused(bank: Bank) -> None:
    """A partner owes nothing in a currency that it was not registered for."""
    partner, user = bank.partner("sandbox", floor={"EUR": "100.00"}), bank.holder(currency="USD")
    with bank.unchanged(InsufficientFundsError):
        bank.deposit(partner, user, "0.01", currency="USD")


def test_one_partners_floor_does_not_help_another(bank: Bank) -> None:
    """However deep one house may go, another stops at its own floor."""
    user = bank.holder()
    bank.deposit(bank.partner("rich", floor={"EUR": "1000000.00"}), user, "1000.00")
    poor = bank.partner("poor", floor={"EUR": "1.00"})
    with bank.unchanged(InsufficientFundsError):
        bank.deposit(poor, user, "1.01")


@pytest.mark.parametrize("status", ["QUARANTINED", "RESTRICTED", "CLOSED", "active", ""])
def test_a_restricted_account_moves_nothing(bank: Bank, status: str) -> None:
    """Only ``ACTIVE`` allows a debit or an opening; whatever else stands there does not."""
    giver, taker = bank.holder("100.00"), bank.holder()
    bank.stand(giver, status=status)
    with bank.unchanged(DebitNotAllowedError):
        bank.transfer(giver, taker, "1.00")
    with bank.unchanged(DebitNotAllowedError):
        bank.give("open-wallet", giver, orders.open_wallet("USD"))


def test_an_account_without_standing_moves_nothing(bank: Bank) -> None:
    """An absent standing is no standing."""
    giver, taker = bank.holder("100.00"), bank.holder()
    bank.tables.call(
        "delete_item", TableName=bank.tables.standing, Key={"pk": {"S": giver.account}}
    )
    with bank.unchanged(DebitNotAllowedError):
        bank.transfer(giver, taker, "1.00")


@pytest.mark.parametrize(("of_token", "of_standing"), [(1, 2), (2, 3), (1, 9), (2, 1)])
def test_a_token_of_another_epoch_moves_nothing(
    bank: Bank, of_token: int, of_standing: int
) -> None:
    """A kill ends every token issued before it, though the token itself still verifies."""
    giver, taker = bank.holder("100.00"), bank.holder()
    bank.stand(giver, epoch=of_standing)
    token = bank.token(giver, epoch=of_token)
    body = orders.transfer(taker.account, "1.00")
    with bank.unchanged(DebitNotAllowedError):
        bank.obey(bank.command("transfer", giver, body, token=token), role=ROLES["transfer"])


@pytest.mark.parametrize("more_s", [1, 86_400])
def test_a_frozen_account_moves_nothing(bank: Bank, more_s: int) -> None:
    """While a recovery's freeze is on, nothing is debited and no wallet is opened."""
    giver, taker = bank.holder("100.00"), bank.holder()
    bank.stand(giver, frozen_until=NOW + more_s)
    with bank.unchanged(DebitNotAllowedError):
        bank.transfer(giver, taker, "1.00")
    with bank.unchanged(DebitNotAllowedError):
        bank.give("open-wallet", giver, orders.open_wallet("USD"))


@pytest.mark.parametrize("acr", ["provisional", "", "0", "PHR", "phr mfa", "urn:other"])
def test_a_sign_in_that_is_not_full_moves_nothing(bank: Bank, acr: str) -> None:
    """A provisional factor signs in and reads; the ledger sees to it without the gate's help."""
    giver, taker = bank.holder("100.00"), bank.holder()
    token = bank.token(giver, claims={"acr": acr})
    for kind, body in (
        ("transfer", orders.transfer(taker.account, "1.00")),
        ("open-wallet", orders.open_wallet("USD")),
    ):
        command = bank.command(kind, giver, body, token=token)
        with bank.unchanged(DebitNotAllowedError):
            bank.obey(command, role=ROLES[kind])


@pytest.mark.parametrize("change", ["amount", "account", "currency"])
def test_a_key_stands_for_one_transfer(bank: Bank, change: str) -> None:
    """The same key with another order is refused, be it only a cent more."""
    giver, taker, other = bank.holder("100.00"), bank.holder(), bank.holder()
    bank.transfer(giver, taker, "1.00", key="key-1")
    body = {
        "amount": orders.transfer(taker.account, "1.01"),
        "account": orders.transfer(other.account, "1.00"),
        "currency": orders.transfer(taker.account, "1.00", "USD"),
    }[change]
    with bank.unchanged(IdempotencyKeyReusedError):
        bank.give("transfer", giver, body, key="key-1")


def test_a_key_stands_for_one_opening(bank: Bank) -> None:
    """The key that opened one wallet opens no other."""
    user = bank.user()
    bank.give("open-wallet", user, orders.open_wallet("EUR"), key="key-1")
    with bank.unchanged(IdempotencyKeyReusedError):
        bank.give("open-wallet", user, orders.open_wallet("USD"), key="key-1")


def test_a_reference_stands_for_one_deposit(bank: Bank) -> None:
    """A partner's reference with another amount or account is refused."""
    user, other = bank.holder(), bank.holder()
    bank.deposit(bank.funds, user, "1.00", reference="ref-1")
    with bank.unchanged(IdempotencyKeyReusedError):
        bank.deposit(bank.funds, user, "1.01", reference="ref-1")
    with bank.unchanged(IdempotencyKeyReusedError):
        bank.deposit(bank.funds, other, "1.00", reference="ref-1")


def test_a_reused_key_is_refused_before_anything_else_is_judged(bank: Bank) -> None:
    """Even when the wallet is empty or restricted, the contradiction is what is answered."""
    giver, taker = bank.holder("1.00"), bank.holder()
    bank.transfer(giver, taker, "1.00", key="key-1")
    bank.stand(giver, status="QUARANTINED")
    with bank.unchanged(IdempotencyKeyReusedError):
        bank.transfer(giver, taker, "5.00", key="key-1")


def test_a_refusal_spends_nothing(bank: Bank) -> None:
    """Key, proof and command of a refused order serve the same order once it is possible."""
    giver, taker = bank.holder("1.00"), bank.holder()
    body = orders.transfer(taker.account, "5.00")
    command = bank.command("transfer", giver, body, key="key-1")
    with bank.unchanged(InsufficientFundsError):
        bank.obey(command, role=ROLES["transfer"])
    bank.deposit(bank.funds, giver, "4.00")
    _, posted = bank.obey(command, role=ROLES["transfer"], now=NOW + 5)
    assert not posted.replayed
    assert (bank.balance(giver), bank.balance(taker)) == (0, 500)
