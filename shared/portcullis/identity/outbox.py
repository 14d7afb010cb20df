"""The outbox: every security-relevant change writes its event in the same transaction.

Events of one account are numbered without a gap, so they have an order and a missing one is
noticed. The number is kept beside the events and not in the standing, so that a role which only
reports a sign-in needs no write on anybody's standing (docs/decisions/0005). Events are inserted,
never put: the roles that write them cannot rewrite them.

Beside them stands a pending item until they are published, so that what is still to be told can be
listed without asking every account (docs/decisions/0020).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Item, Statement, Value
from portcullis.identity import tables

KEPT_S = 35 * 86_400
FIRST = 1
ROUNDS_MAX = 6
PAUSE_S = 0.02


def opened(
    account: str, *, kind: str, at_s: int, facts: Mapping[str, Value] | None = None
) -> list[Statement]:
    """Return the writes that open an account's outbox with its first event."""
    return [
        dynamodb.insert(tables.identity(), {**tables.outbox_key(account), "last": FIRST}),
        _event(account, number=FIRST, kind=kind, at_s=at_s, facts=facts or {}),
        _pending(account, last=FIRST, at_s=at_s),
    ]


def last(head: Item | None) -> int:
    """Return the number of the last event, given the stored head of the outbox."""
    return int(head["last"]) if head else 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an account. *facts* hold ids, never PII."""

    kind: str
    facts: Mapping[str, Value] = field(default_factory=dict)


def numbered(account: str, *events: Event, after: int, at_s: int) -> list[Statement]:
    """Return the writes of the events that follow number *after*, in order.

    They fail if another event took a number.
    """
    end = after + len(events)
    take = dynamodb.change(
        tables.identity(),
        tables.outbox_key(account),
        {"last": end},
        where='"last" = ?',
        given=(after,),
    )
    return [
        take,
        *(
            _event(account, number=number, kind=event.kind, at_s=at_s, facts=event.facts)
            for number, event in enumerate(events, start=after + 1)
        ),
        _pending(account, last=end, at_s=at_s),
    ]


def append(account: str, event: Event, *, at_s: int) -> None:
    """Write an event that nothing else changes with.

    Raises:
        InfrastructureError: it is not known whether it was written, or others kept writing theirs.
    """
    for round_ in range(ROUNDS_MAX):
        head = dynamodb.get(tables.identity(), tables.outbox_key(account))
        try:
            dynamodb.execute(*numbered(account, event, after=last(head), at_s=at_s))
        except ConditionFailedError:
            time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
        else:
            return
    raise ContentionError("event")


def _event(
    account: str, *, number: int, kind: str, at_s: int, facts: Mapping[str, Value]
) -> Statement:
    return dynamodb.insert(
        tables.identity(),
        {
            **tables.event_key(account, number),
            "kind": kind,
            "at": at_s,
            "ttl": at_s + KEPT_S,
            **facts,
        },
    )


def _pending(account: str, *, last: int, at_s: int) -> Statement:
    # Without an end of its own: what was never published must not vanish from the list.
    return dynamodb.insert(tables.identity(), {**tables.pending_key(account, last), "at": at_s})
