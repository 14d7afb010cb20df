"""Sign-in with a discoverable passkey: one batch read, one signature, one transaction."""

import functools
from typing import Any

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item
from portcullis.evidence.dpop import Proof
from portcullis.identity import (
    assurance,
    challenges,
    counters,
    credentials,
    passkeys,
    starting,
    tables,
    throttle,
)
from portcullis.identity.passkeys import Assertion, CounterRegressedError
from portcullis.identity.standing import AccountRestrictedError
from portcullis.identity.starting import Grounds, SignInRefusedError, State
from portcullis.identity.tokens import Tokens
from portcullis.source import Source

PASSKEY_METHODS = ("pop", "user", "mfa")
"""``amr`` (RFC 8176): a key was proven, by a present user, who was verified."""
HARDWARE_METHODS = ("hwk", "user", "mfa")
"""The same, where attestation showed that the key cannot leave its device."""


def options(*, proof: Proof, source: Source, now_s: int) -> dict[str, Any]:
    """Return the options of a sign-in ceremony.

    Raises:
        TooManyRequestsError: too many ceremonies from this network.
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    throttle.admit(throttle.OPTIONS_BY_NETWORK, source.network, now_s=now_s)
    challenge = challenges.issue("sign-in", proof=proof, account=None, now_s=now_s)
    return passkeys.request_options(challenge)


def sign_in(assertion: Assertion, *, proof: Proof, source: Source, now_s: int) -> Tokens:
    """Start a session bound to the proof's key and return its tokens.

    Raises:
        TooManyRequestsError: too many sign-ins from this network.
        ChallengeRefusedError: the challenge is not this key's to answer now.
        PasskeyRefusedError: the response or the enrolment does not verify.
        CounterRegressedError: the passkey's counter went back; its owner is told.
        SignInRefusedError: the passkey opens no account.
        AccountRestrictedError: the account's standing does not allow a sign-in.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer.
    """
    throttle.admit(throttle.SIGN_IN_BY_NETWORK, source.network, now_s=now_s)
    return starting.repeatedly(
        functools.partial(_once, assertion, proof=proof, source=source, now_s=now_s)
    )


def _once(assertion: Assertion, *, proof: Proof, source: Source, now_s: int) -> Tokens | None:
    value = passkeys.answered_challenge(assertion.response.clientDataJSON)
    handle = assertion.user_handle
    if len(handle) != entropy.ID_BYTES:
        raise SignInRefusedError
    account = entropy.id_from_bytes(handle)
    challenge_item, credential, *items = dynamodb.batch_get(
        (tables.once(), tables.challenge_key(value)),
        (tables.identity(), tables.credential_key(assertion.credential_id)),
        *starting.wanted(account),
    )
    challenge = challenges.accept(
        challenge_item, value, ceremony="sign-in", jkt=proof.jkt, now_s=now_s
    )
    seen = starting.state(items)
    # WebAuthn section 7.2, step 6: the user handle must be the credential owner's.
    if credential is None or seen is None or credential["account"] != account:
        raise SignInRefusedError
    grounds = by_passkey(assertion, credential, seen, challenge=challenge, now_s=now_s)
    return starting.start(seen, grounds, proof=proof, source=source, now_s=now_s)


def by_passkey(
    assertion: Assertion,
    credential: Item,
    seen: State,
    *,
    challenge: challenges.Challenge,
    now_s: int,
) -> Grounds:
    """Return the grounds that a passkey's answer gives for a session.

    Raises:
        PasskeyRefusedError: the response or the enrolment does not verify.
        CounterRegressedError: the passkey's counter went back; its owner is told.
        SignInRefusedError: the passkey is none of the account's factors any more.
        AccountRestrictedError: the account's standing does not allow a sign-in.
        InfrastructureError: a service did not answer.
    """
    account, passkey = seen.standing.account, credentials.from_item(credential)
    certificate = credentials.certified(credential, account=account)
    if not seen.factors.holds(passkey.credential_id):
        raise SignInRefusedError
    try:
        asserted = passkeys.verify_assertion(assertion, passkey=passkey, challenge=challenge)
    except CounterRegressedError:
        counters.report(
            account, passkey, challenge=challenge, last_event=seen.last_event, now_s=now_s
        )
        raise
    acr = assurance.PHR if certificate.is_established(now_s) else assurance.PROVISIONAL
    demand_permitted(seen, acr=acr, now_s=now_s)
    attempt = entropy.new_id()
    return Grounds(
        acr=acr,
        amr=HARDWARE_METHODS if certificate.att and not certificate.be else PASSKEY_METHODS,
        uses=(
            challenges.use(challenge, attempt=attempt, now_s=now_s),
            counters.counted(passkey, asserted, now_s=now_s),
        ),
    )


def demand_permitted(seen: State, *, acr: str, now_s: int) -> None:
    """Demand that the account's standing allows a sign-in of this level.

    A quarantined account lets in its strongest factor alone: an established passkey or, where
    there is none, an established password with an established TOTP.

    Raises:
        AccountRestrictedError: it does not allow it.
    """
    if seen.standing.is_active:
        return
    strongest = assurance.PHR if seen.factors.established_passkeys(now_s) else assurance.MFA
    if not seen.standing.is_quarantined or acr != strongest:
        raise AccountRestrictedError
