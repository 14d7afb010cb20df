"""What the owner of an account must hear of, and in which words: ids and codes, never PII."""

import json
from dataclasses import dataclass
from typing import Self

from portcullis import clock
from portcullis.operations.events import Event

KINDS = frozenset(
    {
        "account-opened",
        "account-quarantined",
        "account-released",
        "approval-demand-lifted",
        "approval-demanded",
        "money-frozen",
        "passkey-added",
        "passkey-counter-regressed",
        "passkey-removed",
        "password-set",
        "quarantine-lifted",
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
    def of(cls, event: Event) -> Self | None:
        """Return the notice of an event, or None if its owner need not hear of it."""
        reason = event.facts.get("reason")
        heard = isinstance(reason, str) and reason in REASONS.get(event.kind, ())
        told = reason if heard else None
        if event.kind not in KINDS and told is None:
            return None
        return cls(
            account=event.account,
            number=event.number,
            kind=event.kind,
            at_s=event.at_s,
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
