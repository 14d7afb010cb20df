"""Standing: may this account act at all, and since which epoch.

Raising the epoch kills every session, family and token born under an older one: O(1), whatever
their number, and no race leaves one alive.
"""

from dataclasses import dataclass
from typing import Any

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Check, Item, Statement
from portcullis.errors import ForbiddenError, NotFoundError
from portcullis.identity import tables

ACTIVE = "ACTIVE"
QUARANTINED = "QUARANTINED"
"""An anomaly has killed every session. The owner may sign in, and lift it; no more."""
LIFTING = frozenset({("POST", "/approvals/options"), ("POST", "/approvals")})
"""The routes that lead out of a quarantine."""
FREEZE_S = 86_400
"""How long a recovery freezes what could not be undone."""
QUARANTINES_MAX = 2
QUARANTINES_COUNTED_OVER_S = 86_400
"""So many in a day. Another would let a thief, or a wrong database, keep an owner out for good:
instead of it every session dies, and money is frozen."""


class NoSuchAccountError(NotFoundError):
    """There is no such account."""

    code = "no-such-account"
    title = "There is no such account."


class AccountRestrictedError(ForbiddenError):
    """The account's standing does not allow this."""

    code = "account-restricted"
    title = "This account may not do this at present."


class AccountQuarantinedError(AccountRestrictedError):
    """The account is quarantined. Its hearer holds a live session, and can have it lifted."""

    code = "account-quarantined"
    title = "This account is quarantined. Have the quarantine lifted at /approvals."


class AccountFrozenError(ForbiddenError):
    """What could not be undone is frozen, by a recovery or after quarantines."""

    code = "account-frozen"
    title = "This account is frozen for a day: no factor can be removed until then."


@dataclass(frozen=True, slots=True)
class Standing:
    """One account's standing.

    ``frozen_until``: until this Unix time no money goes out and no factor is removed.
    ``approval_required_since``: money goes out only with an approval younger than this; 0: never
    demanded. The ledger reads both in its own transaction. ``quarantined_at``: when the last
    quarantines began, two at most.
    """

    account: str
    status: str
    epoch: int
    frozen_until: int = 0
    approval_required_since: int = 0
    quarantined_at: tuple[int, ...] = ()

    @classmethod
    def from_item(cls, item: Item) -> "Standing":
        """Return the standing in a stored item."""
        return cls(
            account=item["pk"],
            status=item["status"],
            epoch=item["epoch"],
            frozen_until=item["frozen_until"],
            approval_required_since=item["approval_required_since"],
            quarantined_at=tuple(item.get("quarantined_at", ())),
        )

    def to_item(self) -> dict[str, Any]:
        """Return the item to store."""
        return {
            **tables.standing_key(self.account),
            "status": self.status,
            "epoch": self.epoch,
            "frozen_until": self.frozen_until,
            "approval_required_since": self.approval_required_since,
            "quarantined_at": list(self.quarantined_at),
        }

    @property
    def is_active(self) -> bool:
        """Whether the account may act."""
        return self.status == ACTIVE

    @property
    def is_quarantined(self) -> bool:
        """Whether the account may do nothing but have its quarantine lifted."""
        return self.status == QUARANTINED

    def demand_permitted(self, route: tuple[str, str]) -> None:
        """Demand that the account may use *route*, a method and a path as API Gateway spells it.

        Raises:
            AccountQuarantinedError: it is quarantined, and the route does not lead out of it.
            AccountRestrictedError: it may use no route.
        """
        if self.is_quarantined:
            if route not in LIFTING:
                raise AccountQuarantinedError
        elif not self.is_active:
            raise AccountRestrictedError

    def is_frozen(self, now_s: int) -> bool:
        """Whether what could not be undone is frozen."""
        return now_s < self.frozen_until

    def is_often_quarantined(self, now_s: int) -> bool:
        """Whether the account is active after as many quarantines as a day may have."""
        recent = [at_s for at_s in self.quarantined_at if at_s > now_s - QUARANTINES_COUNTED_OVER_S]
        return self.is_active and len(recent) >= QUARANTINES_MAX


def raised(seen: Standing, *, frozen_until: int | None = None) -> Statement:
    """Return the write that kills every session of the account: epoch + 1, if it is still *seen*.

    Args:
        seen: the standing that was decided on; its status stays.
        frozen_until: a freeze to start with it; one that lasts longer already is kept.
    """
    until = max(seen.frozen_until, frozen_until or 0)
    return dynamodb.change(
        tables.standing(),
        tables.standing_key(seen.account),
        {"epoch": seen.epoch + 1, "frozen_until": until},
        where='"epoch" = ? AND "status" = ? AND "frozen_until" = ?',
        given=(seen.epoch, seen.status, seen.frozen_until),
    )


def quarantined(seen: Standing, *, at_s: int) -> Statement:
    """Return the write that kills every session and quarantines, if it is still as *seen*.

    Whoever loses its condition was overtaken by another kill, so each kill has one event. In a
    quarantine a kill begins no other one.
    """
    begun_at = (*seen.quarantined_at, at_s) if seen.is_active else seen.quarantined_at
    return dynamodb.change(
        tables.standing(),
        tables.standing_key(seen.account),
        {
            "epoch": seen.epoch + 1,
            "status": QUARANTINED,
            "quarantined_at": list(begun_at[-QUARANTINES_MAX:]),
        },
        where='"epoch" = ? AND "status" = ?',
        given=(seen.epoch, seen.status),
    )


def lifted(seen: Standing, *, approval_required_since: int) -> Statement:
    """Return the write that lifts a quarantine, if it is still the one that was *seen*.

    The epoch stays raised: what the quarantine killed stays dead.
    """
    return dynamodb.change(
        tables.standing(),
        tables.standing_key(seen.account),
        {"status": ACTIVE, "approval_required_since": approval_required_since},
        where='"epoch" = ? AND "status" = ? AND "approval_required_since" = ?',
        given=(seen.epoch, QUARANTINED, seen.approval_required_since),
    )


def approval_demanded(seen: Standing, *, since_s: int) -> Statement:
    """Return the write of ``approval_required_since`` (0: no more), if it is still as *seen*."""
    return dynamodb.change(
        tables.standing(),
        tables.standing_key(seen.account),
        {"approval_required_since": since_s},
        where='"epoch" = ? AND "status" = ? AND "approval_required_since" = ?',
        given=(seen.epoch, seen.status, seen.approval_required_since),
    )


def demanded(account: str, *, epoch: int, status: str = ACTIVE) -> Statement:
    """Return the demand that an account has this status, and is still in *epoch*."""
    return dynamodb.demand(
        tables.standing(),
        tables.standing_key(account),
        where='"epoch" = ? AND "status" = ?',
        given=(epoch, status),
    )


def unchanged(account: str, *, epoch: int) -> Check:
    """Return the same demand, of an active account, for a transaction of writes."""
    return Check(
        tables.standing(),
        tables.standing_key(account),
        condition="#epoch = :epoch AND #status = :active",
        values={":epoch": epoch, ":active": ACTIVE},
    )
