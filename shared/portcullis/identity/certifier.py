"""The certifier: signs that one passkey belongs to one account, on evidence, never on a word.

It runs under a role of its own that can write nothing. What is shown to it depends on how the
passkey comes: a new account's name that nobody has; or the account's own token, proof and
approval; or a recovery code. So the roles that write credentials cannot make one up.
"""

from typing import Any, Literal
from urllib.parse import urlsplit

from portcullis.aws import dynamodb, kms
from portcullis.aws.kms import Signer
from portcullis.errors import ForbiddenError
from portcullis.evidence import approvals, caller, dpop, enrolments
from portcullis.evidence.approvals import Act
from portcullis.evidence.dpop import Proof
from portcullis.evidence.encoding import b64url
from portcullis.evidence.enrolments import Certificate
from portcullis.evidence.errors import EvidenceError
from portcullis.identity import challenges, factors, passkeys, recovery_codes, tables
from portcullis.identity.challenges import Challenge, ChallengeRefusedError
from portcullis.identity.passkeys import Passkey, Registration
from portcullis.schema import Strict
from portcullis.settings import setting, settings_list

ROUTES = {"open": "/accounts", "add": "/passkeys", "recover": "/recovery"}
"""The public route on which each kind of enrolment comes: the URL that the user's proof names."""


class EnrolmentRefusedError(ForbiddenError):
    """What was shown does not bear out this enrolment."""

    code = "enrolment-refused"
    title = "The evidence does not bear out this enrolment. Start the ceremony again."


class Evidence(Strict):
    """What is shown for an enrolment: the ceremony's answer, and why it may be made."""

    kind: Literal["open", "add", "recover"]
    credential: Registration
    proof: str
    token: str | None = None
    approval: str | None = None
    code: str | None = None


def certify(evidence: Evidence, *, now_s: int) -> dict[str, Any]:
    """Return the certificate of an enrolment, and what is stored beside it.

    Nothing is used up here, so asking again is harmless: a certificate opens nothing until its
    credential and the account's factors are written, under another role.

    Raises:
        ChallengeRefusedError: the challenge is not this key's to answer now.
        PasskeyRefusedError: the response does not verify.
        EnrolmentRefusedError: token, proof or approval does not verify, or the account exists.
        RecoveryRefusedError: the code does not recover this account.
        InfrastructureError: a service did not answer.
    """
    value = passkeys.answered_challenge(evidence.credential.response.clientDataJSON)
    match evidence.kind:
        case "open":
            proof = _proof(evidence, now_s=now_s)
            challenge = challenges.answered(
                value, ceremony="open-account", jkt=proof.jkt, now_s=now_s
            )
            passkey = passkeys.verify_registration(evidence.credential, challenge=challenge)
            account, established = _unused_account(challenge), now_s
        case "add":
            account, established, passkey = _added(evidence, value, now_s=now_s)
        case "recover":
            proof = _proof(evidence, now_s=now_s)
            challenge = challenges.answered(value, ceremony="recover", jkt=proof.jkt, now_s=now_s)
            passkey = passkeys.verify_registration(evidence.credential, challenge=challenge)
            account = recovery_codes.find(evidence.code or "", now_s=now_s).account
            if challenge.account != account:
                raise ChallengeRefusedError
            established = now_s + factors.PROVISIONAL_S
    return {
        "certificate": _signed(account, passkey, established_at=established, now_s=now_s),
        "established_at": established,
        "public_key": b64url(passkey.public_key),
        "sign_count": passkey.sign_count,
        "backed_up": passkey.backed_up,
    }


def _proof(evidence: Evidence, *, now_s: int) -> Proof:
    try:
        return dpop.verify(
            evidence.proof,
            expected_method="POST",
            expected_url=setting("PUBLIC_ORIGIN") + ROUTES[evidence.kind],
            access_token=None,
            now_s=now_s,
        )
    except EvidenceError as error:
        raise EnrolmentRefusedError from error


def _unused_account(challenge: Challenge) -> str:
    account = challenge.account
    if account is None:
        raise ChallengeRefusedError
    if dynamodb.get(tables.identity(), tables.account_key(account)) is not None:
        raise EnrolmentRefusedError
    return account


def _added(evidence: Evidence, value: bytes, *, now_s: int) -> tuple[str, int, Passkey]:
    """Return whose passkey it is, from when it is a full factor, and the passkey."""
    origin = setting("PUBLIC_ORIGIN")
    try:
        shown = caller.verify(
            compact_token=evidence.token or "",
            compact_proof=evidence.proof,
            keys=kms.trusted_keys(*settings_list("ACCESS_TOKEN_KEYS")),
            expected_origin=origin,
            expected_method="POST",
            expected_path=ROUTES["add"],
            now_s=now_s,
        )
    except EvidenceError as error:
        raise EnrolmentRefusedError from error
    challenge = challenges.answered(value, ceremony="add-passkey", jkt=shown.proof.jkt, now_s=now_s)
    if challenge.account != shown.account:
        raise ChallengeRefusedError
    passkey = passkeys.verify_registration(evidence.credential, challenge=challenge)
    if evidence.approval is None:
        return shown.account, now_s + factors.PROVISIONAL_S, passkey
    try:
        approvals.verify(
            evidence.approval,
            keys=kms.trusted_keys(*settings_list("APPROVAL_KEYS")),
            enrolment_keys=kms.trusted_keys(*settings_list("ENROLMENT_KEYS")),
            expected_audience="identity",
            expected_origin=origin,
            expected_rp_id=urlsplit(origin).hostname or "",
            expected_token=shown.token,
            expected_act=Act(kind="add-passkey", fields=[b64url(passkey.credential_id)]),
            now_s=now_s,
        )
    except EvidenceError as error:
        raise EnrolmentRefusedError from error
    return shown.account, now_s, passkey


def _signed(account: str, passkey: Passkey, *, established_at: int, now_s: int) -> str:
    certificate = Certificate(
        iss=setting("PUBLIC_ORIGIN"),
        sub=account,
        iat=now_s,
        est=established_at,
        cid=b64url(passkey.credential_id),
        jwk=passkeys.public_jwk(passkey.public_key),
        be=passkey.backup_eligible,
        att=passkey.attested,
        aaguid=passkey.aaguid,
    )
    signer = Signer(settings_list("ENROLMENT_KEYS")[0])
    return signer.sign(certificate.model_dump(), typ=enrolments.TYP)
