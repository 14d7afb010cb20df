"""Approvals at the point where they count: verified in full, for one exact act."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from portcullis.aws import kms
from portcullis.evidence import approvals
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.approvals import Act
from portcullis.evidence.enrolments import Certificate
from portcullis.evidence.errors import EvidenceError
from portcullis.refusals import ApprovalRefusedError
from portcullis.settings import setting, settings_list


@dataclass(frozen=True, slots=True)
class Approved:
    """A verified approval: its id, to be used once, and the passkey that gave it.

    ``used_until_s``: until when its use must be remembered.
    """

    id: str
    used_until_s: int
    credential_id: bytes


def verified(compact: str | None, act: Act, *, token: AccessToken, now_s: int) -> Approved | None:
    """Return what an approval amounts to, None if there is none.

    Raises:
        ApprovalRefusedError: there is one, and it is not for this act of this caller, now.
        InfrastructureError: KMS did not give the public keys.
    """
    if compact is None:
        return None
    origin = setting("PUBLIC_ORIGIN")
    try:
        approval, certificate = approvals.verify(
            compact,
            keys=kms.trusted_keys(*settings_list("APPROVAL_KEYS")),
            enrolment_keys=kms.trusted_keys(*settings_list("ENROLMENT_KEYS")),
            expected_audience="identity",
            expected_origin=origin,
            expected_rp_id=urlsplit(origin).hostname or "",
            expected_token=token,
            expected_act=act,
            now_s=now_s,
        )
        return Approved(approval.jti, approval.used_until_s, _credential_id(certificate))
    except EvidenceError as error:
        raise ApprovalRefusedError from error


def _credential_id(certificate: Certificate | None) -> bytes:
    if certificate is None:
        raise EvidenceError("approved by a code")
    return certificate.credential_id
