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


class NoSuchAccountError(NotFoundError):
    """There is no such account."""

    code = "no-such-account"
    title = "There is no such account."


class AccountRestrictedError(ForbiddenError):
    """The account's standing does not allow this."""

    code = "account-restricted"
    title = "This account may not do this at present."


class AccountFrozenError(ForbiddenError):
    """A recovery has frozen what could not be undone."""

    code = "account-frozen"
    title = "A recovery froze this account for a day: no factor can be removed until then."


@dataclass(frozen=True, slots=True)
class Standing:
    """One account's standing.

    ``frozen_until``: until this Unix time no money goes out and no factor is removed.
    ``approval_required_since``: money goes out only with an approval younger than this; 0: never
    demanded. The ledger reads both in its own transaction.
    """

    account: str
    status: str
    epoch: int
    frozen_until: int = 0
    approval_required_since: int = 0

    @classmethod
    def from_item(cls, item: Item) -> "Standing":
        """Return the standing in a stored item."""
        return cls(
            account=item["pk"],
            status=item["status"],
            epoch=item["epoch"],
            frozen_until=item["frozen_until"],
            approval_required_since=item["approval_required_since"],
        )

    def to_item(self) -> dict[str, Any]:
        """Return the item to store."""
        return {
            **tables.standing_key(self.account),
            "status": self.status,
            "epoch": self.epoch,
            "frozen_until": self.frozen_until,
            "approval_required_since": self.approval_required_since,
        }

    @property
    def is_active(self) -> bool:
        """Whether the account may act."""
        return self.status == ACTIVE

    @property
    def is_quarantined(self) -> bool:
        """Whether the account may do nothing but have its quarantine lifted."""
        return self.status == QUARANTINED

    def permits(self, route: tuple[str, str]) -> bool:
        """Whether the account may use *route*, a method and a path as API Gateway spells it."""
        return self.is_active or (self.is_quarantined and route in LIFTING)

    def is_frozen(self, now_s: int) -> bool:
        """Whether a recovery's freeze is on."""
        return now_s < self.frozen_until


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


def quarantined(seen: Standing) -> Statement:
    """Return the write that kills every session and quarantines, if it is still as *seen*.

    Whoever loses its condition was overtaken by another kill, so each kill has one event.
    """
    return dynamodb.change(
        tables.standing(),
        tables.standing_key(seen.account),
        {"epoch": seen.epoch + 1, "status": QUARANTINED},
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
