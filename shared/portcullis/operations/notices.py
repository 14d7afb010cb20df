"""What the owner of an account must hear of, and in which words: ids and codes, never PII."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from portcullis import clock

KINDS = frozenset(
    {
        "account-opened",
        "account-released",
        "passkey-added",
        "passkey-counter-regressed",
        "passkey-removed",
        "password-set",
        "recovery-cancelled",
        "recovery-codes-minted",
        "recovery-started",
        "second-factor-failing",
        "session-started",
        "sessions-ended",
        "totp-added",
        "totp-removed",
    }
)
REASONS = {"session-ended": frozenset({"refresh-token-reused"})}
"""Kinds that the owner must hear of for these reasons alone: others are the owner's own doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event of an account that its owner must hear of; (account, number) is its identity."""

    account: str
    number: int
    kind: str
    at_s: int
    reason: str | None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self | None:
        """Return the notice of a stored event, or None if its owner need not hear of it."""
        kind, reason = event["kind"], event.get("reason")
        told = reason if reason in REASONS.get(kind, ()) else None
        if kind not in KINDS and told is None:
            return None
        return cls(
            account=event["pk"].partition("#")[2],
            number=int(event["sk"]),
            kind=kind,
            at_s=event["at"],
            reason=told,
        )

    def to_json(self) -> str:
        """Return the message: JSON of one line."""
        members = {
            "account": self.account,
            "number": self.number,
            "kind": self.kind,
            "at": clock.rfc3339(self.at_s),
        }
        reason = {} if self.reason is None else {"reason": self.reason}
        return json.dumps(members | reason, separators=(",", ":"))
