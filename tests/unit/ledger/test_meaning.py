"""Meaning: equal for the same order under the same key, and different for everything else."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.amounts import EXPONENTS, Amount, wire
from portcullis.evidence import meaning
from portcullis.evidence.orders import Deposit, OpenWallet, Transfer

type Order = OpenWallet | Transfer | Deposit
type Given = tuple[Order, str, str]

accounts = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)
keys = st.text([chr(code) for code in range(0x21, 0x7F)], min_size=1, max_size=64)
amounts = st.builds(
    lambda minor, currency: Amount.model_validate(wire(minor, currency)),
    st.integers(min_value=1, max_value=10**15),
    st.sampled_from(sorted(EXPONENTS)),
)
orders = st.one_of(
    st.builds(OpenWallet, currency=st.sampled_from(sorted(EXPONENTS))),
    st.builds(Transfer, to_account=accounts, amount=amounts),
    st.builds(Deposit, account=accounts, amount=amounts, reference=keys),
)
givens = st.tuples(orders, st.one_of(accounts, keys), keys)

A, B = "a" * 26, "b" * 26
EUR_1 = Amount(amount="1.00", currency="EUR")


def of(one: Given) -> str:
    """Return the meaning of an order that somebody gave under a key."""
    order, principal, key = one
    return meaning.of_order(order, principal=principal, key=key)


def identity(one: Given) -> tuple[object, ...]:
    """What makes the meaning: a deposit's reference is its key and counts once."""
    order, principal, key = one
    members = {name: value for name, value in order.model_dump().items() if name != "reference"}
    return type(order), str(members), principal, key


@given(givens, givens)
def test_meanings_are_equal_exactly_if_the_orders_are(one: Given, other: Given) -> None:
    """Any two orders share a meaning if and only if giver, key, kind and content are the same."""
    assert (of(one) == of(other)) == (identity(one) == identity(other))


@given(givens, st.data())
def test_a_change_of_giver_or_key_is_another_meaning(one: Given, data: st.DataObject) -> None:
    """Nobody's order means what another's means, and no key stands in for another."""
    order, principal, key = one
    assert of((order, data.draw(keys.filter(lambda text: text != principal)), key)) != of(one)
    assert of((order, principal, data.draw(keys.filter(lambda text: text != key)))) != of(one)


@given(accounts, amounts, st.data())
def test_a_change_of_destination_or_amount_is_another_meaning(
    to_account: str, amount: Amount, data: st.DataObject
) -> None:
    """Another receiver, another number or another currency is another order."""
    order = Transfer(to_account=to_account, amount=amount)
    elsewhere = data.draw(accounts.filter(lambda text: text != to_account))
    otherwise = data.draw(amounts.filter(lambda other: other != amount))
    assert of((order, A, "k")) != of((order.model_copy(update={"to_account": elsewhere}), A, "k"))
    assert of((order, A, "k")) != of((order.model_copy(update={"amount": otherwise}), A, "k"))


@given(accounts, amounts, keys)
def test_a_deposit_is_never_a_transfer(account: str, amount: Amount, key: str) -> None:
    """The same content under another kind is another meaning."""
    deposit = Deposit(account=account, amount=amount, reference=key)
    transfer = Transfer(to_account=account, amount=amount)
    assert of((deposit, A, key)) != of((transfer, A, key))


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_the_same_number_in_another_currency_is_another_meaning(currency: str) -> None:
    """One hundred minor units are told apart by their currency."""
    meanings = {
        of((Transfer(to_account=B, amount=Amount.model_validate(wire(100, other))), A, "k"))
        for other in {currency, "EUR", "JPY"}
    }
    assert len(meanings) == len({currency, "EUR", "JPY"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("abc", ""), ("ab", "c")),
        (("", "abc"), ("abc", "")),
        (("a", "", "b"), ("a", "b", "")),
        (("a",), ("a", "")),
        ((), ("",)),
        (("a\x00\x00\x00\x01b",), ("a", "b")),
        (("\x00\x00\x00\x01a",), ("a",)),
        (("1", "00"), ("10", "0")),
        (("\u00e9",), ("e\u0301",)),
    ],
)
def test_no_boundary_can_be_moved(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Fields that read alike when joined, or that hold a length prefix, digest differently."""
    assert meaning.digest(*one) != meaning.digest(*other)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=6), st.data())
def test_fields_cut_otherwise_are_another_digest(fields: list[str], data: st.DataObject) -> None:
    """However the same characters are cut into fields, each cut has its own digest."""
    joined = "".join(fields)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(joined)), max_size=5)))
    edges = [0, *cuts, len(joined)]
    cut = [joined[start:end] for start, end in pairwise(edges)]
    assert (meaning.digest(*fields) == meaning.digest(*cut)) == (fields == cut)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((OpenWallet(currency="EUR"), A + "x", "k"), (OpenWallet(currency="EUR"), A, "xk")),
        (
            (Transfer(to_account=B, amount=EUR_1), A, "k1"),
            (Transfer(to_account=B, amount=EUR_1), A + "k", "1"),
        ),
        (
            (Transfer(to_account=B, amount=EUR_1), A, "ktransfer"),
            (Transfer(to_account=B, amount=EUR_1), A, "k"),
        ),
        ((OpenWallet(currency="EUR"), A, "kopen-wallet"), (OpenWallet(currency="EUR"), A, "k")),
    ],
)
def test_giver_and_key_do_not_run_into_each_other(one: Given, other: Given) -> None:
    """A character moved from giver to key, or a kind written into a key, is another meaning."""
    assert of(one) != of(other)


def test_the_layout_is_versioned_and_fixed() -> None:
    """The meaning of one known order never changes: stored postings are compared with it."""
    order = Transfer(to_account=B, amount=EUR_1)
    assert of((order, A, "key-1")) == meaning.digest(A, "key-1", "transfer", B, "100", "EUR")
    assert meaning.digest("a") == "R34uJ1RO6pxswgShdwuUwC0MjcysT_oGshun0xrilOc"
