"""Passkeys: WebAuthn ceremonies on py_webauthn, with the house's policy.

User verification required, discoverable, exact origin and RP id, never cross-origin, ES256 or
EdDSA or RS256, attestation ``none``. Only functions with the passkey layer may import this.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portcullis import strict_json
from portcullis.errors import InvalidError
from portcullis.evidence.encoding import unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.identity.challenges import LIFETIME_S, Challenge
from portcullis.schema import Strict
from portcullis.settings import setting

RP_NAME = "Portcullis"


class PasskeyRefusedError(InvalidError):
    """The authenticator's response does not verify."""

    code = "passkey-refused"
    title = "The passkey's response is not valid for this ceremony."


class _Response(Strict):
    clientDataJSON: str
    authenticatorData: str | None = None


class AttestationResponse(_Response):
    """What ``credential.toJSON().response`` holds after ``navigator.credentials.create``."""

    attestationObject: str
    transports: list[str] | None = None
    publicKey: str | None = None
    publicKeyAlgorithm: int | None = None


class AssertionResponse(_Response):
    """What ``credential.toJSON().response`` holds after ``navigator.credentials.get``."""

    signature: str
    userHandle: str | None = None
    attestationObject: str | None = None


class _Credential(Strict):
    id: str
    rawId: str
    type: Literal["public-key"]
    authenticatorAttachment: Literal["platform", "cross-platform"] | None = None
    clientExtensionResults: dict[str, Any] = {}


class Registration(_Credential):
    """RegistrationResponseJSON (WebAuthn Level 3, section 5.1.8)."""

    response: AttestationResponse


class Assertion(_Credential):
    """AuthenticationResponseJSON (WebAuthn Level 3, section 5.1.8)."""

    response: AssertionResponse

    @property
    def credential_id(self) -> bytes:
        """The id of the credential that answers.

        Raises:
            PasskeyRefusedError: it is not base64url.
        """
        return _bytes(self.rawId)

    @property
    def user_handle(self) -> bytes:
        """The account's handle: a discoverable credential always returns it.

        Raises:
            PasskeyRefusedError: it is absent or not base64url.
        """
        return _bytes(self.response.userHandle or "")


@dataclass(frozen=True, slots=True)
class Passkey:
    """A verified passkey. Backup eligible: it may be synced, so it is not bound to one device."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    aaguid: str


def creation_options(challenge: Challenge, *, user_handle: bytes, name: str) -> dict[str, Any]:
    """Return PublicKeyCredentialCreationOptionsJSON for a new account's first passkey."""
    options = webauthn.generate_registration_options(
        rp_id=_rp_id(),
        rp_name=RP_NAME,
        user_id=user_handle,
        user_name=name,
        challenge=challenge.value,
        timeout=LIFETIME_S * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    return _json(options)


def request_options(challenge: Challenge) -> dict[str, Any]:
    """Return PublicKeyCredentialRequestOptionsJSON for a sign-in with any discoverable passkey."""
    options = webauthn.generate_authentication_options(
        rp_id=_rp_id(),
        challenge=challenge.value,
        timeout=LIFETIME_S * 1000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _json(options)


def answered_challenge(client_data_json: str) -> bytes:
    """Return the challenge that a response *says* it answers: good for looking it up only.

    Raises:
        PasskeyRefusedError: the client data is malformed, or the ceremony was cross-origin.
    """
    try:
        client_data = strict_json.parse(_bytes(client_data_json))
    except strict_json.JsonError as error:
        raise PasskeyRefusedError from error
    if not isinstance(client_data, dict) or client_data.get("crossOrigin", False) is not False:
        raise PasskeyRefusedError  # py_webauthn does not look at crossOrigin
    return _bytes(client_data.get("challenge"))


def verify_registration(registration: Registration, *, challenge: Challenge) -> Passkey:
    """Return the passkey that answered *challenge* (WebAuthn Level 3, section 7.1).

    Raises:
        PasskeyRefusedError: a check fails.
    """
    try:
        verified = webauthn.verify_registration_response(
            credential=registration.model_dump(exclude_none=True),
            expected_challenge=challenge.value,
            expected_rp_id=_rp_id(),
            expected_origin=setting("PUBLIC_ORIGIN"),
            require_user_verification=True,
        )
    except Exception as error:  # its parsers of hostile CBOR raise more than they document
        raise PasskeyRefusedError from error
    if verified.fmt != AttestationFormat.NONE:
        raise PasskeyRefusedError  # we asked for none, and verify no chain
    return Passkey(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
        aaguid=verified.aaguid,
    )


def verify_assertion(assertion: Assertion, *, passkey: Passkey, challenge: Challenge) -> Passkey:
    """Return *passkey* as its authenticator now reports it (WebAuthn Level 3, section 7.2).

    Raises:
        PasskeyRefusedError: a check fails; a counter that did not grow is one.
    """
    try:
        verified = webauthn.verify_authentication_response(
            credential=assertion.model_dump(exclude_none=True),
            expected_challenge=challenge.value,
            expected_rp_id=_rp_id(),
            expected_origin=setting("PUBLIC_ORIGIN"),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except Exception as error:
        raise PasskeyRefusedError from error
    eligible = verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    if eligible != passkey.backup_eligible:
        raise PasskeyRefusedError  # section 6.1.3: BE never changes after registration
    return Passkey(
        credential_id=passkey.credential_id,
        public_key=passkey.public_key,
        sign_count=verified.new_sign_count,
        backup_eligible=eligible,
        backed_up=verified.credential_backed_up,
        aaguid=passkey.aaguid,
    )


def _rp_id() -> str:
    return urlsplit(setting("PUBLIC_ORIGIN")).hostname or ""


def _json(options: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return made


def _bytes(text: object) -> bytes:
    if not isinstance(text, str) or not text:
        raise PasskeyRefusedError
    try:
        return unb64url(text)
    except EvidenceError as error:
        raise PasskeyRefusedError from error
