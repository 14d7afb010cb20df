"""Postings: double entry, decided purely. What is planned here is what the write demands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from portcullis.evidence.receipts import Leg
from portcullis.ledger import tables
from portcullis.ledger.chain import Entry
from portcullis.ledger.heads import Head
from portcullis.refusals import (
    BalanceLimitError,
    InsufficientFundsError,
    SameWalletError,
    WalletNotOpenError,
)

BALANCE_MINOR_MAX = 10**17
LEGS_MIN, LEGS_MAX = 2, 16


class UnbalancedError(Exception):
    """The legs are not of one currency summing to zero: a defect of ours, never a client's."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One leg's effect: the head before, the entry, the head after, and the head's floor."""

    before: Head
    entry: Entry
    after: Head
    floor_minor: int
    is_new: bool


def plan(
    posting: str,
    legs: Sequence[Leg],
    *,
    heads: Mapping[str, Head],
    house: Head | None = None,
    floor_minor: int = 0,
) -> list[Movement]:
    """Return the movements of a posting.

    Args:
        posting: its id.
        legs: its signed legs, of one currency; they sum to zero.
        heads: the heads that are open, by owner.
        house: the head of the partner's house if it is opened by this very posting.
        floor_minor: what the house may come down to; a user's wallet never goes below zero.

    Raises:
        SameWalletError: two legs are of one wallet.
        WalletNotOpenError: a wallet is not open.
        InsufficientFundsError: a wallet would fall below its floor.
        BalanceLimitError: a wallet would exceed ``BALANCE_MINOR_MAX``.
        UnbalancedError: the legs do not balance.
    """
    _demand_balanced(legs)
    if len({(leg.account, leg.currency) for leg in legs}) != len(legs):
        raise SameWalletError
    movements = []
    for leg in legs:
        is_new = house is not None and leg.account == house.owner
        before = house if is_new else heads.get(leg.account)
        if before is None:
            raise WalletNotOpenError
        movements.append(
            _move(
                posting,
                leg,
                before,
                floor_minor=floor_minor if tables.is_house(leg.account) else 0,
                is_new=is_new,
            )
        )
    return movements


def _demand_balanced(legs: Sequence[Leg]) -> None:
    if not LEGS_MIN <= len(legs) <= LEGS_MAX:
        raise UnbalancedError
    # Heads are known by owner, so one posting is of one currency.
    if sum(leg.minor for leg in legs) != 0 or len({leg.currency for leg in legs}) != 1:
        raise UnbalancedError


def _move(posting: str, leg: Leg, before: Head, *, floor_minor: int, is_new: bool) -> Movement:
    balance = before.balance + leg.minor
    if leg.minor < 0 and balance < floor_minor:
        raise InsufficientFundsError
    if balance > BALANCE_MINOR_MAX:
        raise BalanceLimitError
    entry = Entry(
        owner=leg.account,
        currency=leg.currency,
        number=before.version + 1,
        posting=posting,
        minor=leg.minor,
        balance=balance,
        previous=before.chain,
    )
    after = replace(before, balance=balance, version=entry.number, chain=entry.hash)
    return Movement(before=before, entry=entry, after=after, floor_minor=floor_minor, is_new=is_new)
