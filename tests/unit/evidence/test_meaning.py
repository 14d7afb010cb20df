"""The meaning of an order: equal for equal orders only."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from portcullis.amounts import Amount
from portcullis.evidence import meaning
from portcullis.evidence.orders import Deposit, OpenWallet, Transfer
from tests.support.dpop import digest
from tests.unit.evidence.genuine import ACCOUNT, OTHER_ACCOUNT

EUR = Amount(amount="12.34", currency="EUR")
TRANSFER = Transfer(to_account=OTHER_ACCOUNT, amount=EUR)


def test_the_layout_is_fixed() -> None:
    """Version and fields, each after its length in four bytes: stored meanings stay comparable."""
    expected = b"\x00\x00\x00\x15portcullis/meaning/v1\x00\x00\x00\x01a\x00\x00\x00\x02\xc3\xa9"
    assert meaning.digest("a", "é") == digest(expected)


def test_the_same_order_means_the_same() -> None:
    """The meaning does not depend on when, or in which white space, an order was given."""
    again = Transfer(to_account=OTHER_ACCOUNT, amount=Amount(amount="12.34", currency="EUR"))
    assert meaning.of_order(TRANSFER, principal=ACCOUNT, key="k") == meaning.of_order(
        again, principal=ACCOUNT, key="k"
    )


def test_orders_that_differ_in_anything_mean_different_things() -> None:
    """Principal, key, kind, account, amount and currency are all part of the meaning."""
    other_amount = Amount(amount="12.35", currency="EUR")
    other_currency = Amount(amount="12.34", currency="USD")
    yen = Amount(amount="1234", currency="JPY")
    deposit = Deposit(account=OTHER_ACCOUNT, amount=EUR, reference="k")
    meanings = [
        meaning.of_order(TRANSFER, principal=ACCOUNT, key="k"),
        meaning.of_order(TRANSFER, principal=OTHER_ACCOUNT, key="k"),
        meaning.of_order(TRANSFER, principal=ACCOUNT, key="K"),
        meaning.of_order(deposit, principal=ACCOUNT, key="k"),
        meaning.of_order(OpenWallet(currency="EUR"), principal=ACCOUNT, key="k"),
        meaning.of_order(OpenWallet(currency="USD"), principal=ACCOUNT, key="k"),
        *(
            meaning.of_order(
                Transfer(to_account=OTHER_ACCOUNT, amount=amount), principal=ACCOUNT, key="k"
            )
            for amount in (other_amount, other_currency, yen)
        ),
        meaning.of_order(Transfer(to_account=ACCOUNT, amount=EUR), principal=ACCOUNT, key="k"),
    ]
    assert all(one != other for one, other in combinations(meanings, 2))


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_no_two_lists_of_fields_run_together(one: list[str], other: list[str]) -> None:
    """Moving a character over a field's border is another meaning."""
    assert (meaning.digest(*one) == meaning.digest(*other)) == (one == other)
