"""Standing: may this account act at all, and since which epoch.

A kill raises the epoch, and with it every session, family and token born under an older one is
dead: O(1), whatever their number, and no race leaves one alive.
"""

from dataclasses import dataclass
from typing import Any

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Check, Item, Statement
from portcullis.errors import ForbiddenError
from portcullis.identity import tables

ACTIVE = "ACTIVE"


class AccountRestrictedError(ForbiddenError):
    """The account's standing does not allow this."""

    code = "account-restricted"
    title = "This account may not do this at present."


@dataclass(frozen=True, slots=True)
class Standing:
    """One account's standing."""

    account: str
    status: str
    epoch: int

    @classmethod
    def from_item(cls, item: Item) -> "Standing":
        """Return the standing in a stored item."""
        return cls(account=item["pk"], status=item["status"], epoch=item["epoch"])

    def to_item(self) -> dict[str, Any]:
        """Return the item to store."""
        return {
            **tables.standing_key(self.account),
            "status": self.status,
            "epoch": self.epoch,
        }

    @property
    def is_active(self) -> bool:
        """Whether the account may act."""
        return self.status == ACTIVE


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
