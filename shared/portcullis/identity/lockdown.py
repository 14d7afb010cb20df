"""Lockdown: one switch that stops money from going out, for everybody at once.

One operator freezes, two lift: a freeze in error costs a while, a lift in error the money. It is
one item of the Standing table, which the ledger reads, consistently, in the same batch as the
wallets of each posting, and never in its transaction: one item in every transaction would
serialise the platform. So a posting that was read before the freeze may still commit, within the
five seconds that its function has (docs/runbooks/lockdown.md).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Item, Statement, Value
from portcullis.errors import ConflictError
from portcullis.evidence.commands import Command
from portcullis.evidence.orders import LiftLockdown, LockDown
from portcullis.identity import once, operators, outbox, tables
from portcullis.identity.operators import CommandReplayedError
from portcullis.identity.outbox import Event
from portcullis.identity.tables import LOCKDOWN

PATH, LIFT_PATH = "/lockdown", "/lockdown/lift"
ROUNDS_MAX = 6
PAUSE_S = 0.02


class NotLockedDownError(ConflictError):
    """There is no lockdown to lift."""

    code = "not-locked-down"
    title = "There is no lockdown at present."


@dataclass(frozen=True, slots=True)
class Lockdown:
    """Whether outgoing money is frozen, since which Unix time that is so, and why it last was."""

    locked: bool
    since: int
    reason: str

    @classmethod
    def from_item(cls, item: Item) -> "Lockdown":
        """Return the lockdown in a stored item."""
        return cls(locked=item["locked"], since=item["since"], reason=item["reason"])

    def to_item(self) -> dict[str, Value]:
        """Return the item to store."""
        return {**tables.lockdown_key(), **self.values}

    @property
    def values(self) -> dict[str, Value]:
        """What is stored beside the key."""
        return {"locked": self.locked, "since": self.since, "reason": self.reason}


type Decision = Callable[[Lockdown | None, Item | None], tuple[Lockdown, list[Statement]]]
"""From the stored lockdown and the head of its outbox: what will stand, and how to write it."""


def lock_down(compact: str, *, caller_role: str | None, now_s: int) -> Lockdown:
    """Freeze outgoing money, and return what stands; what is frozen stays as it was.

    Args:
        compact: one operator's command.
        caller_role: the IAM role that API Gateway authenticated.
        now_s: the time, in Unix seconds.

    Raises:
        InvalidCommandError: the command does not verify, or gives no reason of the list.
        CommandReplayedError: the command has served before.
        InfrastructureError: a service did not answer, or others kept changing the lockdown.
    """
    given = operators.ordered(
        [compact],
        expected_kind="lock-down",
        expected_path=PATH,
        expected_operators=1,
        caller_role=caller_role,
        now_s=now_s,
    )
    frozen = Lockdown(locked=True, since=now_s, reason=operators.order(given[0], LockDown).reason)
    event = Event("locked-down", {"operator": operators.names(given)[0], "reason": frozen.reason})

    def decide(seen: Lockdown | None, head: Item | None) -> tuple[Lockdown, list[Statement]]:
        if seen is not None and seen.locked:
            return seen, [_unchanged(seen)]
        return frozen, [_written(frozen, after=seen), *_told(event, head, at_s=now_s)]

    return _committed(given, decide)


def lift(compacts: Sequence[str], *, caller_role: str | None, now_s: int) -> Lockdown:
    """Let money go out again, and return what stands.

    Args:
        compacts: two operators' commands.
        caller_role: the IAM role that API Gateway authenticated.
        now_s: the time, in Unix seconds.

    Raises:
        InvalidCommandError: a command does not verify.
        TwoOperatorsRequiredError: one operator, one key or two orders are behind the commands.
        CommandReplayedError: a command has served before.
        NotLockedDownError: nothing is frozen; the commands stay good.
        InfrastructureError: a service did not answer, or others kept changing the lockdown.
    """
    given = operators.ordered(
        compacts,
        expected_kind="lift-lockdown",
        expected_path=LIFT_PATH,
        caller_role=caller_role,
        now_s=now_s,
    )
    operators.order(given[0], LiftLockdown)
    event = Event("lockdown-lifted", {"operators": operators.names(given)})

    def decide(seen: Lockdown | None, head: Item | None) -> tuple[Lockdown, list[Statement]]:
        if seen is None or not seen.locked:
            raise NotLockedDownError
        lifted = Lockdown(locked=False, since=now_s, reason=seen.reason)
        return lifted, [_written(lifted, after=seen), *_told(event, head, at_s=now_s)]

    return _committed(given, decide)


def _committed(given: Sequence[Command], decide: Decision) -> Lockdown:
    attempt, meant = entropy.new_id(), None
    for round_ in range(ROUNDS_MAX):
        item, head, *spent = dynamodb.batch_get(
            (tables.standing(), tables.lockdown_key()),
            (tables.identity(), tables.outbox_key(LOCKDOWN)),
            *((tables.once(), tables.command_key(command.iss, command.jti)) for command in given),
        )
        if meant is not None and all(once.is_of(one, attempt) for one in spent):
            return meant
        if any(spent):
            raise CommandReplayedError
        meant, writes = decide(Lockdown.from_item(item) if item else None, head)
        try:
            dynamodb.execute(
                *(operators.used(command, attempt=attempt) for command in given), *writes
            )
        except ConditionFailedError:
            time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
        else:
            return meant
    raise ContentionError("lockdown")


def _written(lockdown: Lockdown, *, after: Lockdown | None) -> Statement:
    if after is None:
        return dynamodb.insert(tables.standing(), lockdown.to_item())
    return dynamodb.change(
        tables.standing(),
        tables.lockdown_key(),
        lockdown.values,
        where='"locked" = ? AND "since" = ?',
        given=(after.locked, after.since),
    )


def _unchanged(seen: Lockdown) -> Statement:
    return dynamodb.demand(
        tables.standing(),
        tables.lockdown_key(),
        where='"locked" = ? AND "since" = ?',
        given=(seen.locked, seen.since),
    )


def _told(event: Event, head: Item | None, *, at_s: int) -> list[Statement]:
    """Return the writes of an event; the platform's first one opens the outbox."""
    if head is None:
        return outbox.opened(LOCKDOWN, kind=event.kind, at_s=at_s, facts=event.facts)
    return outbox.numbered(LOCKDOWN, event, after=outbox.last(head), at_s=at_s)
