"""Approvals: an older factor's yes to one exact act (dynamic linking, PSD2 RTS article 5).

The challenge that the passkey signs is the hash of the act. The approval embeds that assertion
and the passkey's enrolment certificate, and whoever obeys an approval verifies all three: so the
role that issues approvals mints none by itself.
"""

import hashlib
from typing import Literal

from pydantic import Field

from portcullis.evidence import assertions, claims, enrolments, jws
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.assertions import Assertion
from portcullis.evidence.encoding import layout
from portcullis.evidence.enrolments import Certificate
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import TrustedKeys
from portcullis.schema import Strict

TYP = "portcullis-approval+jwt"
CHARS_MAX = 10_240
"""Room for a certificate, an assertion with an RSA signature, and a client's data."""
LIFETIME_S = 120
_VERSION = "portcullis/approval/v1"

ApprovalKind = Literal[
    "add-passkey",
    "remove-passkey",
    "add-totp",
    "remove-totp",
    "set-password",
    "mint-recovery-codes",
]


class Act(Strict):
    """What is approved: a kind of act, and the fields that make it this one and no other."""

    kind: ApprovalKind
    fields: list[str] = Field(max_length=8)


class Approval(Strict):
    """The claims of an approval. ``until`` is when its challenge ended; ``jti`` is used once."""

    iss: str
    aud: Literal["identity"]
    sub: str
    sid: str
    jkt: str
    epoch: int
    jti: str
    iat: int
    exp: int
    until: int
    act: Act
    assertion: Assertion
    enrolment: str


def challenge(
    act: Act, *, origin: str, approval: str, account: str, sid: str, until_s: int
) -> bytes:
    """Return what a passkey signs to approve *act* once, in one session, until *until_s*."""
    laid = layout(_VERSION, origin, approval, account, sid, str(until_s), act.kind, *act.fields)
    return hashlib.sha256(laid).digest()


def verify(
    compact: str,
    *,
    keys: TrustedKeys,
    enrolment_keys: TrustedKeys,
    expected_origin: str,
    expected_rp_id: str,
    expected_token: AccessToken,
    expected_act: Act,
    now_s: int,
) -> tuple[Approval, Certificate]:
    """Return the approval and the enrolment of the passkey that gave it.

    An established passkey of the caller's account approved exactly this act in this session.

    Single use is for the caller: it consumes ``jti`` in the transaction of the act.

    Args:
        compact: the approval.
        keys: what approvals may be signed with.
        enrolment_keys: what enrolment certificates may be signed with.
        expected_origin: the public origin.
        expected_rp_id: the relying party's id.
        expected_token: the verified access token of the request that acts on the approval.
        expected_act: the act that is about to happen.
        now_s: the time, in Unix seconds.

    Raises:
        EvidenceError: a check fails.
    """
    parsed = jws.parse(compact, expected_typ=TYP, chars_max=CHARS_MAX)
    jws.verify(parsed, key=keys.named(parsed.header.get("kid")).key)
    approval = claims.read(parsed.payload, Approval)
    _check_bearer(approval, expected_origin, expected_token)
    if approval.act != expected_act:
        raise EvidenceError("approval is for another act")
    if not approval.iat < approval.exp <= approval.iat + LIFETIME_S:
        raise EvidenceError("approval lifetime")
    if not approval.iat <= min(now_s, approval.until) or now_s >= approval.exp:
        raise EvidenceError("approval time")
    certificate = enrolments.verify(
        approval.enrolment,
        keys=enrolment_keys,
        expected_issuer=expected_origin,
        expected_account=approval.sub,
        expected_credential_id=None,
    )
    if not certificate.is_established(approval.iat):
        raise EvidenceError("approved by a provisional passkey")
    assertions.verify(
        approval.assertion,
        jwk=certificate.jwk,
        expected_challenge=challenge(
            approval.act,
            origin=expected_origin,
            approval=approval.jti,
            account=approval.sub,
            sid=approval.sid,
            until_s=approval.until,
        ),
        expected_origin=expected_origin,
        expected_rp_id=expected_rp_id,
    )
    return approval, certificate


def _check_bearer(approval: Approval, origin: str, token: AccessToken) -> None:
    if approval.iss != origin:
        raise EvidenceError("approval issuer")
    if (approval.sub, approval.sid, approval.jkt, approval.epoch) != (
        token.sub,
        token.sid,
        token.cnf.jkt,
        token.epoch,
    ):
        raise EvidenceError("approval is another session's")
