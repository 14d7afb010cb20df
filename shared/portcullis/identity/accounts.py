"""Accounts: opened with a passkey, named by a random id that is also the user handle."""

from typing import Any

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError
from portcullis.errors import ConflictError
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import challenges, credentials, once, outbox, passkeys, tables
from portcullis.identity.passkeys import Passkey, Registration
from portcullis.identity.standing import ACTIVE, Standing

FIRST_EPOCH = 1


class PasskeyKnownError(ConflictError):
    """The passkey already belongs to an account."""

    code = "passkey-known"
    title = "This passkey is already registered."


def options(*, proof: Proof, now_s: int) -> dict[str, Any]:
    """Return the options of the ceremony that opens an account.

    Raises:
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    handle = entropy.random_bytes(entropy.ID_BYTES)
    account = entropy.id_from_bytes(handle)
    challenge = challenges.issue("open-account", proof=proof, account=account, now_s=now_s)
    return passkeys.creation_options(challenge, user_handle=handle, name=account)


def open_account(registration: Registration, *, proof: Proof, now_s: int) -> str:
    """Open an account with its first passkey and return its id.

    Raises:
        ChallengeRefusedError: the challenge is not this key's to answer now.
        PasskeyRefusedError: the response does not verify.
        PasskeyKnownError: the passkey belongs to an account.
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    value = passkeys.answered_challenge(registration.response.clientDataJSON)
    challenge = challenges.accept(
        dynamodb.get(tables.once(), tables.challenge_key(value)),
        value,
        ceremony="open-account",
        proof=proof,
        now_s=now_s,
    )
    if challenge.account is None:
        raise challenges.ChallengeRefusedError
    passkey = passkeys.verify_registration(registration, challenge=challenge)
    _create(challenge.account, passkey, challenge, proof=proof, now_s=now_s)
    return challenge.account


def _create(
    account: str, passkey: Passkey, challenge: challenges.Challenge, *, proof: Proof, now_s: int
) -> None:
    attempt = entropy.new_id()
    standing = Standing(account=account, status=ACTIVE, epoch=FIRST_EPOCH)
    credential = {**credentials.to_item(account, passkey), "created_at": now_s}
    try:
        dynamodb.execute(
            challenges.use(challenge, attempt=attempt, now_s=now_s),
            once.proof_insert(proof, attempt=attempt),
            dynamodb.insert(tables.identity(), credential),
            dynamodb.insert(tables.identity(), {**tables.account_key(account), "opened_at": now_s}),
            dynamodb.insert(tables.standing(), standing.to_item()),
            *outbox.opened(account, kind="account-opened", at_s=now_s),
        )
    except ConditionFailedError:
        _classify(passkey, proof=proof, attempt=attempt)


def _classify(passkey: Passkey, *, proof: Proof, attempt: str) -> None:
    """Return if it was this very attempt that opened the account; say why not otherwise."""
    used, known = dynamodb.batch_get(
        (tables.once(), tables.proof_key(proof)),
        (tables.identity(), tables.credential_key(passkey.credential_id)),
    )
    if once.is_of(used, attempt):
        return
    if used is not None:
        raise ProofReplayedError
    if known is not None:
        raise PasskeyKnownError
    raise challenges.ChallengeRefusedError
