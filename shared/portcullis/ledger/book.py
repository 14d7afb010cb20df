"""The book: one consistent read of all that a posting depends on, and one write of all of it.

The write is a single PartiQL transaction, because of IAM: INSERT never replaces an item and has
an action of its own, so a role with ``dynamodb:PartiQLInsert`` alone cannot rewrite history, and
append-only is the platform's promise, not our code's (docs/decisions/0004).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Key, Statement, Value
from portcullis.evidence.orders import PostingKind
from portcullis.evidence.receipts import Leg
from portcullis.ledger import tables
from portcullis.ledger.approvals import Approved, Shown
from portcullis.ledger.heads import Head
from portcullis.ledger.postings import Movement

ACTIVE = "ACTIVE"
NEVER = 0
"""``approval_required_since`` of an account of which no approval is demanded."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order whose evidence is verified: what is to be posted, by whom, under which key."""

    kind: PostingKind
    principal: str
    key: str
    meaning: str
    legs: tuple[Leg, ...]
    opens: tuple[str, str] | None
    """The wallet (owner, currency) that the order opens, if it opens one."""
    debited_account: str | None
    """The user whose standing must allow it; a credit from a partner needs nobody's."""
    epoch: int
    acr: str
    """How the user signed in; a partner does not."""
    command_key: Key
    proof_key: Key | None
    approval: Shown | None
    """The approval that came with it, not verified yet."""
    consumed_until_s: int

    @property
    def currency(self) -> str:
        """The one currency of the order."""
        return self.opens[1] if self.opens else self.legs[0].currency

    @property
    def is_outgoing(self) -> bool:
        """Whether it debits a user: what a lockdown holds back. A partner's deposit does not."""
        return any(leg.minor < 0 and not tables.is_house(leg.account) for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Page:
    """What the book says about an order, at one moment."""

    known: Item | None
    heads: Mapping[str, Head]
    standing: Item | None
    consumed: bool
    """Whether the order's command or proof was used by *some* posting."""
    approval_consumed: bool
    """Whether its approval was, which is known once the approval is verified."""
    locked_down: bool
    """Whether outgoing money is frozen; asked for outgoing orders alone."""


def read(order: Order, approved: Approved | None) -> Page:
    """Return what the book says about *order*: one consistent round trip.

    Args:
        order: the order.
        approved: its approval, if that is verified already.

    Raises:
        InfrastructureError: the store did not answer.
    """
    wallets = [(leg.account, leg.currency) for leg in order.legs]
    if order.opens is not None:
        wallets.append(order.opens)
    given = [order.command_key, *([order.proof_key] if order.proof_key else [])]
    single_use = [*given, *([approved.key] if approved else [])]
    # A debit of a user depends on its standing, and on the lockdown while money would go out. The
    # lockdown is read here, each time, and is no part of the write: that would make of all
    # postings one queue.
    standings = [
        *([tables.standing_key(order.debited_account)] if order.debited_account else []),
        *([tables.lockdown_key()] if order.is_outgoing else []),
    ]
    items = dynamodb.batch_get(
        (
            tables.journal(),
            tables.idempotency_key(order.principal, order.kind, order.key),
        ),
        *((tables.balances(), tables.head_key(*wallet)) for wallet in wallets),
        *((tables.once(), key) for key in single_use),
        *((tables.standing(), key) for key in standings),
    )
    known, rest = items[0], items[1:]
    heads = {
        owner: Head.from_item(owner, item)
        for (owner, _), item in zip(wallets, rest, strict=False)
        if item is not None
    }
    used = rest[len(wallets) : len(wallets) + len(single_use)]
    stood = rest[len(wallets) + len(single_use) :]
    lockdown = stood[-1] if order.is_outgoing else None
    return Page(
        known=known,
        heads=heads,
        standing=stood[0] if order.debited_account else None,
        consumed=any(item is not None for item in used[: len(given)]),
        approval_consumed=any(item is not None for item in used[len(given) :]),
        locked_down=lockdown is not None and lockdown["locked"],
    )


def posting(posting_id: str) -> Item | None:
    """Return a posting.

    Raises:
        InfrastructureError: the store did not answer.
    """
    return dynamodb.get(tables.journal(), tables.posting_key(posting_id))


def write(
    order: Order,
    *,
    approved: Approved | None,
    posting_id: str,
    movements: list[Movement],
    opened: Head | None,
    command: str,
    receipt: str,
    now_s: int,
) -> None:
    """Post: heads, entries, posting with its evidence, idempotency, consumption; all or none.

    Raises:
        ConditionFailedError: the book has moved, the key or the evidence is used, or the
            standing no longer allows it; ``read`` tells which.
        InfrastructureError: it is not known whether it was posted; ``read`` tells.
    """
    statements = [
        *_standing(order, approved, now_s),
        *([dynamodb.insert(tables.balances(), opened.to_item())] if opened else []),
        *(_move(movement) for movement in movements),
        *(
            dynamodb.insert(tables.journal(), _entry(movement, order, now_s))
            for movement in movements
        ),
        dynamodb.insert(
            tables.journal(),
            {
                **tables.posting_key(posting_id),
                "kind": order.kind,
                "principal": order.principal,
                "legs": [leg.model_dump() for leg in order.legs],
                "meaning": order.meaning,
                "command": command,
                "receipt": receipt,
                "at": now_s,
            },
        ),
        dynamodb.insert(
            tables.journal(),
            {
                **tables.idempotency_key(order.principal, order.kind, order.key),
                "meaning": order.meaning,
                "posting": posting_id,
            },
        ),
        *(
            dynamodb.insert(
                tables.once(), {**key, "posting": posting_id, "ttl": order.consumed_until_s}
            )
            for key in (order.command_key, order.proof_key)
            if key is not None
        ),
        *_used(approved, posting_id),
    ]
    dynamodb.execute(*statements)


def _standing(order: Order, approved: Approved | None, now_s: int) -> list[Statement]:
    if order.debited_account is None:
        return []
    where = '"status" = ? AND "epoch" = ? AND "frozen_until" <= ?'
    given: tuple[Value, ...] = (ACTIVE, order.epoch, now_s)
    if order.is_outgoing:
        where += ' AND "approval_required_since" <= ?'
        given = (*given, approved.asked_at_s if approved else NEVER)
    key = tables.standing_key(order.debited_account)
    return [dynamodb.demand(tables.standing(), key, where=where, given=given)]


def _used(approved: Approved | None, posting_id: str) -> list[Statement]:
    if approved is None:
        return []
    used: dict[str, Value] = {"posting": posting_id, "ttl": approved.consumed_until_s}
    return [dynamodb.insert(tables.once(), {**approved.key, **used})]


def _move(movement: Movement) -> Statement:
    if movement.is_new:
        return dynamodb.insert(tables.balances(), movement.after.to_item())
    minor = movement.entry.minor
    return Statement(
        f'UPDATE "{tables.balances()}"'  # noqa: S608 a table's name, ours
        ' SET "balance" = "balance" + ? SET "version" = ? SET "chain" = ?'
        ' WHERE "pk" = ? AND "sk" = ? AND "version" = ? AND "balance" >= ?',
        (
            minor,
            movement.after.version,
            movement.after.chain,
            *tables.head_key(movement.before.owner, movement.before.currency).values(),
            movement.before.version,
            movement.floor_minor - minor,
        ),
    )


def _entry(movement: Movement, order: Order, now_s: int) -> dict[str, Any]:
    entry = movement.entry
    others = sorted({leg.account for leg in order.legs} - {entry.owner})
    return {
        "pk": tables.entries_pk(entry.owner, entry.currency),
        "sk": tables.entry_sk(entry.number),
        "posting": entry.posting,
        "kind": order.kind,
        "minor": entry.minor,
        "balance": entry.balance,
        "previous": entry.previous,
        "hash": entry.hash,
        "counterparty": others[0],
        "at": now_s,
    }
