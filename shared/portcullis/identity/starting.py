"""The start of a session: signed first, then one transaction with whatever permitted it.

The transaction demands the epoch and the factors that were seen, lists the session, numbers the
event, and uses up what the caller of this module adds (challenge, ticket, TOTP step). Where another
live session of the account cannot have come from, the new one begins with money held back until an
approval: that demand stands before the session does.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Item, Key, Statement
from portcullis.errors import UnauthenticatedError
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import (
    devices,
    ending,
    factors,
    judge,
    once,
    outbox,
    policy,
    restraint,
    session_list,
    sessions,
    sightings,
    standing,
    tables,
    tokens,
)
from portcullis.identity.factors import Factors
from portcullis.identity.families import Handle
from portcullis.identity.judge import Reason
from portcullis.identity.observations import Observation
from portcullis.identity.outbox import Event
from portcullis.identity.restraint import Judged, Restraint
from portcullis.identity.session_list import SESSIONS_MAX, SessionList
from portcullis.identity.sessions import LIVE, Session
from portcullis.identity.sightings import Sightings
from portcullis.identity.standing import Standing
from portcullis.identity.tokens import Tokens
from portcullis.source import Source

ROUNDS_MAX = 6
"""Sign-ins of one account at one moment compete for the number of their event."""
PAUSE_S = 0.02


class SignInRefusedError(UnauthenticatedError):
    """Nothing here opens an account: one answer, whatever the reason."""

    code = "sign-in-refused"
    title = "This does not sign in here."


@dataclass(frozen=True, slots=True)
class State:
    """The state of an account that a sign-in is decided on, and that its write demands."""

    standing: Standing
    factors: Factors
    sessions: SessionList
    last_event: int


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why a session may start: how strong, by which methods (RFC 8176), and what is used up."""

    acr: str
    amr: tuple[str, ...]
    uses: Sequence[Statement]


def wanted(account: str) -> list[tuple[str, Key]]:
    """Return what must be read of an account, for one batch with whatever else is needed."""
    return [
        (tables.standing(), tables.standing_key(account)),
        (tables.identity(), tables.factors_key(account)),
        (tables.identity(), tables.sessions_key(account)),
        (tables.identity(), tables.outbox_key(account)),
    ]


def state(items: Sequence[Item | None]) -> State | None:
    """Return the state in the items of ``wanted``, or None if there is no such account."""
    seen, enrolled, listed, head = items
    if seen is None or enrolled is None or listed is None:
        return None
    return State(
        standing=Standing.from_item(seen),
        factors=Factors.from_item(enrolled),
        sessions=SessionList.from_item(listed),
        last_event=outbox.last(head),
    )


def repeatedly(start_once: Callable[[], Tokens | None]) -> Tokens:
    """Return the tokens of the first try that commits; a try returns None if the state moved.

    Raises:
        ContentionError: the state kept moving.
    """
    for attempt in range(ROUNDS_MAX):
        started = start_once()
        if started is not None:
            return started
        time.sleep(entropy.jitter_s(PAUSE_S * 2**attempt))
    raise ContentionError("sign-in")


def start(
    seen: State, grounds: Grounds, *, proof: Proof, source: Source, now_s: int
) -> Tokens | None:
    """Return the tokens of a new session, or None if the account's state moved meanwhile.

    Raises:
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer.
    """
    account = seen.standing.account
    handle, attempt = Handle.new(entropy.bytes_of_id(account)), entropy.new_id()
    token = tokens.family_keys().mint(handle, 1)
    observation = sightings.observe(source, now_s=now_s)
    session = Session(
        sid=handle.sid,
        account=account,
        status=LIVE,
        epoch=seen.standing.epoch,
        jkt=proof.jkt,
        acr=grounds.acr,
        amr=grounds.amr,
        auth_time=now_s,
        generation=token.generation,
        current=token.digest,
        previous=b"",
        rotated_at=now_s,
        retries=0,
        sealed=b"",
        attempt=attempt,
        idle_expires=now_s + sessions.IDLE_S,
        absolute_expires=now_s + sessions.ABSOLUTE_S,
        device=devices.device(source.user_agent),
        place=observation.label,
    )
    kept, displaced = _kept(seen, now_s=now_s)
    with ThreadPoolExecutor(max_workers=1) as beside:
        elsewhere = beside.submit(_elsewhere, seen, observation, now_s=now_s)
        issued = tokens.issue(session, token, now_s=now_s)
        demand = elsewhere.result()
    if demand is not None:
        restraint.ask(demand)
        return None
    started = Event(
        "session-started", {"sid": session.sid, "acr": session.acr, "amr": list(session.amr)}
    )
    ends = [Event("session-ended", {"sid": sid, "reason": "displaced"}) for sid in displaced]
    try:
        dynamodb.execute(
            once.proof_insert(proof, attempt=attempt),
            *grounds.uses,
            dynamodb.insert(tables.identity(), session.to_item()),
            sightings.begun(session, observation),
            *(ending.ended(sid, reason="displaced", now_s=now_s) for sid in displaced),
            seen.sessions.with_only((*kept, session.sid)),
            standing.demanded(account, epoch=seen.standing.epoch, status=seen.standing.status),
            factors.demanded(seen.factors),
            *outbox.numbered(account, *ends, started, after=seen.last_event, at_s=now_s),
        )
    except ConditionFailedError:
        used = dynamodb.get(tables.once(), tables.proof_key(proof))
        if used is None:
            return None
        if not once.is_of(used, attempt):
            raise ProofReplayedError from None
    return issued


def _elsewhere(seen: State, observation: Observation, *, now_s: int) -> Restraint | None:
    """Return the demand due because a live session is where this sign-in cannot have come from.

    It is due whatever the policy makes of that in a session's own requests. None if no session is,
    or the demand of this very moment stands already.

    Raises:
        InfrastructureError: the store did not answer.
    """
    listed, account = seen.sessions.sids, seen.standing
    if not listed or account.approval_required_since >= now_s:
        return None
    items = dynamodb.batch_get(
        *((tables.identity(), tables.session_key(sid)) for sid in listed),
        *((tables.identity(), tables.sightings_key(sid)) for sid in listed),
    )
    for item, sights in zip(items[: len(listed)], items[len(listed) :], strict=True):
        baseline = Sightings.from_item(sights).baseline
        if item is None or baseline is None:
            continue
        session = Session.from_item(item)
        # Live but for a quarantine, too: after its lift this session would be as good as any.
        if not session.stands(account.epoch, now_s=now_s):
            continue
        # Two sessions may be two devices: only where they are is compared.
        alike = baseline.model_copy(update={"devices": (observation.device,)})
        verdict = judge.judge(policy.in_force(), alike, observation)
        if Reason.IMPOSSIBLE_TRAVEL in verdict.reasons:
            return Restraint(
                account=account.account,
                sid=session.sid,
                occasion="sign-in",
                epoch=account.epoch,
                judged=Judged(baseline=alike, observation=observation, verdict=verdict),
            )
    return None


def _kept(seen: State, *, now_s: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the listed sessions that stay, and those that must end to make room."""
    if len(seen.sessions.sids) < SESSIONS_MAX:
        return seen.sessions.sids, ()
    alive, _ = session_list.live(seen.sessions, seen.standing, now_s=now_s)
    sids = tuple(one.sid for one in alive)
    surplus = max(0, len(sids) - (SESSIONS_MAX - 1))
    return sids[surplus:], sids[:surplus]
