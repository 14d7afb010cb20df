"""Lifts: what ends a quarantine, and what ends the demand that money be approved.

An owner lifts by the strongest factor, in the transaction that uses up the challenge. Two
operators lift for an owner who has none left; then money waits for the owner's own approval.
Whatever a quarantine killed stays dead: the epoch is not lowered.
"""

from collections.abc import Sequence

from portcullis.aws.dynamodb import Item, Statement
from portcullis.errors import ConflictError
from portcullis.evidence.approvals import Act, Factor
from portcullis.evidence.orders import LiftQuarantine
from portcullis.identity import operators, outbox, standing, tables
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.changes import Change
from portcullis.identity.outbox import Event
from portcullis.identity.standing import NoSuchAccountError, Standing

LIFTS = frozenset({"lift-quarantine", "lift-demand"})
"""The acts that are done where they are approved."""
CODE_WAITS_S = 86_400
"""How long a demand stands before a code can lift it."""


class NotQuarantinedError(ConflictError):
    """There is no quarantine to lift."""

    code = "not-quarantined"
    title = "This account is not quarantined."


class NothingDemandedError(ConflictError):
    """No approval is demanded of this account's transfers."""

    code = "nothing-demanded"
    title = "No approval is demanded of this account's transfers."


class DemandTooYoungError(ConflictError):
    """A code of TOTP cannot lift a demand of approvals that is younger than a day."""

    code = "demand-too-young"
    title = "A code ends this demand one day after it began. Until then approve each transfer."


def by_owner(
    act: Act, seen: Standing, *, by: Factor, asked_at_s: int, uses: Sequence[Statement]
) -> Change:
    """Return the change that a lift is, of the very quarantine or demand that was *seen*.

    Who asked before a demand stood has not approved its end. A quarantine needs no such rule: it
    ends the session that asked. A code is less than a passkey: it can be phished together with
    the password. So what it lifts leaves a demand behind, or lasted a day that its owner had to
    object.

    Args:
        act: one of ``LIFTS``; a quarantine's says whether the owner had caused it.
        seen: the account's standing.
        by: which factor approved it.
        asked_at_s: the Unix time at which the challenge was given out.
        uses: the writes that use up what was answered.

    Raises:
        NotQuarantinedError: there is no quarantine to lift.
        NothingDemandedError: there is no demand to lift.
        DemandTooYoungError: a code was given, and the demand is younger than a day.
        ChallengeRefusedError: the demand is younger than the challenge.
    """
    demand_liftable(act, seen, by=by, asked_at_s=asked_at_s)
    since_s = seen.approval_required_since
    if act.kind == "lift-quarantine":
        left_s = since_s if by == "passkey" else max(since_s, asked_at_s)
        return Change(
            events=[Event("quarantine-lifted", {"by": by, "was_you": act.fields[0]})],
            statements=uses,
            standing=standing.lifted(seen, approval_required_since=left_s),
        )
    if since_s > asked_at_s:
        raise ChallengeRefusedError
    return Change(
        events=[Event("approval-demand-lifted", {"by": by})],
        statements=uses,
        standing=standing.approval_demanded(seen, since_s=0),
    )


def demand_liftable(act: Act, seen: Standing, *, by: Factor, asked_at_s: int) -> None:
    """Demand that there is something to lift which this factor may lift.

    Raises:
        NotQuarantinedError: there is no quarantine.
        NothingDemandedError: no approval is demanded.
        DemandTooYoungError: a code was given, and the demand is younger than a day.
    """
    since_s = seen.approval_required_since
    if act.kind == "lift-quarantine":
        if not seen.is_quarantined:
            raise NotQuarantinedError
    elif not since_s:
        raise NothingDemandedError
    elif by == "totp" and asked_at_s < since_s + CODE_WAITS_S:
        raise DemandTooYoungError


def by_operators(
    account: str, compacts: Sequence[str], *, caller_role: str | None, now_s: int
) -> int:
    """Lift an account's quarantine; return the Unix time since which its money wants approvals.

    Args:
        account: the account that the request names.
        compacts: two operators' commands, which name it, too.
        caller_role: the IAM role that API Gateway authenticated.
        now_s: the time, in Unix seconds.

    Raises:
        InvalidCommandError: a command does not verify, or it is for another account.
        TwoOperatorsRequiredError: one operator, one key or two orders are behind the commands.
        CommandReplayedError: a command has served before.
        NoSuchAccountError: there is no such account.
        NotQuarantinedError: there is no quarantine to lift; the commands stay good.
        InfrastructureError: a service did not answer, or others kept changing the account.
    """
    given = operators.ordered(
        compacts,
        expected_kind="lift-quarantine",
        expected_path=f"/accounts/{account}/lift",
        caller_role=caller_role,
        now_s=now_s,
    )
    operators.demand_named(account, given[0], LiftQuarantine)
    event = Event(
        "quarantine-lifted",
        {"by": "operators", "was_you": "unsaid", "operators": operators.names(given)},
    )

    def decide(item: Item | None, head: Item | None) -> tuple[int, Sequence[Statement]]:
        if item is None:
            raise NoSuchAccountError
        seen = Standing.from_item(item)
        if not seen.is_quarantined:
            raise NotQuarantinedError
        since_s = max(now_s, seen.approval_required_since)  # never lowered by a clock behind
        return since_s, [
            standing.lifted(seen, approval_required_since=since_s),
            *outbox.numbered(account, event, after=outbox.last(head), at_s=now_s),
        ]

    stands = tables.standing(), tables.standing_key(account)
    return operators.commit(given, decide, on=stands, account=account)
