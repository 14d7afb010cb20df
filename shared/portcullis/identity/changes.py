"""A change to an account, by a caller whom the gate let through: decided, then committed once.

One read, one transaction. The transaction demands what the decision was made on: the session
live, the epoch and the factors unmoved. It consumes the proof, and the approval where there is
one, and numbers the events.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Item, Key, Statement
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.approvals import Act
from portcullis.evidence.caller import Caller
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import (
    approvals,
    assurance,
    factors,
    once,
    outbox,
    sessions,
    standing,
    tables,
)
from portcullis.identity.approvals import Approved
from portcullis.identity.assurance import Route
from portcullis.identity.factors import Factors
from portcullis.identity.gate import SessionEndedError, SessionTerminatedError
from portcullis.identity.outbox import Event
from portcullis.identity.standing import AccountFrozenError, Standing
from portcullis.refusals import ApprovalRefusedError, ApprovalRequiredError

ROUNDS_MAX = 6
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Seen:
    """The state that a change is decided on. ``items``: what was asked for besides."""

    standing: Standing
    factors: Factors
    items: Sequence[Item | None]
    last_event: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written, and told.

    ``standing``: the write of another standing, which demands the one that was seen. ``factors``:
    their next version, if they change. ``kills``: every other session dies; the caller's is
    carried over. ``ends_caller``: the caller's dies too. ``writes_session``: the statements change
    the caller's session under the demand that it is live.
    """

    events: Sequence[Event] = ()
    statements: Sequence[Statement] = ()
    standing: Statement | None = None
    factors: Factors | None = None
    kills: bool = False
    ends_caller: bool = False
    writes_session: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks for a change, and where: a verified token and proof, and the approval with them."""

    token: AccessToken
    proof: Proof
    route: Route
    approved: Approved | None = None


def principal(
    who: Caller,
    *,
    route: Route,
    now_s: int,
    act: Act | None = None,
    approval: str | None = None,
) -> Principal:
    """Return who asks, if the sign-in is strong and recent enough for the route.

    The gate has demanded the same; its word travels through the gateway.

    Args:
        who: the verified caller.
        route: the route of the request.
        now_s: the time, in Unix seconds.
        act: what an approval would have to be for.
        approval: the approval that came with the request, if any.

    Raises:
        StepUpRequiredError: the sign-in is too weak or too old.
        ApprovalRefusedError: the approval is not for this act of this session, now.
        InfrastructureError: KMS did not give the public keys.
    """
    assurance.demand(who.token, route=route, now_s=now_s)
    approved = approvals.verified(approval, act, token=who.token, now_s=now_s) if act else None
    return Principal(who.token, who.proof, route, approved)


def demand_approval(principal: Principal, seen: Factors, *, now_s: int) -> None:
    """Demand an approval, where there is a passkey that could give one.

    An account without an established passkey has only its fresh sign-in with password and TOTP to
    show, which the gate has demanded.

    Raises:
        ApprovalRequiredError: there is a passkey, and no approval.
    """
    if principal.approved is None and seen.established_passkeys(now_s):
        raise ApprovalRequiredError


def demand_removable(principal: Principal, seen: Seen, *, now_s: int) -> None:
    """Demand that a factor may be removed now: approved, and no recovery has frozen removals.

    Raises:
        ApprovalRequiredError: there is a passkey, and no approval.
        AccountFrozenError: a recovery has frozen removals.
    """
    demand_approval(principal, seen.factors, now_s=now_s)
    if seen.standing.is_frozen(now_s):
        raise AccountFrozenError


def commit(
    principal: Principal,
    decide: Callable[[Seen], Change],
    *,
    also: Sequence[tuple[str, Key]] = (),
    now_s: int,
) -> None:
    """Commit the change that *decide* makes of the present state.

    Args:
        principal: on whose behalf.
        decide: called again when the state has moved; what it raises is the answer.
        also: what else it must see.
        now_s: the time, in Unix seconds.

    Raises:
        SessionEndedError: the caller's session is over.
        SessionTerminatedError: the account's epoch has moved on.
        AccountQuarantinedError: the account is quarantined, and the route does not lift that.
        AccountRestrictedError: the account's standing does not allow it.
        ApprovalRefusedError: the approval was used, or its passkey is no factor any more.
        ProofReplayedError: the proof has done another deed.
        InfrastructureError: the store did not answer, or others kept changing the account.
    """
    attempt = entropy.new_id()
    for round_ in range(ROUNDS_MAX):
        seen = _read(principal, also, attempt=attempt, now_s=now_s)
        if seen is None:
            return
        change = decide(seen)
        try:
            dynamodb.execute(
                *_statements(principal, seen, change, attempt=attempt),
                *_told(principal, seen, change, now_s=now_s),
            )
        except ConditionFailedError:
            time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
        else:
            return
    if _read(principal, also, attempt=attempt, now_s=now_s) is not None:
        raise ContentionError("change of an account")


def _read(
    principal: Principal, also: Sequence[tuple[str, Key]], *, attempt: str, now_s: int
) -> Seen | None:
    """Return the state, or None if this very attempt is what made it."""
    token, approved = principal.token, principal.approved
    deed, session, standing_item, enrolled, head, *rest = dynamodb.batch_get(
        (tables.once(), tables.deed_key(principal.proof)),
        (tables.identity(), tables.session_key(token.sid)),
        (tables.standing(), tables.standing_key(token.sub)),
        (tables.identity(), tables.factors_key(token.sub)),
        (tables.identity(), tables.outbox_key(token.sub)),
        *([(tables.once(), tables.approval_key(approved.id))] if approved else []),
        *also,
    )
    if once.is_of(deed, attempt):
        return None
    if deed is not None:
        raise ProofReplayedError
    if session is None or standing_item is None or enrolled is None:
        raise SessionEndedError
    seen = Standing.from_item(standing_item)
    if not token.epoch == session["epoch"] == seen.epoch:
        raise SessionTerminatedError
    if session["status"] != sessions.LIVE or now_s >= session["absolute_expires"]:
        raise SessionEndedError
    seen.demand_permitted(principal.route)
    held = Factors.from_item(enrolled)
    if approved is not None:
        spent, rest = rest[0], rest[1:]
        if spent is not None or not held.holds(approved.credential_id):
            raise ApprovalRefusedError
    return Seen(standing=seen, factors=held, items=rest, last_event=outbox.last(head))


def _statements(
    principal: Principal, seen: Seen, change: Change, *, attempt: str
) -> list[Statement]:
    token, approved = principal.token, principal.approved
    spent = (
        [once.approval_insert(approved.id, until_s=approved.used_until_s, attempt=attempt)]
        if approved
        else []
    )
    held = (
        factors.demanded(seen.factors)
        if change.factors is None
        else change.factors.written_after(seen.factors)
    )
    carried = change.kills and not change.ends_caller
    session = (sessions.carried if carried else sessions.demanded)(token.sid, epoch=token.epoch)
    return [
        once.deed_insert(principal.proof, attempt=attempt),
        *spent,
        _stands(seen.standing, change),
        held,
        # A transaction may touch an item once only.
        *([] if change.writes_session else [session]),
        *change.statements,
    ]


def _stands(seen: Standing, change: Change) -> Statement:
    if change.standing is not None:
        return change.standing
    if change.kills:
        return standing.raised(seen)
    return standing.demanded(seen.account, epoch=seen.epoch, status=seen.status)


def _told(principal: Principal, seen: Seen, change: Change, *, now_s: int) -> list[Statement]:
    if not change.events:
        return []
    return outbox.numbered(principal.token.sub, *change.events, after=seen.last_event, at_s=now_s)
