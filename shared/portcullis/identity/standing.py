"""Standing: may this account act at all, and since which epoch.

Raising the epoch kills every session, family and token born under an older one: O(1), whatever
their number, and no race leaves one alive.
"""

from dataclasses import dataclass
from typing import Any

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Check, Item, Statement
from portcullis.errors import ForbiddenError
from portcullis.identity import tables

ACTIVE = "ACTIVE"
FREEZE_S = 86_400
"""How long a recovery freezes what could not be undone."""


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


def demanded(account: str, *, epoch: int) -> Statement:
    """Return the same demand as ``unchanged``, for a transaction of statements."""
    return dynamodb.demand(
        tables.standing(),
        tables.standing_key(account),
        where='"epoch" = ? AND "status" = ?',
        given=(epoch, ACTIVE),
    )


def unchanged(account: str, *, epoch: int) -> Check:
    """Return the demand that an account is active and still in *epoch*."""
    return Check(
        tables.standing(),
        tables.standing_key(account),
        condition="#epoch = :epoch AND #status = :active",
        values={":epoch": epoch, ":active": ACTIVE},
    )
