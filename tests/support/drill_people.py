"""Who plays in the drill, and how they see what the platform has told of them."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from infra.local.inbox import messages
from tests.support import inside
from tests.support.operator import Operator
from tests.support.owner import Owner
from tests.support.stage import Stage, within
from tests.support.story import check

DEPOSIT, SMALL = "100.00", "1.00"
PASSWORD = f"seven otters {uuid.uuid4()}"
KILLED = "account-quarantined"
TOLD_S_MAX = 20.0
"""How long an event may take from its transaction to the inbox."""


@dataclass
class Players:
    """Who plays, and what one scene leaves for a later one.

    Attributes:
        stage: Where it plays.
        alice: Is robbed, and has a passkey.
        bob: Gets some money.
        carol: Is robbed, and has no passkey.
        secret: Carol's TOTP secret.
        dave: Travels.
        approval: One of Dave's, for one transfer.
        thief: Has everything that the robbed application held.
        operators: Two who operate the platform.
        lockdown: Since when money is frozen, by which its lift names it.
        notices: What has been taken out of the inbox.
    """

    stage: Stage
    alice: Owner = field(init=False)
    bob: Owner = field(init=False)
    carol: Owner = field(init=False)
    secret: str = field(init=False)
    dave: Owner = field(init=False)
    approval: str = field(init=False)
    thief: Owner = field(init=False)
    operators: tuple[Operator, Operator] = field(init=False)
    lockdown: str = field(init=False)
    notices: list[dict[str, Any]] = field(default_factory=list)

    def told(self, owner: Owner, kind: str) -> dict[str, Any]:
        """Return the first notice of a kind that the owner got.

        Raises:
            BrokenPromiseError: None came in time.
        """
        return _one(kind, within(TOLD_S_MAX, lambda: self._notices(owner, kind)))

    def audited(self, owner: Owner, kind: str) -> dict[str, Any]:
        """Return the first event of a kind that the audit bucket has of the account.

        Raises:
            BrokenPromiseError: None came in time, or the account's events have a gap.
        """
        return _one(kind, within(TOLD_S_MAX, lambda: self._audited(owner, kind)))

    def _notices(self, owner: Owner, kind: str) -> list[dict[str, Any]]:
        stack = self.stage.stack
        self.notices += map(json.loads, messages(name=stack.name, endpoint=stack.endpoint))
        return [
            one for one in self.notices if (one["account"], one["kind"]) == (owner.account, kind)
        ]

    def _audited(self, owner: Owner, kind: str) -> list[dict[str, Any]]:
        found = inside.audited(self.stage.stack, str(owner.account))
        numbers = [one["number"] for one in found]
        check("no gap in the audit bucket", kept=numbers == list(range(1, len(numbers) + 1)))
        return [one for one in found if one["kind"] == kind]


def _one(kind: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    check(f"{kind} within {TOLD_S_MAX:.0f} s", kept=bool(found))
    return found[0]
