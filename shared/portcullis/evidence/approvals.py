"""Approvals: an older factor's yes to one exact act (dynamic linking, PSD2 RTS article 5).

The challenge that the passkey signs is the hash of the act. The approval embeds that assertion
and the passkey's enrolment certificate, and whoever obeys an approval verifies all three: so the
role that issues approvals mints none by itself. A code of TOTP signs nothing that could be shown
to anybody: an approval by one is that role's word alone, and good for little
(``TOTP_MAJOR_MAX``).
"""

import hashlib
from typing import Literal, Self

from pydantic import Field, model_validator

from portcullis.amounts import EXPONENTS, Amount
from portcullis.evidence import assertions, claims, enrolments, jws
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.assertions import Assertion
from portcullis.evidence.encoding import layout
from portcullis.evidence.enrolments import Certificate
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import TrustedKeys
from portcullis.evidence.orders import Transfer
from portcullis.schema import Strict

TYP = "portcullis-approval+jwt"
CHARS_MAX = 10_240
"""Room for a certificate, an assertion with an RSA signature, and a client's data."""
LIFETIME_S = 120
CHALLENGE_S = 300
"""How long a challenge may be answered."""
ISSUED_AHEAD_S_MAX = 5
"""How far the issuer's clock may be ahead of a verifier's, as for commands."""
TOTP_MAJOR_MAX = 100
"""What one transfer may move by a code alone, in whole units of its currency."""
_VERSION = "portcullis/approval/v1"

Audience = Literal["identity", "ledger"]
"""Whose act it is."""
Factor = Literal["passkey", "totp"]

ApprovalKind = Literal[
    "add-passkey",
    "remove-passkey",
    "add-totp",
    "remove-totp",
    "set-password",
    "mint-recovery-codes",
    "transfer",
    "lift-quarantine",
    "lift-demand",
]


class Act(Strict):
    """What is approved: a kind of act, and the fields that make it this one and no other."""

    kind: ApprovalKind
    fields: list[str] = Field(max_length=8)

    @property
    def audience(self) -> Audience:
        """Whose act it is: money is the ledger's, all else is identity's."""
        return "ledger" if self.kind == "transfer" else "identity"


class Approval(Strict):
    """The claims of an approval. ``until`` is when its challenge ended; ``jti`` is used once.

    ``assertion`` and ``enrolment`` are a passkey's; a code leaves nothing behind.
    """

    iss: str
    aud: Audience
    sub: str
    sid: str
    jkt: str
    epoch: int
    jti: str
    iat: int
    exp: int
    until: int
    act: Act
    by: Factor
    assertion: Assertion | None = None
    enrolment: str | None = None

    @property
    def asked_at_s(self) -> int:
        """The Unix time at which the act was put before its owner; ``until`` is what was signed."""
        return min(self.iat, self.until - CHALLENGE_S)

    @property
    def used_until_s(self) -> int:
        """When the memory of its use may end: no approval of this challenge can live longer."""
        return self.until + LIFETIME_S

    @model_validator(mode="after")
    def _shows_its_factor(self) -> Self:
        shown = (self.assertion is not None, self.enrolment is not None)
        if shown != (self.by == "passkey",) * 2:
            raise ValueError("a passkey shows its assertion and enrolment, a code nothing")
        return self


def of_transfer(order: Transfer, *, key: str) -> Act:
    """Return the act of one transfer: these fields, under this idempotency key, and no other."""
    amount = order.amount
    return Act(kind="transfer", fields=[order.to_account, amount.amount, amount.currency, key])


def demand_code_suffices(act: Act) -> None:
    """Demand that a code of TOTP may approve *act*, where there is no passkey.

    Raises:
        EvidenceError: only a passkey may.
    """
    if act.kind in {"lift-quarantine", "lift-demand"}:
        return
    if act.kind != "transfer":
        raise EvidenceError("a code does not approve this")
    try:
        _, text, currency, _ = act.fields
        amount = Amount.model_validate({"amount": text, "currency": currency})
    except ValueError:  # too many fields, too few, or no amount
        raise EvidenceError("act is no transfer") from None
    if amount.minor > TOTP_MAJOR_MAX * 10 ** EXPONENTS[amount.currency]:
        raise EvidenceError("a code does not approve so much")


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
    expected_audience: Audience,
    expected_origin: str,
    expected_rp_id: str,
    expected_token: AccessToken,
    expected_act: Act,
    now_s: int,
) -> tuple[Approval, Certificate | None]:
    """Return the approval and the enrolment of the passkey that gave it; None: a code gave it.

    A factor of the caller's account approved exactly this act in this session: an established
    passkey, or a code, where that suffices.

    Single use is for the caller: it consumes ``jti`` in the transaction of the act.

    Args:
        compact: the approval.
        keys: what approvals may be signed with.
        enrolment_keys: what enrolment certificates may be signed with.
        expected_audience: which zone is asked to act.
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
    if approval.aud != expected_audience:
        raise EvidenceError("approval audience")
    if approval.act != expected_act:
        raise EvidenceError("approval is for another act")
    if not approval.iat < approval.exp <= approval.iat + LIFETIME_S:
        raise EvidenceError("approval lifetime")
    if not approval.iat <= min(now_s + ISSUED_AHEAD_S_MAX, approval.until) or now_s >= approval.exp:
        raise EvidenceError("approval time")
    if approval.assertion is None or approval.enrolment is None:
        demand_code_suffices(approval.act)
        return approval, None
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
