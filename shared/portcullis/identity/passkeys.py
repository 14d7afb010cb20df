"""Passkeys: WebAuthn ceremonies on py_webauthn, with the house's policy.

User verification required, discoverable, exact origin and RP id, never cross-origin, ES256 or
EdDSA or RS256, attestation as settings say. Only functions with the passkey layer may import this.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

import webauthn
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import decode_credential_public_key, parse_attestation_object
from webauthn.helpers.cose import COSECRV, COSEAlgorithmIdentifier
from webauthn.helpers.decode_credential_public_key import (
    DecodedEC2PublicKey,
    DecodedOKPPublicKey,
    DecodedRSAPublicKey,
)
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portcullis.errors import InvalidError
from portcullis.evidence import client_data, passkey_keys
from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.identity import attestation
from portcullis.identity.challenges import LIFETIME_S, Challenge
from portcullis.schema import Strict
from portcullis.settings import setting

RP_NAME = "Portcullis"
CREDENTIAL_ID_BYTES_MAX = 1023
"""WebAuthn Level 3, section 7.1, step 24."""
ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]


class PasskeyRefusedError(InvalidError):
    """The authenticator's response does not verify. Its cause names the check, for the log."""

    code = "passkey-refused"
    title = "The passkey's response is not valid for this ceremony."


class CounterRegressedError(PasskeyRefusedError):
    """All is well but the counter, which did not grow: there may be a copy of the passkey."""

    code = "passkey-counter-regressed"
    title = "The passkey's counter did not grow, as if it had been copied. Use another passkey."


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
        if self.response.userHandle is None:
            raise PasskeyRefusedError
        return _bytes(self.response.userHandle)


@dataclass(frozen=True, slots=True)
class Passkey:
    """A verified passkey.

    Backup eligible: it may be synced, so it is not bound to one device. Attested: its maker
    vouched for ``aaguid``, which is otherwise no more than what the authenticator says.
    """

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    aaguid: str
    attested: bool


def creation_options(
    challenge: Challenge, *, user_handle: bytes, name: str, exclude: Sequence[bytes] = ()
) -> dict[str, Any]:
    """Return PublicKeyCredentialCreationOptionsJSON for a passkey of an account.

    No authenticator that holds one of the credentials in *exclude* makes another.
    """
    demanded = attestation.is_demanded()
    options = webauthn.generate_registration_options(
        rp_id=_rp_id(),
        rp_name=RP_NAME,
        user_id=user_handle,
        user_name=name,
        challenge=challenge.value,
        timeout=LIFETIME_S * 1000,
        attestation=(
            AttestationConveyancePreference.DIRECT
            if demanded
            else AttestationConveyancePreference.NONE
        ),
        supported_pub_key_algs=ALGORITHMS,
        exclude_credentials=_described(exclude),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    return _json(options)


def request_options(challenge: Challenge, *, allow: Sequence[bytes] = ()) -> dict[str, Any]:
    """Return PublicKeyCredentialRequestOptionsJSON for one of *allow*: none, any discoverable."""
    options = webauthn.generate_authentication_options(
        rp_id=_rp_id(),
        challenge=challenge.value,
        timeout=LIFETIME_S * 1000,
        allow_credentials=_described(allow),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _json(options)


def answered_challenge(client_data_json: str) -> bytes:
    """Return the challenge that a response *says* it answers: good for looking it up only.

    Raises:
        PasskeyRefusedError: the client data is malformed, or the ceremony was in a frame of
            another origin.
    """
    try:
        return unb64url(client_data.parse(unb64url(client_data_json)).challenge)
    except EvidenceError as error:
        raise PasskeyRefusedError from error


def verify_registration(registration: Registration, *, challenge: Challenge) -> Passkey:
    """Return the passkey that answered *challenge* (WebAuthn Level 3, section 7.1).

    Raises:
        PasskeyRefusedError: a check fails.
        MissingSettingError: makers must vouch, and there are no roots.
    """
    try:
        return _registered(registration, challenge)
    except EvidenceError as error:
        raise PasskeyRefusedError from error


def verify_assertion(assertion: Assertion, *, passkey: Passkey, challenge: Challenge) -> Passkey:
    """Return *passkey* as its authenticator now reports it (WebAuthn Level 3, section 7.2).

    Raises:
        CounterRegressedError: all is well, but the counter did not grow. It is not to be stored:
            a counter is never lowered.
        PasskeyRefusedError: another check fails.
    """
    try:
        verified = _asserted(assertion, passkey, challenge)
    except EvidenceError as error:
        raise PasskeyRefusedError from error
    counter, before = verified.new_sign_count, passkey.sign_count
    if counter <= before and (counter, before) != (0, 0):  # section 7.2, step 22
        raise CounterRegressedError
    return replace(passkey, sign_count=counter, backed_up=verified.credential_backed_up)


def public_jwk(public_key: bytes) -> dict[str, str]:
    """Return a passkey's COSE key (RFC 9053) as the JWK that its enrolment certificate names.

    Raises:
        PasskeyRefusedError: it is not a P-256 key for ES256, an Ed25519 key for EdDSA or an RSA
            key for RS256, or it is too weak or too long.
    """
    try:
        return _jwk(public_key)
    except EvidenceError as error:
        raise PasskeyRefusedError from error


def _registered(registration: Registration, challenge: Challenge) -> Passkey:
    client_data.verify(
        unb64url(registration.response.clientDataJSON),
        expected_type=client_data.CREATE,
        expected_challenge=challenge.value,
        expected_origin=setting("PUBLIC_ORIGIN"),
    )
    demanded = attestation.is_demanded()
    with _library("attestation object"):
        attested = parse_attestation_object(unb64url(registration.response.attestationObject))
    # First of all: the other formats' parsers are not for what strangers send.
    if attested.fmt != (AttestationFormat.PACKED if demanded else AttestationFormat.NONE):
        raise EvidenceError("attestation format")
    roots = {AttestationFormat.PACKED: attestation.roots()} if demanded else None
    with _library("registration"):
        verified = webauthn.verify_registration_response(
            credential=registration.model_dump(exclude_none=True),
            expected_challenge=challenge.value,
            expected_rp_id=_rp_id(),
            expected_origin=setting("PUBLIC_ORIGIN"),
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
            pem_root_certs_bytes_by_fmt=roots,
        )
    if b64url(verified.credential_id) != registration.rawId:  # the library leaves it out
        raise EvidenceError("another credential is attested")
    if len(verified.credential_id) > CREDENTIAL_ID_BYTES_MAX:
        raise EvidenceError("credential id is too long")
    _jwk(verified.credential_public_key)
    if demanded:
        attestation.check_maker(attested.att_stmt.x5c or (), aaguid=verified.aaguid)
    return Passkey(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
        aaguid=verified.aaguid,
        attested=demanded,
    )


def _asserted(
    assertion: Assertion, passkey: Passkey, challenge: Challenge
) -> VerifiedAuthentication:
    """Return what the library verified: everything but the counter."""
    client_data.verify(
        unb64url(assertion.response.clientDataJSON),
        expected_type=client_data.GET,
        expected_challenge=challenge.value,
        expected_origin=setting("PUBLIC_ORIGIN"),
    )
    if assertion.credential_id != passkey.credential_id:
        raise EvidenceError("another credential answers")
    with _library("assertion"):
        verified = webauthn.verify_authentication_response(
            credential=assertion.model_dump(exclude_none=True),
            expected_challenge=challenge.value,
            expected_rp_id=_rp_id(),
            expected_origin=setting("PUBLIC_ORIGIN"),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    eligible = verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    if eligible != passkey.backup_eligible:
        raise EvidenceError("backup eligibility changed")  # section 7.2, step 19
    return verified


@contextmanager
def _library(what: str) -> Iterator[None]:
    """Make every error of the library one of ours: of hostile CBOR it raises more than it says."""
    try:
        yield
    except EvidenceError:
        raise
    except Exception as error:
        raise EvidenceError(what) from error


def _jwk(public_key: bytes) -> dict[str, str]:
    with _library("passkey key"):
        key = decode_credential_public_key(public_key)
        jwk = _members(key)
    passkey_keys.from_jwk(jwk)
    return jwk


def _members(key: object) -> dict[str, str]:
    """Return a decoded key's members, if its algorithm is the one of its type."""
    match key:
        # Section 5.8.5: ES256 is on P-256, and EdDSA on Ed25519.
        case DecodedEC2PublicKey(alg=COSEAlgorithmIdentifier.ECDSA_SHA_256, crv=COSECRV.P256):
            return {"kty": "EC", "crv": "P-256", "x": b64url(key.x), "y": b64url(key.y)}
        case DecodedOKPPublicKey(alg=COSEAlgorithmIdentifier.EDDSA, crv=COSECRV.ED25519):
            return {"kty": "OKP", "crv": "Ed25519", "x": b64url(key.x)}
        case DecodedRSAPublicKey(alg=COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256):
            return {"kty": "RSA", "n": b64url(key.n), "e": b64url(key.e)}
    raise EvidenceError("passkey key is of another algorithm")


def _described(credential_ids: Sequence[bytes]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=credential_id) for credential_id in credential_ids]


def _rp_id() -> str:
    return urlsplit(setting("PUBLIC_ORIGIN")).hostname or ""


def _json(options: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return made


def _bytes(text: str) -> bytes:
    try:
        return unb64url(text)
    except EvidenceError as error:
        raise PasskeyRefusedError from error
