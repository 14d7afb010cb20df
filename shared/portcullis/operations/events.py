"""An event as it leaves the platform: one body for the audit bucket and the bus.

Its schema is docs/schemas/event-v1.json. (account, number) is its identity: numbers of an account
begin at 1 and have no gap.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue

from portcullis import clock
from portcullis.aws.dynamodb import Item
from portcullis.errors import InfrastructureError
from portcullis.schema import Strict

VERSION = 1
NUMBER_MAX = 10**12 - 1
"""Twelve digits: with more, the order of keys would not be the order of numbers."""
OWN = frozenset({"pk", "sk", "kind", "at", "ttl"})
"""Attributes of every stored event; the others are its facts."""
type Version = Annotated[int, Field(ge=VERSION, le=VERSION)]
"""Not a literal: to pydantic ``true`` is the literal 1."""


class UnreadableEventError(InfrastructureError):
    """What is stored or written as an event is none: no code of ours wrote it."""


class _Body(Strict):
    version: Version
    account: str
    number: Annotated[int, Field(ge=1, le=NUMBER_MAX)]
    kind: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$", max_length=64)]
    at: str
    facts: dict[str, JsonValue]


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
        """Return the event in an item of the outbox.

        Raises:
            UnreadableEventError: it holds none that could leave the platform.
        """
        try:
            body = {
                "version": VERSION,
                "account": item["pk"].partition("#")[2],
                "number": int(item["sk"]),
                "kind": item["kind"],
                "at": clock.rfc3339(item["at"]),
                "facts": {name: value for name, value in item.items() if name not in OWN},
            }
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            raise UnreadableEventError("unreadable event") from None
        return cls.from_body(body)

    @classmethod
    def from_body(cls, body: object) -> Self:
        """Return the event that *body* tells of.

        Raises:
            UnreadableEventError: it is no body of this version.
        """
        try:
            read = _Body.model_validate(body)
            at_s = _unix_time_s(read.at)
        except (ValueError, OverflowError):  # pydantic's error is a ValueError
            raise UnreadableEventError("unreadable event") from None
        return cls(
            account=read.account,
            number=read.number,
            kind=read.kind,
            at_s=at_s,
            facts=read.facts,
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


def _unix_time_s(text: str) -> int:
    at_s = clock.from_rfc3339(text)
    if clock.rfc3339(at_s) != text:  # of another zone, or of the year 1
        raise ValueError
    return at_s


def to_json(value: Mapping[str, Any]) -> str:
    """Return a body as JSON of one line; the same body makes the same text."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
