"""Enrolment as the functions see it that write a credential: the certifier is asked first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portcullis.aws import functions
from portcullis.errors import ConflictError, InfrastructureError, RefusedError
from portcullis.evidence import claims, jws
from portcullis.evidence.encoding import unb64url
from portcullis.evidence.enrolments import CHARS_MAX, TYP, Certificate
from portcullis.identity import credentials, tables
from portcullis.identity.certifier import EnrolmentRefusedError, Evidence
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.factors import EnrolledPasskey
from portcullis.identity.passkeys import Passkey, PasskeyRefusedError
from portcullis.identity.recovery_codes import RecoveryRefusedError
from portcullis.settings import setting
from portcullis.vocabulary import PROBLEM_PREFIX

_REFUSALS: Mapping[str, type[RefusedError]] = {
    PROBLEM_PREFIX + refusal.code: refusal
    for refusal in (
        ChallengeRefusedError,
        EnrolmentRefusedError,
        PasskeyRefusedError,
        RecoveryRefusedError,
    )
}


class PasskeyKnownError(ConflictError):
    """The passkey already belongs to an account."""

    code = "passkey-known"
    title = "This passkey is already registered."


class CertifierError(InfrastructureError):
    """The certifier did not answer usefully: nothing was enrolled."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A passkey that the certifier has certified for an account, not stored yet."""

    account: str
    passkey: Passkey
    certificate: str
    enrolled_at: int
    established_at: int

    def credential(self) -> dict[str, Any]:
        """Return the credential's item."""
        return credentials.to_item(self.account, self.passkey, certificate=self.certificate)

    def factor(self, *, recovered: bool = False, label: bytes = b"") -> EnrolledPasskey:
        """Return it as one of the account's factors."""
        return EnrolledPasskey(
            id=credentials.id_of(self.passkey.credential_id),
            credential_id=self.passkey.credential_id,
            added_at=self.enrolled_at,
            established_at=self.established_at,
            recovered=recovered,
            label=label,
        )

    @property
    def key(self) -> tuple[str, Mapping[str, str]]:
        """Where the credential is stored."""
        return tables.identity(), tables.credential_key(self.passkey.credential_id)


def certified(evidence: Evidence) -> Enrolled:
    """Return the passkey that *evidence* enrols, with its certificate.

    Raises:
        RefusedError: one of the certifier's refusals.
        InfrastructureError: the certifier did not answer usefully.
    """
    payload = evidence.model_dump(mode="json", exclude_none=True)
    answer = functions.invoke(setting("CERTIFIER_FUNCTION"), payload)
    refusal = _REFUSALS.get(str(answer.get("type", "")))
    if refusal is not None:
        raise refusal
    try:
        compact = str(answer["certificate"])
        # Whoever uses the credential verifies the signature; here only its contents are stored.
        parsed = jws.parse(compact, expected_typ=TYP, chars_max=CHARS_MAX)
        told = claims.read(parsed.payload, Certificate)
        passkey = Passkey(
            credential_id=told.credential_id,
            public_key=unb64url(answer["public_key"]),
            sign_count=int(answer["sign_count"]),
            backup_eligible=told.be,
            backed_up=bool(answer["backed_up"]),
            aaguid=told.aaguid,
            attested=told.att,
        )
    except Exception as error:
        raise CertifierError("certifier's answer") from error
    return Enrolled(told.sub, passkey, compact, told.iat, told.est)
