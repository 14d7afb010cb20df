"""Lockdown: one switch that stops money from going out, for everybody at once.

One operator freezes, two lift: a freeze in error costs a while, a lift in error the money. It is
one item of the Standing table, which the ledger reads, consistently, in the same batch as the
wallets of each posting, and never in its transaction: one item in every transaction would
serialise the platform. So a posting that was read before the freeze may still commit, within the
five seconds that its function has (docs/runbooks/lockdown.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from portcullis import clock
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Key, Statement, Value
from portcullis.errors import ConflictError
from portcullis.evidence.orders import LiftLockdown, LockDown
from portcullis.identity import operators, outbox, tables
from portcullis.identity.outbox import Event
from portcullis.identity.tables import LOCKDOWN

PATH, LIFT_PATH = "/lockdown", "/lockdown/lift"


class NotLockedDownError(ConflictError):
    """There is no lockdown to lift."""

    code = "not-locked-down"
    title = "There is no lockdown at present."


class AnotherLockdownError(ConflictError):
    """What stands is not the lockdown that the commands name: somebody has frozen since."""

    code = "another-lockdown"
    title = "Another lockdown stands than the one that the commands lift."


@dataclass(frozen=True, slots=True)
class Lockdown:
    """Whether outgoing money is frozen, since which Unix time that is so, and why it last was.

    No two lockdowns have the same ``since``: a lift names by it which one it ends.
    """

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


type Decided = tuple[Lockdown, Sequence[Statement]]
"""What will stand, and how to write it."""


def lock_down(compact: str, *, caller_role: str | None, now_s: int) -> Lockdown:
    """Freeze outgoing money, and return what stands.

    What is frozen already is frozen anew: whoever lifts must know of the last reason.

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
    reason = operators.order(given[0], LockDown).reason
    event = Event("locked-down", {"operator": operators.names(given)[0], "reason": reason})

    def decide(item: Item | None, head: Item | None) -> Decided:
        if item is None:
            frozen = Lockdown(locked=True, since=now_s, reason=reason)
            written = dynamodb.insert(tables.standing(), frozen.to_item())
        else:
            seen = Lockdown.from_item(item)
            frozen = Lockdown(locked=True, since=max(now_s, seen.since + 1), reason=reason)
            written = _changed(seen, frozen)
        return frozen, [written, *_told(event, head, at_s=frozen.since)]

    return operators.commit(given, decide, on=_item(), account=LOCKDOWN)


def lift(compacts: Sequence[str], *, caller_role: str | None, now_s: int) -> Lockdown:
    """Let money go out again, and return what stands.

    Args:
        compacts: two operators' commands, which name the lockdown that they end.
        caller_role: the IAM role that API Gateway authenticated.
        now_s: the time, in Unix seconds.

    Raises:
        InvalidCommandError: a command does not verify, or names no lockdown.
        TwoOperatorsRequiredError: one operator, one key or two orders are behind the commands.
        CommandReplayedError: a command has served before.
        NotLockedDownError: nothing is frozen.
        AnotherLockdownError: what is frozen is so since another time.
        InfrastructureError: a service did not answer, or others kept changing the lockdown.
    """
    given = operators.ordered(
        compacts,
        expected_kind="lift-lockdown",
        expected_path=LIFT_PATH,
        caller_role=caller_role,
        now_s=now_s,
    )
    named = operators.order(given[0], LiftLockdown).since
    event = Event("lockdown-lifted", {"operators": operators.names(given)})

    def decide(item: Item | None, head: Item | None) -> Decided:
        seen = Lockdown.from_item(item) if item else None
        if seen is None or not seen.locked:
            raise NotLockedDownError
        if clock.rfc3339(seen.since) != named:
            raise AnotherLockdownError
        lifted = Lockdown(locked=False, since=max(now_s, seen.since), reason=seen.reason)
        return lifted, [_changed(seen, lifted), *_told(event, head, at_s=now_s)]

    return operators.commit(given, decide, on=_item(), account=LOCKDOWN)


def _item() -> tuple[str, Key]:
    return tables.standing(), tables.lockdown_key()


def _changed(seen: Lockdown, to: Lockdown) -> Statement:
    return dynamodb.change(
        tables.standing(),
        tables.lockdown_key(),
        to.values,
        where='"locked" = ? AND "since" = ?',
        given=(seen.locked, seen.since),
    )


def _told(event: Event, head: Item | None, *, at_s: int) -> list[Statement]:
    """Return the writes of an event; the platform's first one opens the outbox."""
    if head is None:
        return outbox.opened(LOCKDOWN, kind=event.kind, at_s=at_s, facts=event.facts)
    return outbox.numbered(LOCKDOWN, event, after=outbox.last(head), at_s=at_s)
