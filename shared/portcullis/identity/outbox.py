"""The outbox: every security-relevant change writes its event in the same transaction.

Events of one account are numbered without a gap, so they have an order and a missing one is
noticed. The number is kept beside the events and not in the standing, so that a role which only
reports a sign-in needs no write on anybody's standing (docs/decisions/0005). Events are inserted,
never put: the roles that write them cannot rewrite them.
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


def opened(account: str, *, kind: str, at_s: int) -> tuple[Statement, Statement]:
    """Return the writes that open an account's outbox with its first event."""
    head = dynamodb.insert(tables.identity(), {**tables.outbox_key(account), "last": FIRST})
    return head, _event(account, number=FIRST, kind=kind, at_s=at_s, facts={})


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
    take = dynamodb.change(
        tables.identity(),
        tables.outbox_key(account),
        {"last": after + len(events)},
        where='"last" = ?',
        given=(after,),
    )
    return [
        take,
        *(
            _event(account, number=number, kind=event.kind, at_s=at_s, facts=event.facts)
            for number, event in enumerate(events, start=after + 1)
        ),
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
