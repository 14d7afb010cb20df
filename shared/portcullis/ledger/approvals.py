"""The user's approval of a posting, which the ledger verifies itself and from the whole of it.

It is judged when the book has been read and not before: an order that was posted already is
answered with its posting, however old the approval is that came with it again.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from portcullis.aws import kms
from portcullis.aws.dynamodb import Key
from portcullis.evidence import approvals
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.approvals import Act
from portcullis.evidence.commands import ISSUED_AHEAD_S_MAX, LIFETIME_S
from portcullis.evidence.errors import EvidenceError
from portcullis.ledger import tables
from portcullis.refusals import ApprovalRefusedError
from portcullis.settings import setting, settings_list


@dataclass(frozen=True, slots=True)
class Shown:
    """An approval as it came, and what it is worth something for: one act of one session.

    ``at_s``: the command's own time, at which the token was judged, too.
    """

    compact: str
    act: Act
    token: AccessToken
    at_s: int


@dataclass(frozen=True, slots=True)
class Approved:
    """A verified approval: where it is used once, until when that is remembered.

    ``asked_at_s``: when its act was put before the owner. A demand that is younger wants another.
    """

    key: Key
    consumed_until_s: int
    asked_at_s: int


def verified(shown: Shown | None) -> Approved | None:
    """Return what an approval amounts to, None if there is none.

    Raises:
        ApprovalRefusedError: there is one, and it is not for this act of this caller, then.
        InfrastructureError: KMS did not give the public keys.
    """
    if shown is None:
        return None
    origin = setting("PUBLIC_ORIGIN")
    try:
        approval, _ = approvals.verify(
            shown.compact,
            keys=kms.trusted_keys(*settings_list("APPROVAL_KEYS")),
            enrolment_keys=kms.trusted_keys(*settings_list("ENROLMENT_KEYS")),
            expected_audience="ledger",
            expected_origin=origin,
            expected_rp_id=urlsplit(origin).hostname or "",
            expected_token=shown.token,
            expected_act=shown.act,
            now_s=shown.at_s,
        )
    except EvidenceError as error:
        raise ApprovalRefusedError from error
    return Approved(
        key=tables.approval_key(approval.jti),
        # A command that was given while the approval lived may still come for as long as it lives.
        consumed_until_s=approval.used_until_s + LIFETIME_S + ISSUED_AHEAD_S_MAX,
        asked_at_s=approval.asked_at_s,
    )
