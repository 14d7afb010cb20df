"""Heads: a wallet's present balance and the end of its chain."""

from dataclasses import dataclass
from typing import Any

from portcullis.aws.dynamodb import Item
from portcullis.ledger import tables
from portcullis.ledger.chain import GENESIS


@dataclass(frozen=True, slots=True)
class Head:
    """One wallet's head. ``version`` is the number of its last entry."""

    owner: str
    currency: str
    balance: int
    version: int
    chain: bytes
    opened_at: int

    @classmethod
    def opened(cls, owner: str, currency: str, *, now_s: int) -> "Head":
        """Return the head of a wallet that is opened now."""
        return cls(owner, currency, balance=0, version=0, chain=GENESIS, opened_at=now_s)

    @classmethod
    def from_item(cls, owner: str, item: Item) -> "Head":
        """Return the head in a stored item."""
        return cls(
            owner=owner,
            currency=item["sk"],
            balance=item["balance"],
            version=item["version"],
            chain=bytes(item["chain"]),
            opened_at=item["opened_at"],
        )

    def to_item(self) -> dict[str, Any]:
        """Return the item to store."""
        return {
            **tables.head_key(self.owner, self.currency),
            "balance": self.balance,
            "version": self.version,
            "chain": self.chain,
            "opened_at": self.opened_at,
        }
