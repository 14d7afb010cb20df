"""The chain of a wallet: each hash covers its entry and everything before it."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portcullis.ledger.chain import GENESIS, Entry

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(min_value=-(10**17), max_value=10**17)
hashes = st.binary(min_size=32, max_size=32)
entries = st.builds(
    Entry,
    owner=texts,
    currency=texts,
    number=st.integers(min_value=1, max_value=10**12 - 1),
    posting=texts,
    minor=numbers,
    balance=numbers,
    previous=hashes,
)

FIRST = Entry("owner", "EUR", 1, "posting", -5, 95, GENESIS)


def chained(minors: list[int]) -> list[Entry]:
    """Return the entries of one wallet that moved so, from genesis on."""
    chain: list[Entry] = []
    for number, minor in enumerate(minors, start=1):
        previous = chain[-1].hash if chain else GENESIS
        balance = (chain[-1].balance if chain else 0) + minor
        chain.append(Entry("owner", "EUR", number, f"posting{number}", minor, balance, previous))
    return chain


def is_whole(chain: list[Entry], head: bytes) -> bool:
    """Whether the chain leads from genesis to *head*, each link to the next."""
    previous = GENESIS
    for entry in chain:
        if entry.previous != previous:
            return False
        previous = entry.hash
    return previous == head


def test_the_layout_is_fixed() -> None:
    """The hash is SHA-256 over version and fields, each with its length in four bytes before it."""
    layout = (
        b"\x00\x00\x00\x13portcullis/entry/v1"
        b"\x00\x00\x00\x05owner"
        b"\x00\x00\x00\x03EUR"
        b"\x00\x00\x00\x011"
        b"\x00\x00\x00\x07posting"
        b"\x00\x00\x00\x02-5"
        b"\x00\x00\x00\x0295"
        b"\x00\x00\x00\x20" + bytes(32)
    )
    assert FIRST.hash == sha256(layout).digest()


@given(st.lists(numbers, min_size=1, max_size=12))
def test_an_honest_chain_leads_from_genesis_to_head(minors: list[int]) -> None:
    """Entries that follow each other verify as one chain."""
    chain = chained(minors)
    assert is_whole(chain, chain[-1].hash)


@given(entries, st.data())
def test_a_change_of_any_field_changes_the_hash(entry: Entry, data: st.DataObject) -> None:
    """No field of an entry can be altered under the same hash."""
    name = data.draw(
        st.sampled_from(["owner", "currency", "number", "posting", "minor", "balance", "previous"])
    )
    value = getattr(entry, name)
    kinds: dict[type, st.SearchStrategy[Any]] = {int: numbers, str: texts, bytes: hashes}
    other: Any = data.draw(kinds[type(value)])
    assume(other != value)
    assert replace(entry, **{name: other}).hash != entry.hash


@given(entries, entries)
def test_two_entries_share_no_hash(one: Entry, other: Entry) -> None:
    """Different entries have different hashes: lengths are part of the layout."""
    assert (one.hash == other.hash) == (one == other)


@given(st.lists(numbers, min_size=2, max_size=12), st.data())
def test_a_chain_with_a_changed_entry_is_broken(minors: list[int], data: st.DataObject) -> None:
    """Whatever entry is altered, the chain no longer leads to the head that was known."""
    chain = chained(minors)
    head = chain[-1].hash
    at = data.draw(st.integers(min_value=0, max_value=len(chain) - 1))
    chain[at] = replace(chain[at], minor=chain[at].minor + 1)
    assert not is_whole(chain, head)


@given(st.lists(numbers, min_size=2, max_size=12), st.data())
def test_a_chain_with_a_missing_or_moved_entry_is_broken(
    minors: list[int], data: st.DataObject
) -> None:
    """Nothing can be left out, repeated or put elsewhere."""
    chain = chained(minors)
    head = chain[-1].hash
    at = data.draw(st.integers(min_value=0, max_value=len(chain) - 2))
    without = chain[:at] + chain[at + 1 :]
    repeated = chain[: at + 1] + chain[at:]
    swapped = [*chain[:at], chain[at + 1], chain[at], *chain[at + 2 :]]
    assert not is_whole(without, head)
    assert not is_whole(repeated, head)
    assert not is_whole(swapped, head)


@given(st.lists(numbers, min_size=2, max_size=12))
def test_a_chain_with_its_end_cut_off_is_broken(minors: list[int]) -> None:
    """The head says how far the chain goes."""
    chain = chained(minors)
    assert not is_whole(chain[:-1], chain[-1].hash)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (replace(FIRST, owner="own", currency="erEUR"), FIRST),
        (
            replace(FIRST, number=11, posting="posting"),
            replace(FIRST, number=1, posting="1posting"),
        ),
        (replace(FIRST, minor=1, balance=23), replace(FIRST, minor=12, balance=3)),
        (replace(FIRST, posting="posting-", minor=5), FIRST),
        (replace(FIRST, owner="", currency="ownerEUR"), FIRST),
    ],
)
def test_a_character_moved_to_its_neighbour_is_another_entry(one: Entry, other: Entry) -> None:
    """Fields that read alike when joined hash differently."""
    assert one.hash != other.hash
