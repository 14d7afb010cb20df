"""An event as it leaves the platform: one body for the audit bucket and the bus.

Its schema is docs/schemas/event-v1.json. (account, number) is its identity: numbers of an account
begin at 1 and have no gap.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from portcullis import clock
from portcullis.aws.dynamodb import Item

VERSION = 1
OWN = frozenset({"pk", "sk", "kind", "at", "ttl"})
"""Attributes of every stored event; the others are its facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an account. *facts* hold ids, numbers and codes, never PII."""

    account: str
    number: int
    kind: str
    at_s: int
    facts: Mapping[str, Any]

    @classmethod
    def from_item(cls, item: Item) -> Self:
        """Return the event in an item of the outbox."""
        return cls(
            account=item["pk"].partition("#")[2],
            number=int(item["sk"]),
            kind=item["kind"],
            at_s=item["at"],
            facts={name: value for name, value in item.items() if name not in OWN},
        )

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Return the event that *body* tells of.

        Raises:
            KeyError, TypeError, ValueError: it is no body of this version.
        """
        if body["version"] != VERSION:
            raise ValueError
        return cls(
            account=body["account"],
            number=body["number"],
            kind=body["kind"],
            at_s=clock.from_rfc3339(body["at"]),
            facts=body["facts"],
        )

    def body(self) -> dict[str, Any]:
        """Return the event as it leaves the platform."""
        return {
            "version": VERSION,
            "account": self.account,
            "number": self.number,
            "kind": self.kind,
            "at": clock.rfc3339(self.at_s),
            "facts": dict(self.facts),
        }


def to_json(value: Mapping[str, Any]) -> str:
    """Return a body as JSON of one line; the same body makes the same text."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
