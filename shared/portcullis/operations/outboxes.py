"""What the identity zone wrote into its outboxes, and how far each of them is published.

The zone spells these keys itself (identity/tables.py); tests hold the two spellings together.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Item, Key
from portcullis.errors import InfrastructureError
from portcullis.operations.events import Event
from portcullis.settings import setting

SHARDS = 16
CLEARED_MAX = 100
"""Pending items that one publication takes out; a later one takes out the rest."""
LOWEST, HIGHEST = " ", "~"
"""Before and after every key that begins with an account."""
_NOTE = re.compile(r"(LOCKDOWN|[a-z2-7]{26})#[0-9]{12}")


class UnreadableNoteError(InfrastructureError):
    """A note is not where or what a transaction of ours writes: it is to be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an account is.

    Attributes:
        last: The number of its last event (0: it has none).
        segment: The number that the last object begins with whose events were told (0: none).
        given_up: The number up to which an administrator gave events up (0: none).
    """

    last: int
    segment: int
    given_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A note that an account has events to publish, since this Unix time."""

    account: str
    at_s: int


def note(item: Item) -> Pending:
    """Return the note in an item.

    Raises:
        UnreadableNoteError: it is none.
    """
    account, at_s = account_of(item), item.get("at")
    if type(at_s) is not int:
        raise UnreadableNoteError("note without a time")
    return Pending(account=account, at_s=at_s)


def account_of(pending: Key) -> str:
    """Return the account of a pending item's key.

    Raises:
        UnreadableNoteError: it is no such key, or in another shard than its account's.
    """
    found = _NOTE.fullmatch(pending["sk"])
    if found is None or pending["pk"] != _shard_key(shard_of(found[1])):
        raise UnreadableNoteError("note under another key")
    return found[1]


def progress(account: str) -> Progress:
    """Return how far an account is published.

    Raises:
        StoreError: it could not be read.
    """
    head, mark, gap = dynamodb.batch_get(
        (_table(), _head_key(account)),
        (_table(), _mark_key(account)),
        (_table(), _gap_key(account)),
    )
    return Progress(
        last=head["last"] if head else 0,
        segment=mark["segment"] if mark else 0,
        given_up=gap["last"] if gap else 0,
    )


def last(account: str) -> int:
    """Return the number of an account's last event, 0 if it has none.

    Raises:
        StoreError: it could not be read.
    """
    (head,) = dynamodb.batch_get((_table(), _head_key(account)))
    return head["last"] if head else 0


def events(account: str, *, first: int, last: int) -> list[Event]:
    """Return the stored events with these numbers, in order; what has expired is missing.

    Raises:
        UnreadableEventError: something else than an event is among them.
        StoreError: they could not be read.
    """
    found = dynamodb.query_between(
        _table(),
        f"EVENT#{account}",
        first_sk=f"{first:012d}",
        last_sk=f"{last:012d}",
        limit=last - first + 1,
    )
    return [Event.from_item(item) for item in found]


def advance(account: str, *, to: int) -> None:
    """Mark the object that begins with number *to* as told, unless a later one is.

    Raises:
        StoreError: it is not known whether it was recorded.
    """
    move = dynamodb.change(
        _table(), _mark_key(account), {"segment": to}, where='"segment" < ?', given=(to,)
    )
    begin = dynamodb.insert(_table(), {**_mark_key(account), "segment": to})
    for write in (move, begin, move):
        # Refused in turn: there is none or it is further; there is one by now; it is further.
        with contextlib.suppress(ConditionFailedError):
            dynamodb.execute(write)
            return


def clear(account: str, *, up_to: int) -> None:
    """Take out the account's notes of events up to this number, which is published.

    Nothing else is ever deleted by a function: a note says no more than the numbers beside it,
    and a list of what is still to be done must end.

    Raises:
        StoreError: some are left; they are taken out by a later publication.
    """
    shard = shard_of(account)
    notes = dynamodb.query_between(
        _table(),
        _shard_key(shard),
        first_sk=f"{account}#",
        last_sk=f"{account}#{up_to:012d}",
        limit=CLEARED_MAX,
    )
    for item in notes:
        dynamodb.delete(_table(), {"pk": item["pk"], "sk": item["sk"]})


def pending(*, limit: int) -> Iterator[Item]:
    """Yield notes of all accounts, whatever they are like, at most about *limit* of each shard.

    Each listing begins at a random account, so that some that always fail cannot hide others.

    Raises:
        StoreError: they could not be read.
    """
    for shard in range(SHARDS):
        start = entropy.new_id()
        for first, last in ((start, HIGHEST), (LOWEST, start)):
            yield from dynamodb.query_between(
                _table(), _shard_key(shard), first_sk=first, last_sk=last, limit=limit
            )


def shard_of(account: str) -> int:
    """Return the shard that an account's notes are in."""
    return hashlib.sha256(account.encode()).digest()[0] % SHARDS


def _table() -> str:
    return setting("IDENTITY_TABLE")


def _shard_key(shard: int) -> str:
    return f"PENDING#{shard:02d}"


def _head_key(account: str) -> Key:
    return {"pk": f"OUTBOX#{account}", "sk": "HEAD"}


def _mark_key(account: str) -> Key:
    return {"pk": f"PUBLISHED#{account}", "sk": "PUBLISHED"}


def _gap_key(account: str) -> Key:
    # Of its own kind, so that the roles that move marks cannot write it (docs/decisions/0025).
    return {"pk": f"GAP#{account}", "sk": "GAP"}
