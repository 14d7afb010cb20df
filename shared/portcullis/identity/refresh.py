"""Refresh: nonce and tag, one batch read, KMS, and the conditional write last.

A proof without a nonce of ours reaches nothing and is not used up. Strangers and holders of old
tokens never reach KMS, and a failure of KMS spends nothing. The anomaly verdict (``judge``)
belongs between the read and the signature.
"""

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
from portcullis.identity import ending, nonces, once, sessions, standing, tables, tokens
from portcullis.identity.families import InvalidGrantError, RefreshToken
from portcullis.identity.sessions import LIVE, Session, Use
from portcullis.identity.standing import Standing
from portcullis.identity.tokens import Tokens

ROUNDS_MAX = 4
"""A token can be current, then a predecessor, then spent; one more round for a moved standing."""


@dataclass(frozen=True, slots=True)
class _State:
    session: Session
    standing: Standing
    generation_seen: int


def refresh(text: str, *, proof: Proof, now_s: int) -> Tokens:
    """Return the tokens that follow the refresh token *text*.

    Raises:
        UseNonceError: the proof has no nonce of ours that still counts.
        InvalidGrantError: it is unknown, spent, expired, or another key's; a spent one has
            ended its family.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer; the token is not known to be spent.
    """
    nonces.demand(proof, now_s=now_s)
    token = tokens.family_keys().parse(text)
    for _ in range(ROUNDS_MAX):
        state = _read(token)
        use = sessions.use_of(
            token,
            state.session,
            state.standing,
            jkt=proof.jkt,
            generation_seen=state.generation_seen,
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
        write = _rotate if use is Use.ROTATION else _retry
        issued = write(token, state.session, proof=proof, now_s=now_s)
        if issued is not None:
            return issued
    raise ContentionError("refresh")


def _read(token: RefreshToken) -> _State:
    session, account, seen = dynamodb.batch_get(
        (tables.identity(), tables.session_key(token.handle.sid)),
        (tables.standing(), tables.standing_key(token.handle.account)),
        (tables.identity(), tables.sightings_key(token.handle.sid)),
    )
    if session is None or account is None or session["account"] != token.handle.account:
        raise InvalidGrantError
    return _State(
        session=Session.from_item(session),
        standing=Standing.from_item(account),
        generation_seen=seen["gen_seen"] if seen else 0,
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
        change="SET #retries = :once, #attempt = :attempt",
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
