"""How an approval is given: a challenge for one exact act, and the strongest factor's answer.

A passkey signs a challenge that is the hash of the act. An account that has none answers with a
code of TOTP, where a code suffices. The answer is an approval, to be shown where the act happens;
but a lift happens here, in the transaction that uses the challenge up.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Value
from portcullis.aws.kms import Signer
from portcullis.errors import ConflictError
from portcullis.evidence import approvals
from portcullis.evidence.access_token import AccessToken
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
from portcullis.identity.factors import EnrolledPasskey, Factors
from portcullis.identity.passkeys import Assertion, CounterRegressedError, PasskeyRefusedError
from portcullis.identity.standing import AccountQuarantinedError, Standing
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
        AccountQuarantinedError: the account is quarantined, and it is not the lift.
        RefusedError: one of ``lifting.demand_liftable``: nobody answers what must then fail.
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    account = principal.token.sub
    throttle.admit(throttle.APPROVALS_BY_ACCOUNT, account, now_s=now_s)
    held, stands = dynamodb.batch_get(
        (tables.identity(), tables.factors_key(account)),
        (tables.standing(), tables.standing_key(account)),
    )
    if held is None or stands is None:
        raise NoApproverError
    passkeys_, totp = _approvers(Factors.from_item(held), now_s=now_s)
    seen = Standing.from_item(stands)
    _demand_allowed(act, seen)
    if act.kind in lifting.LIFTS:
        by: Factor = "passkey" if passkeys_ else "totp"
        lifting.demand_liftable(act, seen, by=by, asked_at_s=now_s)
    if passkeys_:
        challenge = _hashed(act, principal, now_s=now_s)
        allow = [one.credential_id for one in passkeys_]
        return {"publicKey": passkeys.request_options(challenge, allow=allow)}
    try:
        approvals.demand_code_suffices(act)
    except EvidenceError:
        raise NoApproverError from None
    if totp is None:
        raise NoApproverError
    challenge = _issued(
        "approve-by-code", act, principal, approval=entropy.new_id(), totp=totp, now_s=now_s
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
        ChallengeRefusedError: the challenge is not this session's to answer now, or not the hash
            of the act that is stored with it.
        PasskeyRefusedError: the response does not verify, or the passkey is provisional or none
            of the account's.
        CounterRegressedError: the passkey's counter went back; its owner is told.
        RefusedError: one of ``lifting.by_owner`` or ``changes.commit``.
        InfrastructureError: a service did not answer.
    """
    account, attempt = principal.token.sub, entropy.new_id()
    approval: str | None = None
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
        act = _act(challenge, seen)
        # What is stored says nothing that the passkey has not signed.
        if challenge.value != _hash(act, challenge.facts, principal.token):
            raise ChallengeRefusedError
        if act.kind in lifting.LIFTS:
            return lifting.by_owner(
                act, seen.standing, by="passkey", asked_at_s=_asked_at_s(challenge), uses=uses
            )
        approval = _signed(
            act,
            challenge,
            principal.token,
            assertion=assertion,
            enrolment=credential["certificate"],
            now_s=now_s,
        )
        return Change(statements=uses)

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
    account, attempt = principal.token.sub, entropy.new_id()
    approval: str | None = None
    value = _value(challenge)
    stored = (tables.once(), tables.challenge_key(value))
    asked = _accepted(dynamodb.get(*stored), value, "approve-by-code", principal, now_s=now_s)
    enrolment = asked.facts["totp"]
    charged = backoff.admit(account, jkt=principal.proof.jkt, now_s=now_s)

    def decide(seen: Seen) -> Change:
        nonlocal approval
        challenge_item, totp_item, person_item = seen.items
        accepted = _accepted(challenge_item, value, "approve-by-code", principal, now_s=now_s)
        passkeys_, totp = _approvers(seen.factors, now_s=now_s)
        if passkeys_ or totp != enrolment:
            raise ChallengeRefusedError
        if totp_item is None or person_item is None:
            raise CodeRefusedError
        step = totp_enrolment.matching_step(
            account, enrolment, code, totp_item, person_item, now_s=now_s
        )
        if step is None:
            raise CodeRefusedError
        uses = [
            challenges.use(accepted, attempt=attempt, now_s=now_s),
            totp_enrolment.step_used(account, enrolment, step),
            backoff.cleared(charged),
        ]
        act = _act(accepted, seen)
        if act.kind in lifting.LIFTS:
            return lifting.by_owner(
                act, seen.standing, by="totp", asked_at_s=_asked_at_s(accepted), uses=uses
            )
        approval = _signed(act, accepted, principal.token, now_s=now_s)
        return Change(statements=uses)

    try:
        changes.commit(
            principal,
            decide,
            also=[
                stored,
                (tables.identity(), tables.totp_key(account, enrolment)),
                (tables.identity(), tables.person_key(account)),
            ],
            now_s=now_s,
        )
    except CodeRefusedError:
        backoff.failed(charged, now_s=now_s)
        raise
    return approval


def _approvers(held: Factors, *, now_s: int) -> tuple[tuple[EnrolledPasskey, ...], str | None]:
    """Return the established passkeys, and the TOTP enrolment if that is established."""
    totp = held.totp
    established = totp is not None and now_s >= totp.established_at
    return held.established_passkeys(now_s), totp.enrolment if totp and established else None


def _hashed(act: Act, principal: Principal, *, now_s: int) -> Challenge:
    """Give out the challenge that a passkey signs: the hash of the act."""
    approval = entropy.new_id()
    value = _hash(act, {"approval": approval, "until": _until_s(now_s)}, principal.token)
    return _issued("approve", act, principal, value=value, approval=approval, now_s=now_s)


def _hash(act: Act, facts: Mapping[str, Any], token: AccessToken) -> bytes:
    return approvals.challenge(
        act,
        origin=setting("PUBLIC_ORIGIN"),
        approval=facts["approval"],
        account=token.sub,
        sid=token.sid,
        until_s=facts["until"],
    )


def _issued(
    ceremony: Ceremony,
    act: Act,
    principal: Principal,
    *,
    value: bytes | None = None,
    now_s: int,
    **facts: Value,
) -> Challenge:
    return challenges.issue(
        ceremony,
        proof=principal.proof,
        account=principal.token.sub,
        now_s=now_s,
        proof_spent=True,
        value=value,
        sid=principal.token.sid,
        until=_until_s(now_s),
        kind=act.kind,
        fields=list(act.fields),
        **facts,
    )


def _until_s(now_s: int) -> int:
    return now_s + approvals.CHALLENGE_S


def _asked_at_s(challenge: Challenge) -> int:
    return int(challenge.facts["until"]) - approvals.CHALLENGE_S


def _value(challenge: str) -> bytes:
    try:
        return unb64url(challenge)
    except EvidenceError:
        raise ChallengeRefusedError from None


def _accepted(
    item: Item | None, value: bytes, ceremony: Ceremony, principal: Principal, *, now_s: int
) -> Challenge:
    """Return the challenge in a stored item if this session may answer it now.

    Raises:
        ChallengeRefusedError: it may not.
    """
    token = principal.token
    challenge = challenges.accept(
        item, value, ceremony=ceremony, jkt=principal.proof.jkt, now_s=now_s
    )
    if (challenge.account, challenge.facts["sid"]) != (token.sub, token.sid):
        raise ChallengeRefusedError
    return challenge


def _act(challenge: Challenge, seen: Seen) -> Act:
    """Return the act that a challenge is about.

    Raises:
        AccountQuarantinedError: the account is quarantined, and it is not the lift.
    """
    act = Act(kind=challenge.facts["kind"], fields=list(challenge.facts["fields"]))
    _demand_allowed(act, seen.standing)
    return act


def _demand_allowed(act: Act, seen: Standing) -> None:
    """Demand that the account's standing lets this act be approved.

    Raises:
        AccountQuarantinedError: the account is quarantined, and it is not the lift.
    """
    if seen.is_quarantined and act.kind != "lift-quarantine":
        raise AccountQuarantinedError


def _signed(
    act: Act,
    challenge: Challenge,
    token: AccessToken,
    *,
    assertion: Assertion | None = None,
    enrolment: str | None = None,
    now_s: int,
) -> str:
    claims = Approval(
        iss=setting("PUBLIC_ORIGIN"),
        aud=act.audience,
        sub=token.sub,
        sid=token.sid,
        jkt=token.cnf.jkt,
        epoch=token.epoch,
        jti=challenge.facts["approval"],
        iat=now_s,
        exp=now_s + approvals.LIFETIME_S,
        until=challenge.facts["until"],
        act=act,
        by="passkey" if assertion else "totp",
        assertion=_embedded(assertion) if assertion else None,
        enrolment=enrolment,
    )
    signer = Signer(settings_list("APPROVAL_KEYS")[0])
    return signer.sign(claims.model_dump(exclude_none=True), typ=approvals.TYP)


def _embedded(assertion: Assertion) -> EmbeddedAssertion:
    response = assertion.response
    return EmbeddedAssertion(
        authenticatorData=response.authenticatorData or "",
        clientDataJSON=response.clientDataJSON,
        signature=response.signature,
    )
