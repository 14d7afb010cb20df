"""Orders: the bytes that were signed, read once and strictly."""

import json

import pytest

from portcullis.amounts import AMOUNT_MINOR_MAX
from portcullis.evidence import orders
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.orders import Deposit, OpenWallet, ReleaseAccount, Transfer
from portcullis.schema import Strict
from tests.unit.evidence.genuine import OTHER_ACCOUNT

EUR = {"amount": "12.34", "currency": "EUR"}
TRANSFER = {"to_account": OTHER_ACCOUNT, "amount": EUR}
DEPOSIT = {"account": OTHER_ACCOUNT, "amount": EUR, "reference": "ref-1"}


def refuse(body: bytes | object, model: type[Strict] = Transfer) -> None:
    """Demand that no order is read out of a body."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(EvidenceError, match="order"):
        orders.read(raw, model)


def test_genuine_orders_are_read() -> None:
    """Each kind of order is read, white space and order of members notwithstanding."""
    transfer = orders.read(json.dumps(TRANSFER, indent=2).encode(), Transfer)
    assert (transfer.to_account, transfer.amount.minor) == (OTHER_ACCOUNT, 1234)
    assert orders.read(json.dumps(DEPOSIT).encode(), Deposit).reference == "ref-1"
    assert orders.read(b'{"currency":"JPY"}', OpenWallet).currency == "JPY"
    assert orders.read(json.dumps({"account": OTHER_ACCOUNT}).encode(), ReleaseAccount).account


@pytest.mark.parametrize(
    "account",
    [
        "",
        OTHER_ACCOUNT[:-1],
        OTHER_ACCOUNT + "a",
        OTHER_ACCOUNT.upper(),
        "1" * 26,
        "8" * 26,
        OTHER_ACCOUNT + "\n",
        "\N{CYRILLIC SMALL LETTER A}" * 26,
        "house:sandbox:EUR:000000000",
        None,
        1,
    ],
)
def test_an_account_of_another_shape_is_refused(account: object) -> None:
    """An account id is 26 lower-case base32 characters: no house account is named by an order."""
    refuse(TRANSFER | {"to_account": account})
    refuse(DEPOSIT | {"account": account}, Deposit)
    refuse({"account": account}, ReleaseAccount)


@pytest.mark.parametrize(
    "amount",
    [
        {"amount": 12.34, "currency": "EUR"},
        {"amount": 1234, "currency": "EUR"},
        {"amount": "12.3", "currency": "EUR"},
        {"amount": "12.345", "currency": "EUR"},
        {"amount": "12", "currency": "EUR"},
        {"amount": "12.34", "currency": "JPY"},
        {"amount": "-12.34", "currency": "EUR"},
        {"amount": "+12.34", "currency": "EUR"},
        {"amount": "0.00", "currency": "EUR"},
        {"amount": "012.34", "currency": "EUR"},
        {"amount": ".34", "currency": "EUR"},
        {"amount": "12,34", "currency": "EUR"},
        {"amount": "1e2", "currency": "EUR"},
        {"amount": " 12.34", "currency": "EUR"},
        {"amount": "12.34\n", "currency": "EUR"},
        {"amount": "١٢.٣٤", "currency": "EUR"},
        {"amount": f"{AMOUNT_MINOR_MAX // 100}.01", "currency": "EUR"},
        {"amount": "9" * 100, "currency": "EUR"},
        {"amount": "12.34", "currency": "eur"},
        {"amount": "12.34", "currency": "XXX"},
        {"amount": "12.34"},
        {"currency": "EUR"},
        EUR | {"minor": 1},
        "12.34 EUR",
        None,
        [],
    ],
)
def test_an_amount_in_any_other_spelling_is_refused(amount: object) -> None:
    """One spelling for each amount, within bounds, of a currency that we know."""
    refuse(TRANSFER | {"amount": amount})


@pytest.mark.parametrize("reference", ["", " ", "a b", "x" * 65, "é", "a\n", "\x00", None, 1])
def test_a_reference_of_another_shape_is_refused(reference: object) -> None:
    """A reference is 1 to 64 visible ASCII characters."""
    refuse(DEPOSIT | {"reference": reference}, Deposit)


def test_an_unknown_or_absent_property_is_refused() -> None:
    """An order has exactly its properties."""
    refuse(TRANSFER | {"note": "hello"})
    refuse({"to_account": OTHER_ACCOUNT})
    refuse(DEPOSIT)
    refuse(TRANSFER, Deposit)
    refuse(b'{"currency":"EUR","limit":1}', OpenWallet)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b'\xef\xbb\xbf{"currency":"EUR"}',
        b'{"currency":"EUR","currency":"USD"}',
        b'{"currency":"EUR","c\\u0075rrency":"USD"}',
        b'{"currency":"EUR"}{"currency":"USD"}',
        b"{'currency':'EUR'}",
        b'{"currency":NaN}',
        b'{"currency":"EUR"}\x00',
        b"[" * 100_000,
    ],
)
def test_a_body_that_two_parsers_may_read_differently_is_refused(body: bytes) -> None:
    """What the edge read is what the ledger reads, or neither reads anything."""
    refuse(body, OpenWallet)


def test_a_padded_order_is_refused() -> None:
    """An order has at most 2,048 bytes, white space included."""
    body = b'{"currency":"EUR"}'
    assert orders.read(body.ljust(orders.BYTES_MAX), OpenWallet)
    refuse(body.ljust(orders.BYTES_MAX + 1), OpenWallet)


def test_every_order_of_a_user_has_its_route() -> None:
    """Users open wallets and transfer; deposits and releases have no public route."""
    assert orders.ROUTES == {"open-wallet": "/wallets", "transfer": "/transfers"}
