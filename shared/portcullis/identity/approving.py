"""How an approval is given: a challenge for one exact act, and the strongest factor's answer.

A passkey signs a challenge that is the hash of the act. An account that has none answers with a
code of TOTP, where a code suffices. The answer is an approval, to be shown where the act happens;
but a lift happens here, in the transaction that uses the challenge up.
"""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Statement
from portcullis.aws.kms import Signer
from portcullis.errors import ConflictError
from portcullis.evidence import approvals
from portcullis.evidence.approvals import Act, Approval, Factor
from portcullis.evidence.assertions import Assertion as EmbeddedAssertion
from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.identity import (
    backoff,
    challenges,
    changes,
    counters,
    credentials,
    lifting,
    passkeys,
    tables,
    throttle,
    totp_enrolment,
)
from portcullis.identity.challenges import Ceremony, Challenge, ChallengeRefusedError
from portcullis.identity.changes import Change, Principal, Seen
from portcullis.identity.factors import EnrolledPasskey, Factors, Totp
from portcullis.identity.passkeys import Assertion, CounterRegressedError, PasskeyRefusedError
from portcullis.identity.standing import AccountRestrictedError
from portcullis.identity.totp import Code
from portcullis.identity.totp_enrolment import CodeRefusedError
from portcullis.schema import Strict
from portcullis.settings import setting, settings_list

CHALLENGE_CHARS = 43
"""32 bytes in base64url."""


class NoApproverError(ConflictError):
    """No factor of the account could approve this act."""

    code = "no-approver"
    title = "This account has no established passkey that could approve, and a code would not do."


class Answer(Strict):
    """A passkey's answer to the options; or the challenge of others, with a code of TOTP."""

    credential: Assertion | None = None
    challenge: str | None = Field(default=None, max_length=CHALLENGE_CHARS)
    code: Code | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        given = (self.challenge is not None, self.code is not None)
        if given != (self.credential is None,) * 2:
            raise ValueError("give either a credential, or a challenge and a code")
        return self


def options(act: Act, *, principal: Principal, now_s: int) -> dict[str, Any]:
    """Return the options of the ceremony in which the account's strongest factor approves *act*.

    Raises:
        TooManyRequestsError: too many approvals of this account.
        NoApproverError: the account has no established passkey, and a code does not suffice, or
            there is no established TOTP.
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    account = principal.token.sub
    throttle.admit(throttle.APPROVALS_BY_ACCOUNT, account, now_s=now_s)
    held = dynamodb.get(tables.identity(), tables.factors_key(account))
    if held is None:
        raise NoApproverError
    passkeys_, totp = _approvers(Factors.from_item(held), now_s=now_s)
    approval, until = entropy.new_id(), now_s + challenges.LIFETIME_S
    if passkeys_:
        value = approvals.challenge(
            act,
            origin=setting("PUBLIC_ORIGIN"),
            approval=approval,
            account=account,
            sid=principal.token.sid,
            until_s=until,
        )
        challenge = _issued(
            "approve", act, principal, value=value, approval=approval, until=until, now_s=now_s
        )
        allow = [one.credential_id for one in passkeys_]
        return {"publicKey": passkeys.request_options(challenge, allow=allow)}
    try:
        approvals.demand_code_suffices(act)
    except EvidenceError:
        raise NoApproverError from None
    if totp is None:
        raise NoApproverError
    challenge = _issued(
        "approve-by-code", act, principal, value=None, approval=approval, until=until, now_s=now_s
    )
    return {"challenge": b64url(challenge.value), "factor": "totp"}


def approve(answer: Answer, *, principal: Principal, now_s: int) -> str | None:
    """Return the approval that an answer amounts to, None if it was a lift, which is done.

    Raises:
        RefusedError: one of ``by_passkey`` or ``by_code``.
        InfrastructureError: a service did not answer.
    """
    if answer.credential is not None:
        return by_passkey(answer.credential, principal=principal, now_s=now_s)
    return by_code(answer.challenge or "", answer.code or "", principal=principal, now_s=now_s)


def by_passkey(assertion: Assertion, *, principal: Principal, now_s: int) -> str | None:
    """Return the approval that a passkey's answer amounts to, None if it was a lift.

    It is signed before the challenge is used up: a failure of KMS spends nothing.

    Raises:
        ChallengeRefusedError: the challenge is not this session's to answer now.
        PasskeyRefusedError: the response does not verify, or the passkey is provisional or none
            of the account's.
        CounterRegressedError: the passkey's counter went back; its owner is told.
        RefusedError: one of ``lifting.by_owner`` or ``changes.commit``.
        InfrastructureError: a service did not answer.
    """
    account, attempt, approval = principal.token.sub, entropy.new_id(), None
    value = passkeys.answered_challenge(assertion.response.clientDataJSON)

    def decide(seen: Seen) -> Change:
        nonlocal approval
        challenge_item, credential = seen.items
        challenge = _accepted(challenge_item, value, "approve", principal, now_s=now_s)
        if credential is None or credential["account"] != account:
            raise PasskeyRefusedError
        certificate = credentials.certified(credential, account=account)
        passkey = credentials.from_item(credential)
        if not certificate.is_established(now_s) or not seen.factors.holds(passkey.credential_id):
            raise PasskeyRefusedError
        try:
            asserted = passkeys.verify_assertion(assertion, passkey=passkey, challenge=challenge)
        except CounterRegressedError:
            counters.report(
                account, passkey, challenge=challenge, last_event=seen.last_event, now_s=now_s
            )
            raise
        uses = [
            challenges.use(challenge, attempt=attempt, now_s=now_s),
            counters.counted(passkey, asserted, now_s=now_s),
        ]
        shown = {"assertion": _embedded(assertion), "enrolment": credential["certificate"]}
        change, approval = _given(
            challenge, seen, principal, by="passkey", shown=shown, uses=uses, now_s=now_s
        )
        return change

    changes.commit(
        principal,
        decide,
        also=[
            (tables.once(), tables.challenge_key(value)),
            (tables.identity(), tables.credential_key(assertion.credential_id)),
        ],
        now_s=now_s,
    )
    return approval


def by_code(challenge: str, code: str, *, principal: Principal, now_s: int) -> str | None:
    """Return the approval that a code amounts to, None if it was a lift; never beside a passkey.

    The challenge outlives a wrong code. Guesses are charged as those at a sign-in are.

    Raises:
        ChallengeRefusedError: the challenge is not this session's to answer now, or an established
            passkey is to answer instead.
        TooManyRequestsError: too early after wrong codes.
        CodeRefusedError: the code is not good; after some, the owner is told.
        RefusedError: one of ``lifting.by_owner`` or ``changes.commit``.
        InfrastructureError: a service did not answer.
    """
    account, attempt, approval = principal.token.sub, entropy.new_id(), None
    value = _value(challenge)
    stored = (tables.once(), tables.challenge_key(value))
    _accepted(dynamodb.get(*stored), value, "approve-by-code", principal, now_s=now_s)
    enrolled = _enrolled(account, now_s=now_s)
    charged = backoff.admit(account, jkt=principal.proof.jkt, now_s=now_s)

    def decide(seen: Seen) -> Change:
        nonlocal approval
        challenge_item, totp_item, person_item = seen.items
        accepted = _accepted(challenge_item, value, "approve-by-code", principal, now_s=now_s)
        passkeys_, totp = _approvers(seen.factors, now_s=now_s)
        if passkeys_ or totp is None or totp.enrolment != enrolled.enrolment:
            raise ChallengeRefusedError
        if totp_item is None or person_item is None:
            raise CodeRefusedError
        step = totp_enrolment.matching_step(
            account, totp.enrolment, code, totp_item, person_item, now_s=now_s
        )
        if step is None:
            raise CodeRefusedError
        uses = [
            challenges.use(accepted, attempt=attempt, now_s=now_s),
            totp_enrolment.step_used(account, totp.enrolment, step),
            backoff.cleared(charged),
        ]
        change, approval = _given(
            accepted, seen, principal, by="totp", shown={}, uses=uses, now_s=now_s
        )
        return change

    try:
        changes.commit(
            principal,
            decide,
            also=[
                stored,
                (tables.identity(), tables.totp_key(account, enrolled.enrolment)),
                (tables.identity(), tables.person_key(account)),
            ],
            now_s=now_s,
        )
    except CodeRefusedError:
        backoff.failed(charged, now_s=now_s)
        raise
    return approval
