"""Sign-in with a discoverable passkey: one batch read, one signature, one transaction."""

import time
from typing import Any

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Statement
from portcullis.errors import UnauthenticatedError
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import (
    challenges,
    credentials,
    once,
    outbox,
    passkeys,
    sessions,
    tables,
    tokens,
)
from portcullis.identity.challenges import Challenge
from portcullis.identity.families import Handle
from portcullis.identity.passkeys import Assertion, Passkey
from portcullis.identity.sessions import LIVE, Session
from portcullis.identity.standing import AccountRestrictedError, Standing, demanded
from portcullis.identity.tokens import Tokens

PHISHING_RESISTANT = "phr"
"""``acr`` of OpenID's Extended Authentication Profile for a phishing-resistant sign-in."""
PASSKEY_METHODS = ("pop", "user", "mfa")
"""``amr`` (RFC 8176): a key was proven, by a present user, who was verified."""
NUMBERING_ROUNDS_MAX = 6
"""Sign-ins of one account at one moment compete for the number of their event."""
PAUSE_S = 0.02


class SignInRefusedError(UnauthenticatedError):
    """The passkey opens no account here: one answer, whatever the reason."""

    code = "sign-in-refused"
    title = "This passkey does not sign in here."


def options(*, proof: Proof, now_s: int) -> dict[str, Any]:
    """Return the options of a sign-in ceremony.

    Raises:
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    challenge = challenges.issue("sign-in", proof=proof, account=None, now_s=now_s)
    return passkeys.request_options(challenge)


def sign_in(assertion: Assertion, *, proof: Proof, now_s: int) -> Tokens:
    """Start a session bound to the proof's key and return its tokens.

    Raises:
        ChallengeRefusedError: the challenge is not this key's to answer now.
        PasskeyRefusedError: the response does not verify.
        SignInRefusedError: the passkey opens no account.
        AccountRestrictedError: the account's standing does not allow a sign-in.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer.
    """
    value = passkeys.answered_challenge(assertion.response.clientDataJSON)
    handle = assertion.user_handle
    if len(handle) != entropy.ID_BYTES:
        raise SignInRefusedError
    account = entropy.id_from_bytes(handle)
    for attempt in range(NUMBERING_ROUNDS_MAX):
        challenge_item, credential, standing_item, outbox_head = dynamodb.batch_get(
            (tables.once(), tables.challenge_key(value)),
            (tables.identity(), tables.credential_key(assertion.credential_id)),
            (tables.standing(), tables.standing_key(account)),
            (tables.identity(), tables.outbox_key(account)),
        )
        challenge = challenges.accept(
            challenge_item, value, ceremony="sign-in", proof=proof, now_s=now_s
        )
        # WebAuthn section 7.2, step 6: the user handle must be the credential owner's.
        if credential is None or standing_item is None or credential["account"] != account:
            raise SignInRefusedError
        seen = Standing.from_item(standing_item)
        passkey = credentials.from_item(credential)
        asserted = passkeys.verify_assertion(assertion, passkey=passkey, challenge=challenge)
        if not seen.is_active:
            raise AccountRestrictedError
        started = _start(
            Handle.new(handle),
            seen,
            passkey,
            asserted,
            challenge,
            last_event=outbox.last(outbox_head),
            proof=proof,
            now_s=now_s,
        )
        if started is not None:
            return started
        time.sleep(entropy.jitter_s(PAUSE_S * 2**attempt))
    raise ContentionError("sign-in")


def _start(
    handle: Handle,
    seen: Standing,
    before: Passkey,
    asserted: Passkey,
    challenge: Challenge,
    *,
    last_event: int,
    proof: Proof,
    now_s: int,
) -> Tokens | None:
    """Return the tokens of a new session, or None if the account's state moved meanwhile."""
    attempt = entropy.new_id()
    token = tokens.family_keys().mint(handle, 1)
    session = Session(
        sid=handle.sid,
        account=seen.account,
        status=LIVE,
        epoch=seen.epoch,
        jkt=proof.jkt,
        acr=PHISHING_RESISTANT,
        amr=PASSKEY_METHODS,
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
    )
    issued = tokens.issue(session, token, now_s=now_s)
    try:
        dynamodb.execute(
            once.proof_insert(proof, attempt=attempt),
            challenges.use(challenge, attempt=attempt, now_s=now_s),
            _count(before, asserted, now_s=now_s),
            dynamodb.insert(tables.identity(), session.to_item()),
            demanded(seen.account, epoch=seen.epoch),
            *outbox.numbered(
                seen.account, after=last_event, kind="session-started", at_s=now_s, sid=session.sid
            ),
        )
    except ConditionFailedError:
        used = dynamodb.get(tables.once(), tables.proof_key(proof))
        if used is None:
            return None
        if not once.is_of(used, attempt):
            raise ProofReplayedError from None
    return issued


def _count(before: Passkey, asserted: Passkey, *, now_s: int) -> Statement:
    """Return the write of a passkey's counter: it must still be the one that was verified."""
    return dynamodb.change(
        tables.identity(),
        tables.credential_key(asserted.credential_id),
        {
            "sign_count": asserted.sign_count,
            "backed_up": asserted.backed_up,
            "used_at": now_s,
        },
        where='"sign_count" = ?',
        given=(before.sign_count,),
    )
