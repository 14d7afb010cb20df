"""Accounts: opened with a passkey, named by a random id that is also the user handle."""

from typing import Any

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import challenges, enrolment, once, outbox, passkeys, tables, throttle
from portcullis.identity.certifier import Evidence
from portcullis.identity.challenges import Challenge
from portcullis.identity.enrolment import Enrolled, PasskeyKnownError
from portcullis.identity.factors import Factors
from portcullis.identity.passkeys import Registration
from portcullis.identity.session_list import SessionList
from portcullis.identity.standing import ACTIVE, Standing
from portcullis.source import Source

FIRST_EPOCH = 1


def options(*, proof: Proof, source: Source, now_s: int) -> dict[str, Any]:
    """Return the options of the ceremony that opens an account.

    Raises:
        TooManyRequestsError: too many ceremonies from this network.
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    throttle.admit(throttle.OPTIONS_BY_NETWORK, source.network, now_s=now_s)
    handle = entropy.random_bytes(entropy.ID_BYTES)
    account = entropy.id_from_bytes(handle)
    challenge = challenges.issue("open-account", proof=proof, account=account, now_s=now_s)
    return passkeys.creation_options(challenge, user_handle=handle, name=account)


def open_account(
    registration: Registration, *, proof: Proof, compact_proof: str, source: Source, now_s: int
) -> str:
    """Open an account with its first passkey and return its id.

    Args:
        registration: the authenticator's answer.
        proof: the verified proof of the request.
        compact_proof: the same as it came, for the certifier to verify itself.
        source: where the request came from.
        now_s: the time, in Unix seconds.

    Raises:
        TooManyRequestsError: too many accounts from this network.
        ChallengeRefusedError: the challenge is not this key's to answer now.
        PasskeyRefusedError: the response does not verify.
        EnrolmentRefusedError: the account exists.
        PasskeyKnownError: the passkey belongs to an account.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer.
    """
    throttle.admit(throttle.ACCOUNTS_BY_NETWORK, source.network, now_s=now_s)
    value = passkeys.answered_challenge(registration.response.clientDataJSON)
    challenge = challenges.answered(value, ceremony="open-account", jkt=proof.jkt, now_s=now_s)
    enrolled = enrolment.certified(
        Evidence(kind="open", credential=registration, proof=compact_proof)
    )
    if enrolled.account != challenge.account:
        raise challenges.ChallengeRefusedError
    _create(enrolled, challenge, proof=proof, now_s=now_s)
    return enrolled.account


def _create(enrolled: Enrolled, challenge: Challenge, *, proof: Proof, now_s: int) -> None:
    account, attempt = enrolled.account, entropy.new_id()
    standing = Standing(account=account, status=ACTIVE, epoch=FIRST_EPOCH)
    first = Factors.first(account, enrolled.factor())
    try:
        dynamodb.execute(
            challenges.use(challenge, attempt=attempt, now_s=now_s),
            once.proof_insert(proof, attempt=attempt),
            dynamodb.insert(tables.identity(), enrolled.credential()),
            dynamodb.insert(tables.identity(), {**tables.account_key(account), "opened_at": now_s}),
            dynamodb.insert(tables.identity(), first.to_item()),
            dynamodb.insert(tables.identity(), SessionList.empty(account).to_item()),
            dynamodb.insert(tables.standing(), standing.to_item()),
            *outbox.opened(account, kind="account-opened", at_s=now_s),
        )
    except ConditionFailedError:
        _classify(enrolled, proof=proof, attempt=attempt)


def _classify(enrolled: Enrolled, *, proof: Proof, attempt: str) -> None:
    """Return if it was this very attempt that opened the account; say why not otherwise."""
    used, known = dynamodb.batch_get((tables.once(), tables.proof_key(proof)), enrolled.key)
    if once.is_of(used, attempt):
        return
    if used is not None:
        raise ProofReplayedError
    if known is not None:
        raise PasskeyKnownError
    raise challenges.ChallengeRefusedError
