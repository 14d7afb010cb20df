"""How an approval is given: a challenge that is the hash of the act, and a passkey's answer."""

import time
from typing import Any

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError
from portcullis.aws.kms import Signer
from portcullis.errors import ConflictError
from portcullis.evidence import approvals
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.approvals import Act, Approval
from portcullis.evidence.assertions import Assertion as EmbeddedAssertion
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import (
    challenges,
    counters,
    credentials,
    factors,
    once,
    outbox,
    passkeys,
    sessions,
    standing,
    tables,
    throttle,
)
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.changes import Principal
from portcullis.identity.factors import Factors
from portcullis.identity.passkeys import Assertion, CounterRegressedError, PasskeyRefusedError
from portcullis.settings import setting, settings_list

ROUNDS_MAX = 4
PAUSE_S = 0.02


class NoApproverError(ConflictError):
    """No established passkey could approve anything."""

    code = "no-approver"
    title = "This account has no established passkey that could approve."


def options(act: Act, *, principal: Principal, now_s: int) -> dict[str, Any]:
    """Return the options of the ceremony in which a passkey approves *act*.

    Raises:
        TooManyRequestsError: too many approvals of this account.
        NoApproverError: the account has no established passkey.
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    token = principal.token
    throttle.admit(throttle.APPROVALS_BY_ACCOUNT, token.sub, now_s=now_s)
    held = dynamodb.get(tables.identity(), tables.factors_key(token.sub))
    approvers = Factors.from_item(held).established_passkeys(now_s) if held else ()
    if not approvers:
        raise NoApproverError
    approval, until = entropy.new_id(), now_s + challenges.LIFETIME_S
    value = approvals.challenge(
        act,
        origin=setting("PUBLIC_ORIGIN"),
        approval=approval,
        account=token.sub,
        sid=token.sid,
        until_s=until,
    )
    challenge = challenges.issue(
        "approve",
        proof=principal.proof,
        account=token.sub,
        now_s=now_s,
        proof_spent=True,
        value=value,
        approval=approval,
        sid=token.sid,
        until=until,
        kind=act.kind,
        fields=list(act.fields),
    )
    return passkeys.request_options(challenge, allow=[one.credential_id for one in approvers])


def approve(assertion: Assertion, *, principal: Principal, now_s: int) -> tuple[str, int]:
    """Return the approval that a passkey's answer amounts to, and its lifetime in seconds.

    It is signed before the challenge is used up: a failure of KMS spends nothing.

    Raises:
        ChallengeRefusedError: the challenge is not this session's to answer now.
        PasskeyRefusedError: the response does not verify, or the passkey is provisional or none
            of the account's.
        CounterRegressedError: the passkey's counter went back; its owner is told.
        ProofReplayedError: the proof has done another deed.
        InfrastructureError: a service did not answer.
    """
    token, proof = principal.token, principal.proof
    value = passkeys.answered_challenge(assertion.response.clientDataJSON)
    attempt, compact = entropy.new_id(), ""
    for round_ in range(ROUNDS_MAX):
        challenge_item, credential, enrolled, head, deed = dynamodb.batch_get(
            (tables.once(), tables.challenge_key(value)),
            (tables.identity(), tables.credential_key(assertion.credential_id)),
            (tables.identity(), tables.factors_key(token.sub)),
            (tables.identity(), tables.outbox_key(token.sub)),
            (tables.once(), tables.deed_key(proof)),
        )
        if deed is not None and not once.is_of(deed, attempt):
            raise ProofReplayedError
        if deed is not None:
            return compact, approvals.LIFETIME_S
        challenge = challenges.accept(
            challenge_item, value, ceremony="approve", jkt=proof.jkt, now_s=now_s
        )
        if (challenge.account, challenge.facts["sid"]) != (token.sub, token.sid):
            raise ChallengeRefusedError
        if credential is None or enrolled is None or credential["account"] != token.sub:
            raise PasskeyRefusedError
        certificate = credentials.certified(credential, account=token.sub)
        passkey, held = credentials.from_item(credential), Factors.from_item(enrolled)
        if not certificate.is_established(now_s) or not held.holds(passkey.credential_id):
            raise PasskeyRefusedError
        try:
            asserted = passkeys.verify_assertion(assertion, passkey=passkey, challenge=challenge)
        except CounterRegressedError:
            counters.report(
                token.sub,
                passkey,
                challenge=challenge,
                last_event=outbox.last(head),
                now_s=now_s,
            )
            raise
        compact = _signed(
            assertion, challenge, enrolment=credential["certificate"], token=token, now_s=now_s
        )
        try:
            dynamodb.execute(
                once.deed_insert(proof, attempt=attempt),
                challenges.use(challenge, attempt=attempt, now_s=now_s),
                counters.counted(passkey, asserted, now_s=now_s),
                factors.demanded(held),
                standing.demanded(token.sub, epoch=token.epoch),
                sessions.demanded(token.sid, epoch=token.epoch),
            )
        except ConditionFailedError:
            time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
        else:
            return compact, approvals.LIFETIME_S
    raise ContentionError("approval")


def _signed(
    assertion: Assertion,
    challenge: challenges.Challenge,
    *,
    enrolment: str,
    token: AccessToken,
    now_s: int,
) -> str:
    facts, response = challenge.facts, assertion.response
    claims = Approval(
        iss=setting("PUBLIC_ORIGIN"),
        aud="identity",
        sub=token.sub,
        sid=token.sid,
        jkt=token.cnf.jkt,
        epoch=token.epoch,
        jti=facts["approval"],
        iat=now_s,
        exp=now_s + approvals.LIFETIME_S,
        until=facts["until"],
        act=Act(kind=facts["kind"], fields=list(facts["fields"])),
        assertion=EmbeddedAssertion(
            authenticatorData=response.authenticatorData or "",
            clientDataJSON=response.clientDataJSON,
            signature=response.signature,
        ),
        enrolment=enrolment,
    )
    signer = Signer(settings_list("APPROVAL_KEYS")[0])
    return signer.sign(claims.model_dump(), typ=approvals.TYP)
