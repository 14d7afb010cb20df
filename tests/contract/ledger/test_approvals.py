"""Approvals at the ledger: who may pay without one, and what one is good for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from portcullis.evidence import approvals as evidence
from portcullis.evidence import caller
from portcullis.evidence.errors import EvidenceRefusedError
from portcullis.evidence.keys import PublicKey, TrustedKeys
from portcullis.ledger.post import Posted
from portcullis.money import commands
from portcullis.refusals import (
    ApprovalRefusedError,
    ApprovalRequiredError,
    DebitNotAllowedError,
    InsufficientFundsError,
)
from tests.contract.ledger import orders
from tests.contract.ledger.approvals import (
    CHALLENGE_S,
    LIFETIME_S,
    Order,
    approved,
    by_code,
    passkey,
)
from tests.contract.ledger.bank import NOW, PUBLIC_ORIGIN, ROLES, Bank, User
from tests.contract.ledger.books import items
from tests.contract.ledger.test_races import Outcome, at_once, outcome
from tests.support import jws
from tests.support.authenticator import Misbehaviour
from tests.support.faults import TRANSACTION, Loss, Proxy

pytestmark = pytest.mark.contract

THREADS = 16
ROLE = ROLES["transfer"]


@pytest.fixture
def giver(bank: Bank) -> User:
    """Somebody with a hundred euros, of whom an approval is demanded since this very second."""
    user = bank.holder("100.00")
    bank.stand(user, approval_required_since=NOW)
    return user


def give(
    bank: Bank, giver: User, order: Order, approval: str | None, *, now: int = NOW, epoch: int = 1
) -> Posted:
    """Give an order with an approval, by a fresh command with a fresh proof."""
    body = orders.transfer(order.to, order.amount, order.currency)
    token = bank.token(giver, now=now, epoch=epoch)
    command = bank.command(
        "transfer", giver, body, key=order.key, token=token, approval=approval, now=now
    )
    return bank.obey(command, role=ROLE, now=now)[1]


def uses(bank: Bank) -> list[str]:
    """Return which approvals were used."""
    return [one["pk"] for one in items(bank.tables, "ledger_once") if "APPROVAL#" in one["pk"]]


# Who needs one


def test_where_an_approval_is_demanded_no_money_goes_out_without_one(
    bank: Bank, giver: User
) -> None:
    """The user's signed order alone moves nothing until a factor has approved it."""
    order = Order.of(giver, bank.holder())
    with bank.unchanged(ApprovalRequiredError):
        give(bank, giver, order, None)


def test_an_approved_order_is_posted_and_its_approval_used(bank: Bank, giver: User) -> None:
    """With it the money goes, and the approval stands in the ledger as used by that posting."""
    taker = bank.holder()
    order = Order.of(giver, taker)
    posted = give(bank, giver, order, approved(bank, order, passkey(giver)))
    assert bank.balance(taker) == 100
    (used,) = [one for one in items(bank.tables, "ledger_once") if "APPROVAL#" in one["pk"]]
    assert (used["pk"], used["posting"]) == (f"APPROVAL#{order.jti}", posted.posting)
    assert used["ttl"] >= NOW + CHALLENGE_S + LIFETIME_S + 30, "its answer may be signed anew"


@pytest.mark.parametrize("late_s", [1, 60])
def test_an_approval_from_before_the_demand_is_none(bank: Bank, giver: User, late_s: int) -> None:
    """What a thief had approved before the anomaly was seen pays nothing after it."""
    order = Order.of(giver, bank.holder())
    approval = approved(bank, order, passkey(giver))
    bank.stand(giver, approval_required_since=NOW + late_s)
    with bank.unchanged(ApprovalRequiredError):
        give(bank, giver, order, approval, now=NOW + late_s)


@pytest.mark.parametrize("ahead_s", [0, 3_600])
def test_an_answer_from_before_the_demand_is_none(bank: Bank, giver: User, ahead_s: int) -> None:
    """However late it was made an approval: what counts is when the owner was asked.

    Nor does a question count as younger than its answer, whatever end it was given.
    """
    order = replace(Order.of(giver, bank.holder()), at=NOW + ahead_s)
    claims = {"iat": NOW + 2, "exp": NOW + 2 + LIFETIME_S}
    approval = approved(bank, order, passkey(giver), claims=claims)
    bank.stand(giver, approval_required_since=NOW + (3 if ahead_s else 1))
    with bank.unchanged(ApprovalRequiredError):
        give(bank, giver, order, approval, now=NOW + 2)


def test_where_none_is_demanded_an_approval_is_verified_all_the_same(bank: Bank) -> None:
    """Text that is no approval does not count as none, and a good one is used up."""
    giver, taker = bank.holder("100.00"), bank.holder()
    order = Order.of(giver, taker)
    with bank.unchanged(ApprovalRefusedError):
        give(bank, giver, order, "a.b.c")
    give(bank, giver, order, approved(bank, order, passkey(giver)))
    assert uses(bank) == [f"APPROVAL#{order.jti}"]


def test_the_demand_is_about_money_that_goes_out(bank: Bank, giver: User) -> None:
    """Its account opens wallets and is paid into as before."""
    bank.give("open-wallet", giver, orders.open_wallet("USD"))
    bank.deposit(bank.funds, giver, "1.00")
    bank.transfer(bank.holder("1.00"), giver, "1.00")
    assert bank.balance(giver) == 10_200


def test_an_opening_takes_no_approval(bank: Bank, giver: User) -> None:
    """An approval where none belongs is refused, not overlooked."""
    order = Order.of(giver, bank.holder())
    approval = approved(bank, order, passkey(giver))
    command = bank.command(
        "open-wallet", giver, orders.open_wallet("USD"), key=order.key, approval=approval
    )
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(command, role=ROLES["open-wallet"])


def test_an_approval_replaces_no_standing(bank: Bank, giver: User) -> None:
    """A quarantined, frozen or killed account does not pay, whatever it approved."""
    order = Order.of(giver, bank.holder())
    for standing in ({"status": "QUARANTINED"}, {"frozen_until": NOW + 60}, {"epoch": 2}):
        bank.stand(giver, **standing)
        with bank.unchanged(DebitNotAllowedError):
            give(bank, giver, order, approved(bank, order, passkey(giver)))


# For what


OTHERS: dict[str, Mapping[str, Any]] = {
    "another amount": {"amount": "1.01"},
    "another payee": {"to": "b" * 26},
    "another currency": {"currency": "USD"},
    "another key": {"key": "key-2"},
    "another account": {"account": "b" * 26},
    "another session": {"sid": "t" * 26},
    "another epoch": {"epoch": 2},
    "another proof key": {"jkt": "j" * 43},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_was_approved_for_one_order_pays_no_other(
    bank: Bank, giver: User, other: Mapping[str, Any]
) -> None:
    """A genuine approval of an order that differs in one thing is none of this one."""
    order = Order.of(giver, bank.holder())
    approval = approved(bank, replace(order, **other), passkey(giver))
    with bank.unchanged(ApprovalRefusedError):
        give(bank, giver, order, approval)


# How long


def test_an_approval_lives_two_minutes(bank: Bank, giver: User) -> None:
    """To the second, by the time of the command; and not before it was given, but for 5 s."""
    order = Order.of(giver, bank.holder())
    approval = approved(bank, order, passkey(giver))
    for at_s in (NOW - 6, NOW + LIFETIME_S, NOW + LIFETIME_S + 1):
        bank.stand(giver)
        with bank.unchanged(ApprovalRefusedError):
            give(bank, giver, order, approval, now=at_s)
    bank.stand(giver, approval_required_since=NOW)
    give(bank, giver, order, approval, now=NOW + LIFETIME_S - 1)
    early = replace(order, key="key-2", jti="early")
    give(bank, giver, early, approved(bank, early, passkey(giver)), now=NOW - 5)


def test_a_command_that_was_given_in_time_may_arrive_a_little_late(bank: Bank, giver: User) -> None:
    """Evidence is judged at the command's own time, which may be half a minute ago."""
    taker = bank.holder()
    order = Order.of(giver, taker)
    approval = approved(bank, order, passkey(giver))
    at_s = NOW + LIFETIME_S - 1
    body, token = orders.transfer(order.to, order.amount), bank.token(giver, now=at_s)
    command = bank.command(
        "transfer", giver, body, key=order.key, token=token, approval=approval, now=at_s
    )
    bank.obey(command, role=ROLE, now=at_s + 29)
    assert bank.balance(taker) == 100


# Forgeries


def _sent(bank: Bank, giver: User, order: Order, approval: str) -> None:
    with bank.unchanged(ApprovalRefusedError):
        give(bank, giver, order, approval)


CLAIMS: dict[str, Mapping[str, object]] = {
    "for identity": {"aud": "identity"},
    "for nobody": {"aud": jws.ABSENT},
    "another issuer": {"iss": "https://other.example.test"},
    "a life of 121 s": {"exp": NOW + LIFETIME_S + 1},
    "no life": {"exp": NOW},
    "another id": {"jti": "another"},
    "a later end of its challenge": {"until": NOW + 3_600},
    "a challenge that had ended": {"until": NOW - 1},
    "another kind": {"act": {"kind": "lift-demand", "fields": []}},
    "by a code": {"by": "totp"},
    "by nothing known": {"by": "operators"},
    "without its assertion": {"assertion": jws.ABSENT},
    "without its enrolment": {"enrolment": jws.ABSENT},
    "an unknown claim": {"limit": 1},
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
def test_a_wrong_claim_is_found_out(bank: Bank, giver: User, claims: Mapping[str, object]) -> None:
    """Under identity's own key, every claim that is not as the passkey signed it is refused."""
    order = Order.of(giver, bank.holder())
    _sent(bank, giver, order, approved(bank, order, passkey(giver), claims=claims))


WRONG: dict[str, Misbehaviour] = {
    "another origin": Misbehaviour(origin="https://evil.test"),
    "a cross-origin frame": Misbehaviour(cross_origin=True),
    "another relying party": Misbehaviour(rp_id="evil.test"),
    "no verified user": Misbehaviour(user_verified=False),
    "no present user": Misbehaviour(user_present=False),
    "another ceremony": Misbehaviour(ceremony="webauthn.create"),
    "another challenge": Misbehaviour(challenge=bytes(32)),
    "another key": Misbehaviour(signed_by=jws.new_key()),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_identitys_word_alone_pays_nothing(bank: Bank, giver: User, wrong: Misbehaviour) -> None:
    """Whoever can sign approvals, but has no passkey's signature over this order, mints none."""
    order = Order.of(giver, bank.holder())
    _sent(bank, giver, order, approved(bank, order, passkey(giver), misbehaviour=wrong))


def test_a_passkey_that_is_not_the_givers_approves_nothing(bank: Bank, giver: User) -> None:
    """A passkey of another account, or one that is provisional still, approves nothing."""
    order = Order.of(giver, bank.holder())
    _sent(bank, giver, order, approved(bank, order, passkey(giver), enrolled="b" * 26))
    for established_at in (NOW + 1, NOW + 86_400):
        approval = approved(bank, order, passkey(giver), established_at=established_at)
        _sent(bank, giver, order, approval)


def test_a_forged_signature_or_form_is_refused(bank: Bank, giver: User) -> None:
    """Of another key, of another type, altered, too long, or no JWS at all."""
    order, holder = Order.of(giver, bank.holder()), passkey(giver)
    good = approved(bank, order, holder)
    enrolment = jws.claims_of(good)["enrolment"]
    for forged in (
        approved(bank, order, holder, signed_by=jws.new_key()),
        approved(bank, order, holder, signed_by=bank.keys.signing_key("enrolment")),
        approved(bank, order, holder, signed_by=bank.keys.signing_key("command")),
        approved(bank, order, holder, header={"typ": "JWT"}),
        approved(bank, order, holder, header={"alg": "none"}),
        approved(bank, order, holder, header={"kid": jws.ABSENT}),
        approved(bank, order, holder, after_signing={"epoch": 2}),
        str(enrolment),
        bank.token(giver),
        "",
        "a.b.c",
        good + "A" * evidence.CHARS_MAX,
    ):
        _sent(bank, giver, order, forged)
    give(bank, giver, order, good)


# Once


def test_one_approval_id_serves_one_of_sixteen_orders_at_once(bank: Bank, giver: User) -> None:
    """However it came about that sixteen approvals share an id, one of them pays."""
    taker, holder = bank.holder(), passkey(giver)

    def attempt(number: int) -> Outcome:
        order = Order.of(giver, taker, key=f"key-{number}", jti="one-for-all")
        approval = approved(bank, order, holder)
        return outcome(lambda: give(bank, giver, order, approval))

    outcomes = at_once([partial(attempt, number) for number in range(THREADS)])
    assert sum(isinstance(one, Posted) for one in outcomes) == 1
    assert sum(type(one) is ApprovalRefusedError for one in outcomes) == THREADS - 1
    assert bank.balance(taker) == 100


def test_one_approved_order_given_sixteen_times_at_once_is_posted_once(
    bank: Bank, giver: User
) -> None:
    """The same order with the same approval is one posting, and sixteen times its answer."""
    taker = bank.holder()
    order = Order.of(giver, taker)
    approval = approved(bank, order, passkey(giver))
    outcomes = at_once([lambda: outcome(lambda: give(bank, giver, order, approval))] * THREADS)
    posted = [one for one in outcomes if isinstance(one, Posted)]
    assert len(posted) == THREADS
    assert sum(not one.replayed for one in posted) == 1
    assert (bank.balance(taker), len(uses(bank))) == (100, 1)


def test_only_a_posting_uses_an_approval_up(bank: Bank, giver: User) -> None:
    """An order that was refused for want of money is paid later, by the same approval."""
    taker = bank.holder()
    order = Order.of(giver, taker, amount="100.01")
    approval = approved(bank, order, passkey(giver))
    with bank.unchanged(InsufficientFundsError):
        give(bank, giver, order, approval)
    bank.deposit(bank.funds, giver, "0.01")
    give(bank, giver, order, approval)
    assert bank.balance(taker) == 10_001


@pytest.mark.parametrize("again", ["the same", "too old", "garbage", "none"])
def test_a_posted_order_is_answered_before_its_approval_is_looked_at(
    bank: Bank, giver: User, again: str
) -> None:
    """The same order under the same key is a replay, however old or wrong its approval is now."""
    order = Order.of(giver, bank.holder())
    approval = approved(bank, order, passkey(giver))
    first = give(bank, giver, order, approval)
    later = NOW + (3_600 if again == "too old" else 1)
    shown = {"garbage": "a.b.c", "none": None}.get(again, approval)
    second = give(bank, giver, order, shown, now=later)
    assert (second.posting, second.receipt, second.replayed) == (first.posting, first.receipt, True)


def test_a_lost_answer_spends_nothing_twice(bank: Bank, giver: User, proxy: Proxy) -> None:
    """A posting whose answer is lost is found again, and its own approval is no replay."""
    taker = bank.holder()
    order = Order.of(giver, taker)
    approval = approved(bank, order, passkey(giver))
    proxy.without_idempotency = True
    fault = proxy.lose_answer(TRANSACTION, by=Loss.DROPPED)
    posted = give(bank, giver, order, approval)
    assert (fault.hits, posted.replayed) == (1, False)
    assert (bank.balance(taker), len(uses(bank))) == (100, 1)


# In flight


@pytest.mark.parametrize("with_approval", [False, True], ids=["without", "with an older one"])
def test_a_demand_between_read_and_write_holds_the_money(
    bank: Bank, proxy: Proxy, *, with_approval: bool
) -> None:
    """An anomaly that is seen while an order is under way stops it, at its very write."""
    giver, taker = bank.holder("100.00"), bank.holder()
    order = Order.of(giver, taker)
    approval = approved(bank, order, passkey(giver)) if with_approval else None
    between = proxy.meanwhile(
        TRANSACTION, lambda: bank.stand(giver, approval_required_since=NOW + 1)
    )
    with pytest.raises(ApprovalRequiredError):
        give(bank, giver, order, approval)
    assert between.hits == 1
    assert (bank.balance(giver), bank.balance(taker), uses(bank)) == (10_000, 0, [])


def test_a_demand_that_is_older_than_the_approval_lets_it_through(bank: Bank, proxy: Proxy) -> None:
    """A demand that comes meanwhile and that the approval answers stops nothing."""
    giver, taker = bank.holder("100.00"), bank.holder()
    order = Order.of(giver, taker)
    proxy.meanwhile(TRANSACTION, lambda: bank.stand(giver, approval_required_since=NOW))
    give(bank, giver, order, approved(bank, order, passkey(giver)))
    assert bank.balance(taker) == 100


# By a code


@pytest.mark.parametrize(
    ("currency", "most", "more"), [("EUR", "100.00", "100.01"), ("JPY", "100", "101")]
)
def test_a_code_approves_a_hundred_and_no_more(
    bank: Bank, currency: str, most: str, more: str
) -> None:
    """What leaves no signature behind is good for a hundred units of a currency at a time."""
    giver = bank.holder("1000" if currency == "JPY" else "1000.00", currency)
    taker = bank.holder(currency=currency)
    bank.stand(giver, approval_required_since=NOW)
    order = Order.of(giver, taker, currency=currency, amount=more)
    with bank.unchanged(ApprovalRefusedError):
        give(bank, giver, order, by_code(bank, order))
    order = replace(order, amount=most)
    give(bank, giver, order, by_code(bank, order))
    assert bank.balance(taker, currency) == 100 * (1 if currency == "JPY" else 100)


CODES: dict[str, Callable[[Bank, Order], str]] = {
    "of another key": lambda bank, order: by_code(bank, order, signed_by=jws.new_key()),
    "of another order": lambda bank, order: by_code(bank, replace(order, amount="2.00")),
    "of another session": lambda bank, order: by_code(bank, replace(order, sid="t" * 26)),
    "too old": lambda bank, order: by_code(bank, replace(order, at=NOW - LIFETIME_S)),
    "for identity": lambda bank, order: by_code(bank, order, claims={"aud": "identity"}),
    "as if by a passkey": lambda bank, order: by_code(bank, order, claims={"by": "passkey"}),
    "with an enrolment": lambda bank, order: by_code(bank, order, claims={"enrolment": "a.b.c"}),
}


@pytest.mark.parametrize("forge", CODES.values(), ids=CODES)
def test_an_approval_by_a_code_is_as_exact(
    bank: Bank, giver: User, forge: Callable[[Bank, Order], str]
) -> None:
    """It is for one order of one session, now, and by identity's own key."""
    order = Order.of(giver, bank.holder())
    with bank.unchanged(ApprovalRefusedError):
        give(bank, giver, order, forge(bank, order))


# On its way


def test_the_money_zone_sends_no_longer_text_on(bank: Bank, giver: User) -> None:
    """What is longer than any approval is refused before anything is signed for it."""
    token = bank.token(giver)
    who = caller.verify(
        compact_token=token,
        compact_proof=giver.key.proof(
            "POST", PUBLIC_ORIGIN + "/transfers", access_token=token, now=NOW
        ),
        keys=TrustedKeys(PublicKey.of(bank.keys.signing_key("access-token").public_key())),
        expected_origin=PUBLIC_ORIGIN,
        expected_method="POST",
        expected_path="/transfers",
        now_s=NOW,
    )
    signed = bank.keys.calls["Sign"]
    with pytest.raises(ApprovalRefusedError):
        commands.sign(
            "transfer", body=b"{}", who=who, approval="A" * (evidence.CHARS_MAX + 1), now_s=NOW
        )
    assert bank.keys.calls["Sign"] == signed
    assert commands.sign("transfer", body=b"{}", who=who, approval="A" * 3_000, now_s=NOW)
