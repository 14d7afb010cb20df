"""What the ledger posts: wallets opened, money paid in, money moved, each exactly once."""

import pytest

from portcullis.evidence import meaning, receipts
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey, TrustedKeys
from portcullis.evidence.orders import OpenWallet
from portcullis.evidence.receipts import Leg
from tests.contract.ledger import orders
from tests.contract.ledger.bank import NOW, ROLES, Bank
from tests.contract.ledger.books import dump, items

pytestmark = pytest.mark.contract


def test_a_wallet_is_opened_empty(bank: Bank) -> None:
    """An opened wallet holds nothing, and its opening is a posting with a receipt."""
    user = bank.user()
    answer = bank.give("open-wallet", user, orders.open_wallet("EUR"))
    books = bank.audit()
    assert books.balances == {(user.account, "EUR"): 0}
    assert books.entries == 0
    assert set(books.postings) == {answer["posting"]}
    assert answer == {
        "posting": answer["posting"],
        "kind": "open-wallet",
        "currency": "EUR",
        "opened_at": "2027-01-15T08:00:00Z",
        "receipt": books.postings[answer["posting"]]["receipt"],
        "replayed": False,
    }


def test_a_deposit_moves_money_from_the_house_to_the_account(bank: Bank) -> None:
    """What a partner pays in, its own house owes."""
    partner = bank.partner("sandbox", floor={"EUR": "500.00"})
    user = bank.holder()
    answer = bank.deposit(partner, user, "100.00")
    books = bank.audit()
    assert books.balances == {(partner.house, "EUR"): -10_000, (user.account, "EUR"): 10_000}
    assert answer == {
        "posting": answer["posting"],
        "kind": "deposit",
        "amount": {"amount": "100.00", "currency": "EUR"},
        "account": user.account,
        "posted_at": "2027-01-15T08:00:00Z",
        "receipt": books.postings[answer["posting"]]["receipt"],
        "replayed": False,
    }


def test_a_transfer_moves_money_from_one_user_to_another(bank: Bank) -> None:
    """What the giver loses, the taker has."""
    giver, taker = bank.holder("100.00"), bank.holder()
    answer = bank.transfer(giver, taker, "12.34")
    books = bank.audit()
    assert books.balances[giver.account, "EUR"] == 8_766
    assert books.balances[taker.account, "EUR"] == 1_234
    assert sum(books.balances.values()) == 0
    assert answer == {
        "posting": answer["posting"],
        "kind": "transfer",
        "amount": {"amount": "12.34", "currency": "EUR"},
        "to_account": taker.account,
        "posted_at": "2027-01-15T08:00:00Z",
        "receipt": books.postings[answer["posting"]]["receipt"],
        "replayed": False,
    }


def test_a_wallet_can_be_emptied_and_no_more(bank: Bank) -> None:
    """The last cent may leave."""
    giver, taker = bank.holder("100.00"), bank.holder()
    bank.transfer(giver, taker, "100.00")
    assert (bank.balance(giver), bank.balance(taker)) == (0, 10_000)


def test_a_house_can_owe_up_to_its_floor(bank: Bank) -> None:
    """A deposit that takes the house exactly to its floor is posted, in one step or in two."""
    partner = bank.partner("sandbox", floor={"EUR": "100.00"})
    user = bank.holder()
    bank.deposit(partner, user, "99.99")
    bank.deposit(partner, user, "0.01")
    assert bank.balance(partner) == -10_000


def test_wallets_of_several_currencies_do_not_mix(bank: Bank) -> None:
    """Each currency has a wallet, a house and a chain of its own."""
    user = bank.holder("100.00", "EUR")
    bank.give("open-wallet", user, orders.open_wallet("JPY"))
    bank.deposit(bank.funds, user, "77", currency="JPY")
    assert bank.audit().balances == {
        (user.account, "EUR"): 10_000,
        (user.account, "JPY"): 77,
        (bank.funds.house, "EUR"): -10_000,
        (bank.funds.house, "JPY"): -77,
    }


def test_each_partner_pays_from_its_own_house(bank: Bank) -> None:
    """One partner's deposits are never another's debt."""
    user = bank.holder()
    one = bank.partner("one", floor={"EUR": "10.00"})
    two = bank.partner("two", floor={"EUR": "10.00"})
    bank.deposit(one, user, "1.00")
    bank.deposit(two, user, "2.00")
    assert (bank.balance(one), bank.balance(two), bank.balance(user)) == (-100, -200, 300)


def test_the_receipt_is_about_this_order_and_no_other(bank: Bank) -> None:
    """It verifies for the meaning of the order, names its legs and command, and nothing else."""
    giver, taker = bank.holder("100.00"), bank.holder()
    body = orders.transfer(taker.account, "1.00")
    command = bank.command("transfer", giver, body, key="key-1")
    order, posted = bank.obey(command, role=ROLES["transfer"])
    keys = TrustedKeys(PublicKey.of(bank.keys.signing_key("receipt").public_key()))
    receipt = receipts.verify(posted.receipt, keys=keys, expected_meaning=order.meaning)
    assert receipt.legs == [
        Leg(account=giver.account, currency="EUR", minor=-100),
        Leg(account=taker.account, currency="EUR", minor=100),
    ]
    assert receipt.cmd == receipts.digest(command)
    other = meaning.of_order(OpenWallet(currency="EUR"), principal=giver.account, key="key-1")
    with pytest.raises(EvidenceError):
        receipts.verify(posted.receipt, keys=keys, expected_meaning=other)


def test_a_replay_has_the_first_answer(bank: Bank) -> None:
    """The same order under the same key is answered as before, marked, and posts nothing."""
    giver, taker = bank.holder("100.00"), bank.holder()
    first = bank.transfer(giver, taker, "60.00", key="key-1")
    before = dump(bank.tables)
    again = bank.transfer(giver, taker, "60.00", key="key-1", now=NOW + 3600)
    assert again == first | {"replayed": True}
    assert dump(bank.tables) == before


def test_the_same_command_twice_is_a_replay(bank: Bank) -> None:
    """A command that is delivered again posts nothing again."""
    giver, taker = bank.holder("100.00"), bank.holder()
    command = bank.command("transfer", giver, orders.transfer(taker.account, "60.00"))
    _, first = bank.obey(command, role=ROLES["transfer"])
    before = dump(bank.tables)
    _, again = bank.obey(command, role=ROLES["transfer"], now=NOW + 29)
    assert (again.posting, again.receipt, again.at) == (first.posting, first.receipt, NOW)
    assert (first.replayed, again.replayed) == (False, True)
    assert dump(bank.tables) == before


def test_the_same_deposit_twice_is_a_replay(bank: Bank) -> None:
    """A partner's reference is its idempotency key."""
    user = bank.holder()
    first = bank.deposit(bank.funds, user, "5.00", reference="ref-1")
    again = bank.deposit(bank.funds, user, "5.00", reference="ref-1")
    assert again == first | {"replayed": True}
    assert bank.balance(user) == 500


def test_opening_a_wallet_twice_under_one_key_is_a_replay(bank: Bank) -> None:
    """The same order under the same key is not a second opening."""
    user = bank.user()
    first = bank.give("open-wallet", user, orders.open_wallet(), key="key-1")
    again = bank.give("open-wallet", user, orders.open_wallet(), key="key-1")
    assert again == first | {"replayed": True}


def test_a_replay_is_answered_whatever_happened_since(bank: Bank) -> None:
    """A posted order is answered as posted even if today it would be refused."""
    giver, taker = bank.holder("100.00"), bank.holder()
    first = bank.transfer(giver, taker, "60.00", key="key-1")
    bank.transfer(giver, taker, "40.00")
    bank.stand(giver, status="QUARANTINED", epoch=2, frozen_until=NOW + 60)
    assert bank.transfer(giver, taker, "60.00", key="key-1") == first | {"replayed": True}
    assert bank.balance(taker) == 10_000


def test_another_spelling_of_the_same_order_is_a_replay(bank: Bank) -> None:
    """The meaning is compared, not the bytes: white space and order of members say nothing."""
    giver, taker = bank.holder("100.00"), bank.holder()
    first = bank.transfer(giver, taker, "1.00", key="key-1")
    spaced = (
        f'{{ "amount":\n{{"currency":"EUR", "amount":"1.00"}}, "to_account":"{taker.account}"}}'
    )
    again = bank.give("transfer", giver, spaced.encode(), key="key-1")
    assert again == first | {"replayed": True}


def test_a_key_belongs_to_its_giver_and_its_route(bank: Bank) -> None:
    """Two users, two routes and a partner may use the same key; each order is posted."""
    one, two = bank.user(), bank.user()
    for user in (one, two):
        bank.give("open-wallet", user, orders.open_wallet(), key="same")
        bank.deposit(bank.funds, user, "10.00", reference=f"same{user.account}")
    bank.transfer(one, two, "3.00", key="same")
    bank.transfer(two, one, "1.00", key="same")
    other = bank.partner("other", floor={"EUR": "1.00"})
    bank.deposit(other, one, "1.00", reference=f"same{one.account}")
    assert (bank.balance(one), bank.balance(two)) == (900, 1_200)


def test_a_token_may_end_between_the_gate_and_the_posting(bank: Bank) -> None:
    """Token and proof are judged at the command's time, not at the ledger's."""
    giver, taker = bank.holder("100.00"), bank.holder()
    token = bank.token(giver, claims={"exp": NOW + 1})
    body = orders.transfer(taker.account, "1.00")
    command = bank.command("transfer", giver, body, token=token)
    _, posted = bank.obey(command, role=ROLES["transfer"], now=NOW + 29)
    assert not posted.replayed
    assert bank.balance(taker) == 100


def test_a_replay_outlives_token_and_proof(bank: Bank) -> None:
    """Within the command's own time a replay is answered though token and proof have ended."""
    giver, taker = bank.holder("100.00"), bank.holder()
    token = bank.token(giver, now=NOW - 60, claims={"exp": NOW + 1})
    body = orders.transfer(taker.account, "1.00")
    proof = bank.proof(giver, "transfer", body, "key-1", token, now=NOW - 60)
    command = bank.command("transfer", giver, body, token=token, proof=proof)
    _, first = bank.obey(command, role=ROLES["transfer"])
    _, again = bank.obey(command, role=ROLES["transfer"], now=NOW + 20)
    assert (again.posting, again.replayed) == (first.posting, True)
    assert bank.balance(taker) == 100


def test_one_proof_in_two_commands_is_a_replay(bank: Bank) -> None:
    """The money zone may repeat itself in a new command: it is still one order of the user's."""
    giver, taker = bank.holder("100.00"), bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)
    proof = bank.proof(giver, "transfer", body, "key-1", token)
    posted = [
        bank.obey(
            bank.command("transfer", giver, body, token=token, proof=proof),
            role=ROLES["transfer"],
        )[1]
        for _ in range(2)
    ]
    assert [one.replayed for one in posted] == [False, True]
    assert posted[0].receipt == posted[1].receipt
    assert bank.balance(taker) == 100


@pytest.mark.parametrize("status", ["QUARANTINED", "CLOSING"])
def test_money_comes_in_whatever_the_standing(bank: Bank, status: str) -> None:
    """A deposit needs nobody's standing: an account in quarantine or frozen still receives."""
    user = bank.holder()
    bank.stand(user, status=status, epoch=7, frozen_until=NOW + 60)
    bank.deposit(bank.funds, user, "5.00")
    assert bank.balance(user) == 500


def test_a_taker_needs_no_standing(bank: Bank) -> None:
    """Only the debited account's standing is asked for."""
    giver, taker = bank.holder("5.00"), bank.holder()
    bank.stand(taker, status="QUARANTINED", epoch=7, frozen_until=NOW + 60)
    bank.transfer(giver, taker, "5.00")
    assert bank.balance(taker) == 500


@pytest.mark.parametrize("frozen_until", [NOW, NOW - 1])
def test_money_moves_again_when_the_freeze_is_over(bank: Bank, frozen_until: int) -> None:
    """In its last second nothing moves; from the end on, everything does."""
    giver, taker = bank.holder("5.00"), bank.holder()
    bank.stand(giver, frozen_until=frozen_until)
    bank.transfer(giver, taker, "5.00")
    bank.give("open-wallet", giver, orders.open_wallet("USD"))
    assert bank.balance(taker) == 500


@pytest.mark.parametrize("acr", ["phr", "mfa"])
def test_every_full_sign_in_moves_money(bank: Bank, acr: str) -> None:
    """A passkey does, and so do password and TOTP together."""
    giver, taker = bank.holder("5.00"), bank.holder()
    token = bank.token(giver, claims={"acr": acr})
    command = bank.command("transfer", giver, orders.transfer(taker.account, "5.00"), token=token)
    bank.obey(command, role=ROLES["transfer"])
    assert bank.balance(taker) == 500


def test_evidence_is_remembered_longer_than_it_can_be_used(bank: Bank) -> None:
    """A consumed proof outlives every command that could still carry it."""
    giver, taker = bank.holder("5.00"), bank.holder()
    bank.transfer(giver, taker, "5.00")
    last_use = NOW + 10 + 60 + 30  # ahead of us, its window, then the life of a last command
    once = items(bank.tables, "ledger_once")
    assert len(once) == 7
    assert all(item["ttl"] > last_use for item in once)


def test_a_posting_keeps_its_evidence(bank: Bank) -> None:
    """The command, with the user's token and proof inside, stands in the journal for ever."""
    giver, taker = bank.holder("5.00"), bank.holder()
    command = bank.command("transfer", giver, orders.transfer(taker.account, "5.00"))
    _, posted = bank.obey(command, role=ROLES["transfer"])
    stored = bank.audit().postings[posted.posting]
    assert stored["command"] == command
    assert stored["principal"] == giver.account
    assert "ttl" not in stored
