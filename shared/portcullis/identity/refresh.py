"""Refresh: nonce and tag, one batch read, KMS, and the conditional write last.

A proof without a nonce of ours reaches nothing and is not used up. Strangers and holders of old
tokens never reach KMS, and a failure of KMS spends nothing. It is an authenticated request like
any other, so it is judged, between the read and the signature.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from portcullis import entropy, log
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import (
    Check,
    ConditionFailedError,
    ContentionError,
    Update,
)
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import (
    ending,
    evaluation,
    nonces,
    once,
    sessions,
    sightings,
    standing,
    tables,
    tokens,
)
from portcullis.identity.evaluation import KilledError
from portcullis.identity.families import InvalidGrantError, RefreshToken
from portcullis.identity.judge import Outcome
from portcullis.identity.observations import RETRIES_MAX, Observation
from portcullis.identity.sessions import LIVE, RETRIES_COUNTED_OVER, Session, Use
from portcullis.identity.sightings import Sightings
from portcullis.identity.standing import Standing
from portcullis.identity.tokens import Tokens
from portcullis.source import Source

ROUNDS_MAX = 4
"""A token can be current, then a predecessor, then spent; one more round for a moved standing."""


@dataclass(frozen=True, slots=True)
class _State:
    session: Session
    standing: Standing
    sightings: Sightings
    proof_used: bool


def refresh(text: str, *, proof: Proof, source: Source, now_s: int) -> Tokens:
    """Return the tokens that follow the refresh token *text*.

    Args:
        text: the refresh token.
        proof: the verified proof that came with it.
        source: where the request comes from, as API Gateway saw it.
        now_s: the time, in Unix seconds.

    Raises:
        UseNonceError: the proof has no nonce of ours that still counts.
        InvalidGrantError: it is unknown, spent, expired, or another key's; a spent one has
            ended its family. Or the request was judged, and has killed every session.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer; the token is not known to be spent.
    """
    nonces.demand(proof, now_s=now_s)
    token = tokens.family_keys().parse(text)
    for _ in range(ROUNDS_MAX):
        state = _read(token, proof)
        use = sessions.use_of(
            token,
            state.session,
            state.standing,
            jkt=proof.jkt,
            generation_seen=state.sightings.generation,
            now_s=now_s,
        )
        if token.generation < state.session.generation and use is not Use.RETRY:
            log.alarm("refresh-token-reused", {})  # of a dead family, too: a backup has leaked
        if use is Use.REUSE:
            ending.end(
                state.session.sid,
                state.session.account,
                reason="refresh-token-reused",
                now_s=now_s,
            )
        if use in {Use.REUSE, Use.REFUSED}:
            raise InvalidGrantError
        if state.proof_used:
            # Before the judge: whoever replays a captured request kills nothing.
            raise ProofReplayedError
        observation = sightings.observe(
            source, now_s=now_s, retries=_retries(state.session, use, token)
        )
        try:
            outcome = evaluation.evaluate(
                state.session, state.standing, state.sightings, observation, occasion="refresh"
            )
        except KilledError as verdict:
            raise InvalidGrantError from verdict
        if use is Use.ROTATION:
            issued = _rotate_and_record(
                token,
                state,
                observation,
                demanded=outcome is Outcome.STEP_UP,
                proof=proof,
                now_s=now_s,
            )
        else:
            issued = _retry(token, state.session, proof=proof, now_s=now_s)
        if issued is not None:
            return issued
    raise ContentionError("refresh")


def _retries(session: Session, use: Use, token: RefreshToken) -> int:
    """Return how many of the last five generations were retried, this one included.

    At most ``RETRIES_MAX``: a session remembers the last generation that was retried.
    """
    if use is not Use.RETRY:
        return 0
    again = session.retried > token.generation + 1 - RETRIES_COUNTED_OVER
    return RETRIES_MAX if session.retried and again else 1


def _rotate_and_record(
    token: RefreshToken,
    state: _State,
    observation: Observation,
    *,
    demanded: bool,
    proof: Proof,
    now_s: int,
) -> Tokens | None:
    with ThreadPoolExecutor(max_workers=1) as beside:
        recorded = beside.submit(
            sightings.record, state.session, state.sightings, observation, demanded=demanded
        )
        issued = _rotate(token, state.session, proof=proof, now_s=now_s)
        recorded.result()
    return issued


def _read(token: RefreshToken, proof: Proof) -> _State:
    session, account, seen, used = dynamodb.batch_get(
        (tables.identity(), tables.session_key(token.handle.sid)),
        (tables.standing(), tables.standing_key(token.handle.account)),
        (tables.identity(), tables.sightings_key(token.handle.sid)),
        (tables.once(), tables.proof_key(proof)),
    )
    if session is None or account is None or session["account"] != token.handle.account:
        raise InvalidGrantError
    return _State(
        session=Session.from_item(session),
        standing=Standing.from_item(account),
        sightings=Sightings.from_item(seen),
        proof_used=used is not None,
    )


def _rotate(token: RefreshToken, session: Session, *, proof: Proof, now_s: int) -> Tokens | None:
    """Return the next generation's tokens, or None if the family moved meanwhile."""
    keys, attempt = tokens.family_keys(), entropy.new_id()
    successor = keys.mint(token.handle, token.generation + 1)
    issued = tokens.issue(session, successor, now_s=now_s)
    context = sessions.seal_context(
        session.sid, generation=successor.generation, jkt=session.jkt, rotated_at=now_s
    )
    rotation = Update(
        tables.identity(),
        tables.session_key(session.sid),
        change=(
            "SET #previous = #current, #current = :successor, #generation = :next,"
            " #rotated_at = :now, #attempt = :attempt, #sealed = :sealed, #retries = :none,"
            " #idle_expires = :idle"
        ),
        condition=(
            "#status = :live AND #generation = :generation AND #current = :presented"
            " AND #jkt = :jkt AND #idle_expires > :now AND #absolute_expires > :now"
        ),
        values={
            ":live": LIVE,
            ":generation": token.generation,
            ":presented": token.digest,
            ":jkt": proof.jkt,
            ":now": now_s,
            ":successor": successor.digest,
            ":next": successor.generation,
            ":attempt": attempt,
            ":sealed": keys.seal(successor, spent=token, context=context),
            ":none": 0,
            ":idle": min(now_s + sessions.IDLE_S, session.absolute_expires),
        },
    )
    return issued if _commit(rotation, session, proof=proof, attempt=attempt) else None


def _retry(token: RefreshToken, session: Session, *, proof: Proof, now_s: int) -> Tokens | None:
    """Return tokens with the same successor, or None if the family moved meanwhile."""
    attempt = entropy.new_id()
    context = sessions.seal_context(
        session.sid,
        generation=session.generation,
        jkt=session.jkt,
        rotated_at=session.rotated_at,
    )
    successor = tokens.family_keys().unseal(session.sealed, spent=token, context=context)
    issued = tokens.issue(session, successor, now_s=now_s)
    retry = Update(
        tables.identity(),
        tables.session_key(session.sid),
        change="SET #retries = :once, #retried = :generation, #attempt = :attempt",
        condition=(
            "#status = :live AND #generation = :generation AND #previous = :presented"
            " AND #jkt = :jkt AND #rotated_at > :window AND #retries = :none"
            " AND #absolute_expires > :now"
        ),
        values={
            ":live": LIVE,
            ":generation": session.generation,
            ":presented": token.digest,
            ":jkt": proof.jkt,
            ":window": now_s - sessions.RETRY_WINDOW_S,
            ":none": 0,
            ":once": 1,
            ":now": now_s,
            ":attempt": attempt,
        },
    )
    unseen = Check(
        tables.identity(),
        tables.sightings_key(session.sid),
        condition="attribute_not_exists(#gen_seen) OR #gen_seen < :generation",
        values={":generation": session.generation},
    )
    return issued if _commit(retry, session, unseen, proof=proof, attempt=attempt) else None


def _commit(change: Update, session: Session, *checks: Check, proof: Proof, attempt: str) -> bool:
    """Return whether the change is written, False if the state it was decided on has moved."""
    try:
        dynamodb.transact(
            change,
            once.proof_use(proof, attempt=attempt),
            standing.unchanged(session.account, epoch=session.epoch),
            *checks,
        )
    except ConditionFailedError as failure:
        session_reason, proof_reason, *_ = failure.reasons
        if once.is_of(session_reason.item, attempt) or once.is_of(proof_reason.item, attempt):
            return True
        if proof_reason.failed:
            raise ProofReplayedError from None
        return False
    return True
