"""The second half of a sign-in with a password: a TOTP code or a passkey, and the session starts.

Guesses at codes are charged before they are looked at (backoff.py). A passkey is never held up by
them.
"""

from typing import Self

from pydantic import Field, model_validator

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.errors import UnauthenticatedError
from portcullis.evidence.dpop import Proof
from portcullis.identity import (
    assurance,
    backoff,
    challenges,
    passkeys,
    sign_in,
    starting,
    tables,
    throttle,
    tickets,
    totp_enrolment,
)
from portcullis.identity.passkeys import Assertion
from portcullis.identity.starting import Grounds, SignInRefusedError, State
from portcullis.identity.tickets import Ticket, TicketRefusedError
from portcullis.identity.tokens import Tokens
from portcullis.identity.totp import Code
from portcullis.schema import Strict
from portcullis.source import Source

TOTP_METHODS = ("pwd", "otp", "mfa")
"""``amr`` (RFC 8176)."""


class Answer(Strict):
    """A ticket, and either a TOTP code or a passkey's answer: no other factor has a name here."""

    ticket: str = Field(max_length=128)
    code: Code | None = None
    credential: Assertion | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.code is None) == (self.credential is None):
            raise ValueError("give either a code or a credential")
        return self


class SecondFactorRefusedError(UnauthenticatedError):
    """The code is wrong, too old, or was used before."""

    code = "second-factor-refused"
    title = "The code is not valid. Wait for the next one and try again."


def finish(answer: Answer, *, proof: Proof, source: Source, now_s: int) -> Tokens:
    """Finish a sign-in by whichever factor answers: ``by_code`` or ``by_passkey``.

    Raises:
        RefusedError: one of theirs.
        InfrastructureError: a service did not answer.
    """
    if answer.credential is not None:
        return by_passkey(answer.ticket, answer.credential, proof=proof, source=source, now_s=now_s)
    return by_code(answer.ticket, answer.code or "", proof=proof, source=source, now_s=now_s)


def by_code(ticket: str, code: str, *, proof: Proof, source: Source, now_s: int) -> Tokens:
    """Finish a sign-in with a TOTP code; the ticket outlives a wrong one.

    Raises:
        TicketRefusedError: the ticket is not this key's to use now.
        TooManyRequestsError: too early after wrong codes (a passkey still signs in), or too many
            sign-ins from this network.
        SecondFactorRefusedError: the code is not good.
        AccountRestrictedError: the account is quarantined, and has a stronger factor.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer.
    """
    throttle.admit(throttle.SIGN_IN_BY_NETWORK, source.network, now_s=now_s)
    stored = tickets.key(ticket)
    pending = tickets.accept(dynamodb.get(tables.once(), stored), jkt=proof.jkt, now_s=now_s)
    charged = backoff.admit(pending.account, jkt=proof.jkt, now_s=now_s)

    def once() -> Tokens | None:
        ticket_item, totp_item, person_item, *items = dynamodb.batch_get(
            (tables.once(), stored),
            (tables.identity(), tables.totp_key(pending.account, pending.totp or "none")),
            (tables.identity(), tables.person_key(pending.account)),
            *starting.wanted(pending.account),
        )
        tickets.accept(ticket_item, jkt=proof.jkt, now_s=now_s)
        seen = _still(pending, starting.state(items))
        enrolled, password = seen.factors.totp, seen.factors.password
        if enrolled is None or enrolled.enrolment != pending.totp or password is None:
            raise SecondFactorRefusedError
        if totp_item is None or person_item is None:
            raise SecondFactorRefusedError
        step = totp_enrolment.matching_step(
            pending.account, pending.totp, code, totp_item, person_item, now_s=now_s
        )
        if step is None:
            backoff.failed(charged, now_s=now_s)
            raise SecondFactorRefusedError
        established = now_s >= max(enrolled.established_at, password.established_at)
        acr = assurance.MFA if established else assurance.PROVISIONAL
        sign_in.demand_permitted(seen, acr=acr, now_s=now_s)
        grounds = Grounds(
            acr=acr,
            amr=TOTP_METHODS,
            uses=(
                tickets.used(stored, attempt=entropy.new_id(), now_s=now_s),
                totp_enrolment.step_used(pending.account, pending.totp, step),
                backoff.cleared(charged),
                backoff.remembered(charged, now_s=now_s),
            ),
        )
        return starting.start(seen, grounds, proof=proof, source=source, now_s=now_s)

    return starting.repeatedly(once)


def by_passkey(
    ticket: str, assertion: Assertion, *, proof: Proof, source: Source, now_s: int
) -> Tokens:
    """Finish a sign-in with a passkey of the ticket's account.

    Raises:
        TooManyRequestsError: too many sign-ins from this network.
        TicketRefusedError: the ticket is not this key's to use now.
        ChallengeRefusedError: the challenge is not this key's to answer now.
        PasskeyRefusedError: the response or the enrolment does not verify.
        SignInRefusedError: the passkey is not the account's.
        AccountRestrictedError: the account is quarantined, and the passkey provisional.
        ProofReplayedError: the proof was used before.
        InfrastructureError: a service did not answer.
    """
    throttle.admit(throttle.SIGN_IN_BY_NETWORK, source.network, now_s=now_s)
    stored = tickets.key(ticket)
    pending = tickets.accept(dynamodb.get(tables.once(), stored), jkt=proof.jkt, now_s=now_s)
    value = passkeys.answered_challenge(assertion.response.clientDataJSON)

    def once() -> Tokens | None:
        ticket_item, challenge_item, credential, *items = dynamodb.batch_get(
            (tables.once(), stored),
            (tables.once(), tables.challenge_key(value)),
            (tables.identity(), tables.credential_key(assertion.credential_id)),
            *starting.wanted(pending.account),
        )
        tickets.accept(ticket_item, jkt=proof.jkt, now_s=now_s)
        challenge = challenges.accept(
            challenge_item, value, ceremony="sign-in", jkt=proof.jkt, now_s=now_s
        )
        seen = _still(pending, starting.state(items))
        if credential is None or credential["account"] != pending.account:
            raise SignInRefusedError
        by_key = sign_in.by_passkey(assertion, credential, seen, challenge=challenge, now_s=now_s)
        grounds = Grounds(
            acr=by_key.acr,
            amr=("pwd", *by_key.amr),
            uses=(
                tickets.used(stored, attempt=entropy.new_id(), now_s=now_s),
                *by_key.uses,
            ),
        )
        return starting.start(seen, grounds, proof=proof, source=source, now_s=now_s)

    return starting.repeatedly(once)


def _still(pending: Ticket, seen: State | None) -> State:
    """Return the state if the ticket still stands in it.

    Raises:
        TicketRefusedError: a kill, a restriction or another password has overtaken it.
    """
    if seen is None or seen.standing.epoch != pending.epoch:
        raise TicketRefusedError
    if not (seen.standing.is_active or seen.standing.is_quarantined):
        raise TicketRefusedError
    password = seen.factors.password
    if password is None or password.verifier != pending.verifier:
        raise TicketRefusedError
    return seen
