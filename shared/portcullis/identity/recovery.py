"""Recovery: a code lets a new passkey in, and lowers nothing.

It kills every session, freezes for a day what could not be undone, and enrols a passkey that is
provisional for as long. Any older factor can cancel it. Its event must reach the owner by a
notice (docs/event-path.md). A quarantine stays: recovery joins its waiting time.
"""

import time
from typing import Any

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import (
    challenges,
    enrolment,
    once,
    outbox,
    passkeys,
    recovery_codes,
    standing,
    tables,
    throttle,
)
from portcullis.identity.certifier import Evidence
from portcullis.identity.challenges import Challenge
from portcullis.identity.enrolment import Enrolled, PasskeyKnownError
from portcullis.identity.outbox import Event
from portcullis.identity.passkeys import Registration
from portcullis.identity.recovery_codes import Code, RecoveryRefusedError
from portcullis.identity.standing import FREEZE_S
from portcullis.source import Source

ROUNDS_MAX = 6
PAUSE_S = 0.02


def options(code: str, *, proof: Proof, source: Source, now_s: int) -> dict[str, Any]:
    """Return the options of the ceremony that a good code opens; the code is not used up yet.

    Raises:
        TooManyRequestsError: too many tries from this network or for this account.
        RecoveryRefusedError: the code recovers nothing.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer.
    """
    throttle.admit(throttle.RECOVERY_BY_NETWORK, source.network, now_s=now_s)
    once.consume(proof)
    found = recovery_codes.find(code, now_s=now_s)
    throttle.admit(throttle.RECOVERY_BY_ACCOUNT, found.account, now_s=now_s)
    challenge = challenges.issue(
        "recover", proof=proof, account=found.account, now_s=now_s, proof_spent=True
    )
    return passkeys.creation_options(
        challenge,
        user_handle=entropy.bytes_of_id(found.account),
        name=found.account,
        exclude=[one.credential_id for one in found.factors.passkeys],
    )


def recover(
    code: str,
    registration: Registration,
    *,
    proof: Proof,
    compact_proof: str,
    source: Source,
    now_s: int,
) -> tuple[str, int]:
    """Enrol a provisional passkey for the code's account; return the account and its freeze's end.

    Raises:
        TooManyRequestsError: too many tries from this network or for this account.
        RecoveryRefusedError: the code recovers nothing.
        ChallengeRefusedError: the challenge is not this key's to answer now.
        PasskeyRefusedError: the response does not verify.
        PasskeyKnownError: the passkey belongs to an account.
        TooManyPasskeysError: the account holds as many passkeys as it may.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer.
    """
    throttle.admit(throttle.RECOVERY_BY_NETWORK, source.network, now_s=now_s)
    value = passkeys.answered_challenge(registration.response.clientDataJSON)
    challenge = challenges.answered(value, ceremony="recover", jkt=proof.jkt, now_s=now_s)
    throttle.admit(throttle.RECOVERY_BY_ACCOUNT, challenge.account or "", now_s=now_s)
    enrolled = enrolment.certified(
        Evidence(kind="recover", credential=registration, proof=compact_proof, code=code)
    )
    attempt = entropy.new_id()
    for round_ in range(ROUNDS_MAX):
        until = _commit(enrolled, challenge, code, proof=proof, attempt=attempt, now_s=now_s)
        if until is not None:
            return enrolled.account, until
        time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
    raise ContentionError("recovery")


def _commit(
    enrolled: Enrolled, challenge: Challenge, code: str, *, proof: Proof, attempt: str, now_s: int
) -> int | None:
    """Return the freeze's end, or None if the account's state moved meanwhile."""
    used, known, head = dynamodb.batch_get(
        (tables.once(), tables.proof_key(proof)),
        enrolled.key,
        (tables.identity(), tables.outbox_key(enrolled.account)),
    )
    until = now_s + FREEZE_S
    if once.is_of(used, attempt):
        return until
    if used is not None:
        raise ProofReplayedError
    if known is not None:
        raise PasskeyKnownError
    found = recovery_codes.find(code, now_s=now_s)
    if found.account != enrolled.account or found.account != challenge.account:
        raise RecoveryRefusedError
    factor = enrolled.factor(recovered=True)
    started = Event(
        "recovery-started", {"passkey": factor.id, "by": _by(found), "frozen_until": until}
    )
    try:
        dynamodb.execute(
            once.proof_insert(proof, attempt=attempt),
            challenges.use(challenge, attempt=attempt, now_s=now_s),
            recovery_codes.used(found, attempt=attempt),
            dynamodb.insert(tables.identity(), enrolled.credential()),
            found.factors.plus(factor).written_after(found.factors),
            standing.raised(found.standing, frozen_until=until),
            *outbox.numbered(found.account, started, after=outbox.last(head), at_s=now_s),
        )
    except ConditionFailedError:
        return None
    return max(until, found.standing.frozen_until)


def _by(found: Code) -> str:
    return "operators" if found.set == found.factors.release else "code"
