"""Planning a posting: money is conserved, floors hold, and nothing else is ever planned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.evidence.receipts import Leg
from portcullis.ledger.chain import GENESIS
from portcullis.ledger.heads import Head
from portcullis.ledger.postings import (
    BALANCE_MINOR_MAX,
    LEGS_MAX,
    Movement,
    UnbalancedError,
    plan,
)
from portcullis.refusals import (
    BalanceLimitError,
    InsufficientFundsError,
    SameWalletError,
    WalletNotOpenError,
)

POSTING = "p" * 26
HOUSE = "house:sandbox"
EUR = "EUR"

type Heads = dict[str, Head]

minors = st.integers(min_value=-(10**15), max_value=10**15)
balances = st.integers(min_value=0, max_value=BALANCE_MINOR_MAX)


def head(owner: str, balance: int = 0, *, version: int = 0, chain: bytes = GENESIS) -> Head:
    """Return a head of that balance."""
    return Head(owner, EUR, balance=balance, version=version, chain=chain, opened_at=1)


def legs_of(**minor_of: int) -> list[Leg]:
    """Return one leg of each owner."""
    return [Leg(account=owner, currency=EUR, minor=minor) for owner, minor in minor_of.items()]


@st.composite
def balanced(draw: st.DrawFn) -> tuple[list[Leg], Heads]:
    """Legs of different wallets that sum to zero, and the heads of those wallets."""
    movements = draw(st.lists(minors, min_size=1, max_size=LEGS_MAX - 1))
    movements.append(-sum(movements))
    owners = [f"owner{number}" for number in range(len(movements))]
    heads = {
        owner: head(
            owner,
            draw(balances),
            version=draw(st.integers(min_value=0, max_value=10**9)),
            chain=draw(st.binary(min_size=32, max_size=32)),
        )
        for owner in owners
    }
    legs = [
        Leg(account=owner, currency=EUR, minor=minor)
        for owner, minor in zip(owners, movements, strict=True)
    ]
    return draw(st.permutations(legs)), heads


@given(balanced())
def test_what_is_planned_conserves_money(case: tuple[list[Leg], Heads]) -> None:
    """The balances after a posting sum to the balances before it; a refusal has its reason."""
    legs, heads = case
    after = [heads[leg.account].balance + leg.minor for leg in legs]
    try:
        movements = plan(POSTING, legs, heads=heads)
    except InsufficientFundsError:
        assert any(balance < 0 and leg.minor < 0 for balance, leg in zip(after, legs, strict=True))
        return
    except BalanceLimitError:
        assert any(balance > BALANCE_MINOR_MAX for balance in after)
        return
    assert sum(one.after.balance for one in movements) == sum(
        one.before.balance for one in movements
    )
    assert sum(one.entry.minor for one in movements) == 0
    assert [one.after.balance for one in movements] == after
    assert all(0 <= balance <= BALANCE_MINOR_MAX for balance in after)


@given(balanced())
def test_each_leg_becomes_the_next_entry_of_its_own_chain(case: tuple[list[Leg], Heads]) -> None:
    """An entry follows its head: number, previous hash, balance; the head ends with the entry."""
    legs, heads = case
    try:
        movements = plan(POSTING, legs, heads=heads)
    except (InsufficientFundsError, BalanceLimitError):
        return
    for leg, movement in zip(legs, movements, strict=True):
        before, entry, after = movement.before, movement.entry, movement.after
        assert before == heads[leg.account]
        assert (entry.owner, entry.currency, entry.minor) == (leg.account, EUR, leg.minor)
        assert (entry.number, entry.previous) == (before.version + 1, before.chain)
        assert entry.posting == POSTING
        assert (after.version, after.balance, after.chain) == (
            entry.number,
            entry.balance,
            entry.hash,
        )
        assert (after.owner, after.currency, after.opened_at) == (
            before.owner,
            before.currency,
            before.opened_at,
        )
        assert not movement.is_new


@given(
    balance=st.integers(min_value=-1000, max_value=1000),
    floor=st.integers(min_value=-1000, max_value=0),
    minor=st.integers(min_value=1, max_value=2000),
)
def test_a_house_goes_down_to_its_floor_and_not_below(balance: int, floor: int, minor: int) -> None:
    """A debit of a house is planned exactly if the balance after it is at its floor or above."""
    heads = {HOUSE: head(HOUSE, balance), "user": head("user")}
    legs = legs_of(**{HOUSE: -minor, "user": minor})
    if balance - minor < floor:
        with pytest.raises(InsufficientFundsError):
            plan(POSTING, legs, heads=heads, floor_minor=floor)
    else:
        house, user = plan(POSTING, legs, heads=heads, floor_minor=floor)
        assert (house.after.balance, house.floor_minor) == (balance - minor, floor)
        assert user.floor_minor == 0


@given(
    balance=st.integers(min_value=0, max_value=1000),
    over=st.integers(min_value=1, max_value=10**15),
    floor=st.integers(min_value=-(10**15), max_value=0),
)
def test_a_floor_is_never_a_users(balance: int, over: int, floor: int) -> None:
    """A user's wallet never goes below zero, whatever floor is passed for a house."""
    heads = {"user": head("user", balance), "other": head("other")}
    legs = legs_of(user=-(balance + over), other=balance + over)
    with pytest.raises(InsufficientFundsError):
        plan(POSTING, legs, heads=heads, floor_minor=floor)


@given(
    held=st.integers(min_value=0, max_value=BALANCE_MINOR_MAX),
    minor=st.integers(min_value=1, max_value=10**15),
)
def test_no_wallet_holds_more_than_a_balance_can_be(held: int, minor: int) -> None:
    """A credit is planned exactly if the balance after it is at most ``BALANCE_MINOR_MAX``."""
    heads = {"giver": head("giver", minor), "taker": head("taker", held)}
    legs = legs_of(giver=-minor, taker=minor)
    if held + minor > BALANCE_MINOR_MAX:
        with pytest.raises(BalanceLimitError):
            plan(POSTING, legs, heads=heads)
    else:
        assert plan(POSTING, legs, heads=heads)[1].after.balance == held + minor


@given(st.lists(minors, min_size=2, max_size=LEGS_MAX).filter(sum))
def test_legs_that_do_not_sum_to_zero_are_our_defect(movements: list[int]) -> None:
    """Unbalanced legs are never planned, whatever the heads hold."""
    owners = [f"owner{number}" for number in range(len(movements))]
    legs = legs_of(**dict(zip(owners, movements, strict=True)))
    heads = {owner: head(owner, 10**16) for owner in owners}
    with pytest.raises(UnbalancedError):
        plan(POSTING, legs, heads=heads)


@given(st.integers(min_value=1, max_value=10**15), st.integers(min_value=0, max_value=10**15))
def test_one_currency_never_pays_for_another(minor: int, other: int) -> None:
    """A sum of zero over two currencies is no balance."""
    legs = [
        Leg(account="giver", currency="EUR", minor=-minor),
        Leg(account="taker", currency="USD", minor=minor),
        *legs_of(third=-other, fourth=other),
    ]
    heads = {owner: head(owner, 10**16) for owner in ("giver", "taker", "third", "fourth")}
    with pytest.raises(UnbalancedError):
        plan(POSTING, legs, heads=heads)


def test_a_posting_is_of_one_currency() -> None:
    """Heads are known by owner: two currencies are refused even if each sums to zero."""
    legs = [
        *legs_of(giver=-1, taker=1),
        Leg(account="giver", currency="USD", minor=-1),
        Leg(account="taker", currency="USD", minor=1),
    ]
    with pytest.raises(UnbalancedError):
        plan(POSTING, legs, heads={"giver": head("giver", 9), "taker": head("taker", 9)})


@pytest.mark.parametrize("count", [0, 1, LEGS_MAX + 1])
def test_a_posting_has_two_to_sixteen_legs(count: int) -> None:
    """No posting is planned of too few or too many legs, even if they balance."""
    owners = [f"owner{number}" for number in range(count)]
    with pytest.raises(UnbalancedError):
        plan(
            POSTING,
            legs_of(**dict.fromkeys(owners, 0)),
            heads={owner: head(owner) for owner in owners},
        )


def test_two_legs_of_one_wallet_are_refused() -> None:
    """A wallet is moved once in a posting."""
    with pytest.raises(SameWalletError):
        plan(
            POSTING,
            [
                Leg(account="user", currency=EUR, minor=-1),
                Leg(account="user", currency=EUR, minor=1),
            ],
            heads={"user": head("user", 5)},
        )


@pytest.mark.parametrize("open_one", ["giver", "taker"])
def test_both_wallets_must_be_open(open_one: str) -> None:
    """A posting with an absent wallet on either side is refused."""
    with pytest.raises(WalletNotOpenError):
        plan(POSTING, legs_of(giver=-1, taker=1), heads={open_one: head(open_one, 5)})


def test_a_house_is_opened_by_its_first_deposit_alone() -> None:
    """The house that is passed as new is moved from zero and marked to be inserted."""
    house = head(HOUSE)
    legs = legs_of(**{HOUSE: -7, "user": 7})
    movements = plan(POSTING, legs, heads={"user": head("user")}, house=house, floor_minor=-10)
    assert [(one.is_new, one.after.balance) for one in movements] == [(True, -7), (False, 7)]


def test_a_new_house_stands_for_no_users_wallet() -> None:
    """Opening a house with a deposit opens no wallet of the credited user."""
    with pytest.raises(WalletNotOpenError):
        plan(
            POSTING, legs_of(**{HOUSE: -7, "user": 7}), heads={}, house=head(HOUSE), floor_minor=-10
        )


def test_a_plan_is_a_value() -> None:
    """The same heads and legs give the same plan: nothing is drawn, nothing is read."""
    heads = {"giver": head("giver", 9), "taker": head("taker")}
    plans: list[list[Movement]] = [
        plan(POSTING, legs_of(giver=-9, taker=9), heads=heads) for _ in range(2)
    ]
    assert plans[0] == plans[1]
