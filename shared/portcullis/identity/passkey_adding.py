"""One more passkey for an account."""

from typing import Any

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.evidence.approvals import Act
from portcullis.evidence.caller import Caller
from portcullis.identity import (
    challenges,
    changes,
    enrolment,
    passkey_list,
    passkeys,
    person,
    tables,
    throttle,
)
from portcullis.identity.certifier import Evidence
from portcullis.identity.changes import Change, Principal, Seen
from portcullis.identity.enrolment import PasskeyKnownError
from portcullis.identity.outbox import Event
from portcullis.identity.passkey_list import Label
from portcullis.identity.passkeys import Registration
from portcullis.schema import Strict


class Addition(Strict):
    """The authenticator's answer to the options, a label, and an older passkey's approval."""

    credential: Registration
    label: Label | None = None
    approval: str | None = None

    @property
    def act(self) -> Act:
        """What an older passkey would have approved."""
        return Act(kind="add-passkey", fields=[self.credential.rawId])


def options(principal: Principal, *, now_s: int) -> dict[str, Any]:
    """Return the options of the ceremony that makes one more passkey for the account.

    Raises:
        TooManyRequestsError: too many changes of this account's factors.
        TooManyPasskeysError: the account holds as many passkeys as it may.
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    token = principal.token
    throttle.admit(throttle.ENROLMENT_BY_ACCOUNT, token.sub, now_s=now_s)
    held = passkey_list.held(token)
    held.demand_room()
    challenge = challenges.issue(
        "add-passkey", proof=principal.proof, account=token.sub, now_s=now_s, proof_spent=True
    )
    return passkeys.creation_options(
        challenge,
        user_handle=entropy.bytes_of_id(token.sub),
        name=token.sub,
        exclude=[one.credential_id for one in held.passkeys],
    )


def add(
    addition: Addition, *, principal: Principal, evidence: Caller, now_s: int
) -> dict[str, Any]:
    """Add a passkey and return it as its owner sees it.

    It is provisional for a day, unless an older passkey approved it (kind ``add-passkey``). The
    certifier verifies token, proof and approval itself.

    Raises:
        TooManyRequestsError: too many changes of this account's factors.
        ChallengeRefusedError: the challenge is not this key's to answer now.
        PasskeyRefusedError: the response does not verify.
        EnrolmentRefusedError: token, proof or approval does not bear it out.
        PasskeyKnownError: the passkey belongs to an account.
        TooManyPasskeysError: the account holds as many passkeys as it may.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: a service did not answer.
    """
    account, label, registration = principal.token.sub, addition.label, addition.credential
    throttle.admit(throttle.ENROLMENT_BY_ACCOUNT, account, now_s=now_s)
    value = passkeys.answered_challenge(registration.response.clientDataJSON)
    challenge = challenges.answered(
        value, ceremony="add-passkey", jkt=principal.proof.jkt, now_s=now_s
    )
    enrolled = enrolment.certified(
        Evidence(
            kind="add",
            credential=registration,
            proof=evidence.compact_proof,
            token=evidence.compact_token,
            approval=addition.approval,
        )
    )
    if not enrolled.account == challenge.account == account:
        raise challenges.ChallengeRefusedError
    key = person.ensured(account) if label else None
    bare = enrolled.factor()
    sealed = key.seal(label, record=bare.id, field=passkey_list.FIELD) if key and label else b""
    factor = enrolled.factor(label=sealed)
    attempt = entropy.new_id()

    def decide(seen: Seen) -> Change:
        if seen.items[0] is not None:
            raise PasskeyKnownError
        return Change(
            events=[
                Event(
                    "passkey-added",
                    {"passkey": factor.id, "established_at": factor.established_at},
                )
            ],
            statements=[
                challenges.use(challenge, attempt=attempt, now_s=now_s),
                dynamodb.insert(tables.identity(), enrolled.credential()),
            ],
            factors=seen.factors.plus(factor),
        )

    changes.commit(principal, decide, also=[enrolled.key], now_s=now_s)
    return passkey_list.shown(factor, key, used_at=None)
