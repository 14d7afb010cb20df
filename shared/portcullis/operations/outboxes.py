"""What the identity zone wrote into its outboxes, and how far each of them is published.

The zone spells these keys itself (identity/tables.py); tests hold the two spellings together.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Key
from portcullis.operations.events import Event
from portcullis.settings import setting

SHARDS = 16
CLEARED_MAX = 100
"""Pending items that one publication takes out; a later one takes out the rest."""
LOWEST, HIGHEST = " ", "~"
"""Before and after every key that begins with an account."""


@dataclass(frozen=True, slots=True)
class Progress:
    """An account's last event, and the last one that is published (0: none)."""

    last: int
    published: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A note that an account has events to publish, since this Unix time."""

    account: str
    at_s: int


def account_of(pending: Key) -> str:
    """Return the account of a pending item's key."""
    return pending["sk"].rpartition("#")[0]


def progress(account: str) -> Progress:
    """Return how far an account is published.

    Raises:
        StoreError: it could not be read.
    """
    head, cursor = dynamodb.batch_get(
        (_table(), {"pk": f"OUTBOX#{account}", "sk": "HEAD"}), (_table(), _cursor_key(account))
    )
    return Progress(last=head["last"] if head else 0, published=cursor["last"] if cursor else 0)


def events(account: str, *, first: int, last: int) -> list[Event]:
    """Return the stored events with these numbers, in order; what has expired is missing.

    Raises:
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
    """Record that an account is published up to number *to*, unless it is so further.

    Raises:
        StoreError: it is not known whether it was recorded.
    """
    move = dynamodb.change(
        _table(), _cursor_key(account), {"last": to}, where='"last" < ?', given=(to,)
    )
    begin = dynamodb.insert(_table(), {**_cursor_key(account), "last": to})
    for write in (move, begin, move):
        # Refused in turn: there is none or it is further; there is one by now; it is further.
        with contextlib.suppress(ConditionFailedError):
            dynamodb.execute(write)
            return


def clear(account: str, *, up_to: int) -> None:
    """Take out the account's notes of events up to this number, which are published.

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
    for note in notes:
        dynamodb.delete(_table(), {"pk": note["pk"], "sk": note["sk"]})


def pending(*, limit: int) -> Iterator[Pending]:
    """Yield notes of all accounts, at most about *limit* of each shard.

    Each listing begins at a random account, so that some that always fail cannot hide others.

    Raises:
        StoreError: they could not be read.
    """
    for shard in range(SHARDS):
        start = entropy.new_id()
        for first, last in ((start, HIGHEST), (LOWEST, start)):
            for item in dynamodb.query_between(
                _table(), _shard_key(shard), first_sk=first, last_sk=last, limit=limit
            ):
                yield Pending(account=account_of(item), at_s=item["at"])


def shard_of(account: str) -> int:
    """Return the shard that an account's notes are in."""
    return hashlib.sha256(account.encode()).digest()[0] % SHARDS


def _table() -> str:
    return setting("IDENTITY_TABLE")


def _shard_key(shard: int) -> str:
    return f"PENDING#{shard:02d}"


def _cursor_key(account: str) -> Key:
    return {"pk": f"PUBLISHED#{account}", "sk": "PUBLISHED"}
