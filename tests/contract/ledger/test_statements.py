"""Statements: every entry once, newest first, and a cursor only where it was given out."""

from collections.abc import Iterator
from typing import Any

import pytest

from portcullis.aws import secret
from portcullis.ledger import statements
from portcullis.ledger.statements import PAGE_DEFAULT, PAGE_MAX
from portcullis.refusals import CursorRefusedError, NoSuchWalletError
from tests.contract.ledger import orders
from tests.contract.ledger.bank import Bank, User
from tests.support import jws
from tests.support.faults import Proxy

pytestmark = pytest.mark.contract

PAGES_MAX = 200


def page(user: User, currency: str = "EUR", **asked: str | None) -> dict[str, Any]:
    """Return one page of a statement."""
    return statements.entries(
        user.account, currency, limit=asked.get("limit"), cursor=asked.get("cursor")
    )


def pages(user: User, limit: str | None) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries of page after page, until there is no next one."""
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        one = page(user, limit=limit, cursor=cursor)
        yield one["entries"]
        cursor = one["next"]
        if cursor is None:
            return
    raise AssertionError("a statement without an end")


@pytest.fixture
def saver(bank: Bank) -> User:
    """Somebody who was paid a cent a hundred and five times."""
    user = bank.holder()
    for _ in range(105):
        bank.deposit(bank.funds, user, "0.01")
    return user


def test_a_statement_shows_every_entry_once_newest_first(saver: User) -> None:
    """Whatever the page size, the pages together are the chain from its end to its beginning."""
    sizes = {None: PAGE_DEFAULT, "1": 1, "7": 7, "35": 35, "99": 99, "100": PAGE_MAX}
    for limit, size in sizes.items():
        read = list(pages(saver, limit))
        entries = [entry for one in read for entry in one]
        assert [entry["number"] for entry in entries] == list(range(105, 0, -1))
        assert [entry["balance"]["amount"] for entry in entries] == [
            f"{number // 100}.{number % 100:02d}" for number in range(105, 0, -1)
        ]
        assert {len(one) for one in read[:-1]} == {size}
        assert 1 <= len(read[-1]) <= size


def test_new_entries_do_not_move_the_pages_behind_them(bank: Bank) -> None:
    """What comes in between two pages is neither shown twice nor pushes anything out."""
    user = bank.holder()
    for _ in range(4):
        bank.deposit(bank.funds, user, "1.00")
    first = page(user, limit="2")
    bank.deposit(bank.funds, user, "1.00")
    second = page(user, limit="2", cursor=first["next"])
    assert [one["number"] for one in first["entries"]] == [4, 3]
    assert [one["number"] for one in second["entries"]] == [2, 1]
    assert second["next"] is None


def test_an_entry_says_what_happened(bank: Bank) -> None:
    """Both sides of a transfer see it with its sign, its counterparty and the balance after it."""
    giver, taker = bank.holder("100.00"), bank.holder()
    posted = bank.transfer(giver, taker, "12.34")
    common = {
        "posting": posted["posting"],
        "kind": "transfer",
        "posted_at": "2027-01-15T08:00:00Z",
    }
    assert page(giver)["entries"][0] == common | {
        "number": 2,
        "amount": {"amount": "-12.34", "currency": "EUR"},
        "balance": {"amount": "87.66", "currency": "EUR"},
        "counterparty": taker.account,
    }
    assert page(taker)["entries"] == [
        common
        | {
            "number": 1,
            "amount": {"amount": "12.34", "currency": "EUR"},
            "balance": {"amount": "12.34", "currency": "EUR"},
            "counterparty": giver.account,
        }
    ]


def test_an_open_wallet_without_entries_has_an_empty_statement(bank: Bank) -> None:
    """Nothing happened is an answer."""
    assert page(bank.holder()) == {"entries": [], "next": None}


def test_wallets_are_the_accounts_own(bank: Bank) -> None:
    """A user sees each own wallet with its balance, and nobody else's."""
    user = bank.holder("12.34", "EUR")
    bank.holder("99.00", "USD")
    bank.give("open-wallet", user, orders.open_wallet("JPY"))
    assert statements.wallets(user.account) == [
        {
            "currency": "EUR",
            "balance": {"amount": "12.34", "currency": "EUR"},
            "opened_at": "2027-01-15T08:00:00Z",
        },
        {
            "currency": "JPY",
            "balance": {"amount": "0", "currency": "JPY"},
            "opened_at": "2027-01-15T08:00:00Z",
        },
    ]


def test_who_has_no_wallet_sees_none(bank: Bank) -> None:
    """An account without wallets has an empty list."""
    bank.holder("99.00")
    assert statements.wallets(bank.user().account) == []


@pytest.mark.parametrize(
    "currency",
    ["USD", "XXX", "eur", "EUR ", "", "EUR#", "E" * 64, "\u20ac"],
)
def test_a_wallet_that_is_not_there_has_no_statement(bank: Bank, currency: str) -> None:
    """A wallet that was not opened, and a currency that does not exist, are the same: nothing."""
    user = bank.holder("5.00")
    with bank.unchanged(NoSuchWalletError):
        page(user, currency)


@pytest.mark.parametrize(
    "currency", ["XXX", "eur", "EUR#", "\u20ac", "E" * 3_000], ids=lambda text: ascii(text[:9])
)
def test_a_currency_that_does_not_exist_is_never_looked_up(
    bank: Bank, proxy: Proxy, currency: str
) -> None:
    """What the caller wrote into the path is part of no key: it might be longer than any key."""
    user = bank.holder("5.00")
    proxy.heal()
    with pytest.raises(NoSuchWalletError):
        page(user, currency)
    assert not proxy.calls


def test_nobody_reads_the_statement_of_who_has_no_wallet(bank: Bank) -> None:
    """An account without a wallet has no statement, whatever others have."""
    bank.holder("5.00")
    user = bank.user()
    with bank.unchanged(NoSuchWalletError):
        page(user)


@pytest.mark.parametrize(
    "limit",
    [
        "0",
        "00",
        "101",
        "1000",
        "99999999999999999999",
        "-1",
        "+5",
        "1e2",
        "1.0",
        " 5",
        "5 ",
        "5\n",
        "",
        "0x5",
        "1_0",
        "five",
        "\u0665",
        "\uff15",
        "\u00b2",
    ],
    ids=ascii,
)
def test_a_limit_that_is_no_number_from_1_to_100_is_refused(bank: Bank, limit: str) -> None:
    """A page has one spelling of its size and a size that is bounded."""
    user = bank.holder("5.00")
    with bank.unchanged(CursorRefusedError):
        page(user, limit=limit)


@pytest.fixture
def reader(bank: Bank) -> tuple[User, str]:
    """Somebody with three entries, and the cursor after the first page of one."""
    user = bank.holder()
    for _ in range(3):
        bank.deposit(bank.funds, user, "1.00")
    return user, page(user, limit="1")["next"]


def test_a_cursor_can_be_used_again_and_with_another_limit(reader: tuple[User, str]) -> None:
    """It names a place, and the same place each time."""
    user, cursor = reader
    for limit in ("1", "2", None):
        assert page(user, limit=limit, cursor=cursor)["entries"][0]["number"] == 2


def test_a_cursor_changed_in_any_bit_is_refused(bank: Bank, reader: tuple[User, str]) -> None:
    """Neither the place in it nor its tag can be altered."""
    user, cursor = reader
    raw = jws.b64url_decode(cursor)
    with bank.unchanged(CursorRefusedError):
        page(user, cursor=jws.b64url(bytes([raw[0] ^ 128]) + raw[1:]))
    for at in range(len(raw)):
        for bit in (1, 64):
            forged = raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]
            with pytest.raises(CursorRefusedError):
                page(user, cursor=jws.b64url(forged))


def test_a_truncated_or_extended_cursor_is_refused(reader: tuple[User, str]) -> None:
    """A part of a tag is no tag."""
    user, cursor = reader
    raw = jws.b64url_decode(cursor)
    cut = [jws.b64url(raw[:length]) for length in range(len(raw))]
    for forged in [*cut, jws.b64url(raw + b"\0"), jws.b64url(b"\0" + raw), cursor + cursor]:
        with pytest.raises(CursorRefusedError):
            page(user, cursor=forged)


@pytest.mark.parametrize(
    "cursor",
    ["", "=", "0", "1", "AAAA", "A" * 32, "A" * 10_000, "not a cursor", "\u00e9", "a\nb", "null"],
    ids=lambda text: ascii(text[:40]),
)
def test_what_is_no_cursor_is_refused(bank: Bank, reader: tuple[User, str], cursor: str) -> None:
    """Whatever else is sent as a cursor is refused, and is no failure."""
    user, _ = reader
    with bank.unchanged(CursorRefusedError):
        page(user, cursor=cursor)


def test_a_cursor_in_another_spelling_is_refused(reader: tuple[User, str]) -> None:
    """Padding, the other alphabet or white space make it another text."""
    user, cursor = reader
    for forged in (cursor + "=", cursor + "\n", " " + cursor, cursor + "=="):
        with pytest.raises(CursorRefusedError):
            page(user, cursor=forged)


def test_a_cursor_belongs_to_one_wallet(bank: Bank, reader: tuple[User, str]) -> None:
    """It opens neither the same user's other wallet nor anybody else's."""
    user, cursor = reader
    other = bank.holder("5.00")
    bank.give("open-wallet", user, orders.open_wallet("USD"))
    bank.deposit(bank.funds, user, "1.00", currency="USD")
    for whose, currency in ((user, "USD"), (other, "EUR"), (other, "USD")):
        with bank.unchanged(CursorRefusedError):
            page(whose, currency, cursor=cursor)


def test_a_cursor_of_another_ledger_is_refused(bank: Bank, reader: tuple[User, str]) -> None:
    """The secret behind cursors is a ledger's own: without it none can be made."""
    user, cursor = reader
    bank.tables.call(
        "delete_item",
        TableName=bank.tables.ledger_once,
        Key={"pk": {"S": "SECRET#cursor#1"}},
    )
    secret.secret.cache_clear()
    with pytest.raises(CursorRefusedError):
        page(user, cursor=cursor)
