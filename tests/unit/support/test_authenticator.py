"""The software authenticator: verified by the library that the product verifies passkeys with."""

from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.exceptions import (
    InvalidAuthenticationResponse,
    InvalidRegistrationResponse,
)
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from tests.support.authenticator import (
    BE,
    BS,
    EDDSA,
    ES256,
    HONEST,
    RS256,
    Authenticator,
    CeremonyRefusedError,
    Credential,
    Misbehaviour,
    attestation_object,
)
from tests.support.jws import b64url, b64url_decode, new_key
from tests.support.maker import Maker

ORIGIN = "http://localhost:8080"
RP_ID = "localhost"
CHALLENGE = bytes(range(32))
USER = b"01j0000000000000000000acct"


def creation_options(*, exclude: Sequence[bytes] = ()) -> dict[str, Any]:
    """Return the options of a server that wants a discoverable, verified passkey."""
    options = generate_registration_options(
        rp_id=RP_ID,
        rp_name="Portcullis",
        user_name="account",
        user_id=USER,
        challenge=CHALLENGE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=held) for held in exclude],
    )
    return options_to_json_dict(options)


def request_options(*, allow: Sequence[bytes] = ()) -> dict[str, Any]:
    """Return the options of a server that does not know yet who comes."""
    options = generate_authentication_options(
        rp_id=RP_ID,
        challenge=CHALLENGE,
        user_verification=UserVerificationRequirement.REQUIRED,
        allow_credentials=[PublicKeyCredentialDescriptor(id=held) for held in allow],
    )
    return options_to_json_dict(options)


def register(response: dict[str, Any]) -> VerifiedRegistration:
    """Verify a registration as a strict server would."""
    return verify_registration_response(
        credential=response,
        expected_challenge=CHALLENGE,
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        require_user_verification=True,
    )


def authenticate(
    response: dict[str, Any], passkey: VerifiedRegistration, count: int = 0
) -> VerifiedAuthentication:
    """Verify an authentication as a strict server would."""
    return verify_authentication_response(
        credential=response,
        expected_challenge=CHALLENGE,
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        credential_public_key=passkey.credential_public_key,
        credential_current_sign_count=count,
        require_user_verification=True,
    )


def test_the_known_answers_of_the_specification() -> None:
    """Byte for byte the test vector "ES256 Credential with No Attestation" (Level 3)."""
    secret = int("6e68e7a58484a3264f66b77f5d6dc5bc36a47085b615c9727ab334e8c369c2ee", 16)
    held = Credential(
        rp_id="example.org",
        user_handle=b"",
        private=derive_private_key(secret, SECP256R1()),
        id=bytes.fromhex("f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4"),
    )
    authenticator = Authenticator(
        aaguid=bytes.fromhex("8446ccb9ab1db374750b2367ff6f3a1f"),
        backup_eligible=True,
        backed_up=True,
        counts=False,
        credentials=[held],
    )
    unverified = Misbehaviour(user_verified=False)
    created = authenticator.authenticator_data(held, unverified, attested=True)
    challenge = "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408"
    options = {"challenge": b64url(bytes.fromhex(challenge)), "rpId": "example.org"}
    used = authenticator.get(options, "https://example.org", misbehaviour=unverified)

    assert attestation_object(created).hex() == (
        "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461"
        "c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f39"
        "1db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97"
        "ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf"
        "879717c12cc68ed73290af2e2664796b9220"
    )
    assert b64url_decode(used["response"]["authenticatorData"]).hex() == (
        "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000"
    )
    assert b64url_decode(used["response"]["clientDataJSON"]) == (
        b'{"type":"webauthn.get","challenge":"OcDnUhQXulTUPo3JUXT0I97pvzzYBP9tZchXyav01Ag",'
        b'"origin":"https://example.org","crossOrigin":false}'
    )


def test_a_passkey_is_created_and_used() -> None:
    """A registration and two sign-ins verify; the counter advances; the handle comes back."""
    authenticator = Authenticator()
    passkey = register(authenticator.create(creation_options(), ORIGIN))
    first = authenticator.get(request_options(), ORIGIN)
    second = authenticator.get(request_options(), ORIGIN)

    assert passkey.user_verified
    assert passkey.credential_device_type is CredentialDeviceType.SINGLE_DEVICE
    assert b64url_decode(first["response"]["userHandle"]) == USER
    assert authenticate(first, passkey).new_sign_count == 1
    assert authenticate(second, passkey, count=1).new_sign_count == 2


def test_a_synced_passkey_says_so() -> None:
    """BE and BS are reported and the counter stays zero."""
    authenticator = Authenticator(backup_eligible=True, backed_up=True, counts=False)
    passkey = register(authenticator.create(creation_options(), ORIGIN))
    used = authenticate(authenticator.get(request_options(), ORIGIN), passkey)

    assert passkey.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    assert passkey.credential_backed_up
    assert used.new_sign_count == 0


def test_a_named_passkey_is_used() -> None:
    """`allowCredentials` decides which of two passkeys signs."""
    authenticator = Authenticator()
    older = register(authenticator.create(creation_options(), ORIGIN))
    register(authenticator.create(creation_options(), ORIGIN))
    response = authenticator.get(request_options(allow=[older.credential_id]), ORIGIN)
    assert authenticate(response, older).credential_id == older.credential_id


def test_the_response_has_the_members_of_a_browsers() -> None:
    """`toJSON()` of Level 3: nothing is missing that a strict server may ask for."""
    authenticator = Authenticator()
    created = authenticator.create(creation_options(), ORIGIN)
    used = authenticator.get(request_options(), ORIGIN)
    outer = {
        *("id", "rawId", "type", "response"),
        *("authenticatorAttachment", "clientExtensionResults"),
    }
    assert set(created) == set(used) == outer
    assert set(created["response"]) == {
        *("clientDataJSON", "attestationObject", "authenticatorData"),
        *("transports", "publicKey", "publicKeyAlgorithm"),
    }
    assert set(used["response"]) == {
        *("clientDataJSON", "authenticatorData", "signature", "userHandle"),
    }


WRONG_AT_BOTH = {
    "origin": Misbehaviour(origin="http://localhost:6666"),
    "challenge": Misbehaviour(challenge=bytes(32)),
    "ceremony": Misbehaviour(ceremony="payment.get"),
    "relying party": Misbehaviour(rp_id="example.org"),
    "user absent": Misbehaviour(user_present=False),
    "user not verified": Misbehaviour(user_verified=False),
}


@pytest.mark.parametrize("misbehaviour", WRONG_AT_BOTH.values(), ids=WRONG_AT_BOTH.keys())
def test_a_wrong_registration_is_refused(misbehaviour: Misbehaviour) -> None:
    """Each way to misbehave makes the registration fail."""
    response = Authenticator().create(creation_options(), ORIGIN, misbehaviour=misbehaviour)
    with pytest.raises(InvalidRegistrationResponse):
        register(response)


WRONG_AT_USE = WRONG_AT_BOTH | {
    "counter not advanced": Misbehaviour(sign_count=7),
    "another key": Misbehaviour(signed_by=new_key()),
}


@pytest.mark.parametrize("misbehaviour", WRONG_AT_USE.values(), ids=WRONG_AT_USE.keys())
def test_a_wrong_authentication_is_refused(misbehaviour: Misbehaviour) -> None:
    """Each way to misbehave makes the sign-in fail."""
    authenticator = Authenticator()
    passkey = register(authenticator.create(creation_options(), ORIGIN))
    authenticator.credentials[0].sign_count = 7
    response = authenticator.get(request_options(), ORIGIN, misbehaviour=misbehaviour)
    with pytest.raises(InvalidAuthenticationResponse):
        authenticate(response, passkey, count=7)


def test_what_the_library_does_not_judge_is_still_wrong() -> None:
    """Cross-origin frames and another account's handle are in the bytes for our own checks."""
    authenticator = Authenticator()
    authenticator.create(creation_options(), ORIGIN)
    misbehaviour = Misbehaviour(cross_origin=True, user_handle=b"another")
    response = authenticator.get(request_options(), ORIGIN, misbehaviour=misbehaviour)["response"]
    assert b'"crossOrigin":true' in b64url_decode(response["clientDataJSON"])
    assert b64url_decode(response["userHandle"]) == b"another"


def test_a_browser_refuses_a_foreign_relying_party() -> None:
    """A phishing page cannot even ask: nothing reaches the server."""
    authenticator = Authenticator()
    authenticator.create(creation_options(), ORIGIN)
    for origin in ("https://evil.example", "http://localhost.evil.example", "http://evillocalhost"):
        with pytest.raises(CeremonyRefusedError):
            authenticator.get(request_options(), origin)
        with pytest.raises(CeremonyRefusedError):
            authenticator.create(creation_options(), origin)


def test_an_authenticator_refuses_what_it_cannot_do() -> None:
    """No passkey, an excluded passkey, or a server without ES256: refused on the device."""
    authenticator = Authenticator()
    with pytest.raises(CeremonyRefusedError):
        authenticator.get(request_options(), ORIGIN)
    with pytest.raises(CeremonyRefusedError):
        authenticator.create(creation_options() | {"pubKeyCredParams": [{"alg": -257}]}, ORIGIN)
    held = register(authenticator.create(creation_options(), ORIGIN))
    with pytest.raises(CeremonyRefusedError):
        authenticator.create(creation_options(exclude=[held.credential_id]), ORIGIN)


@pytest.mark.parametrize(("eligible", "backed_up"), [(True, False), (True, True)])
def test_backup_flags_are_in_the_flags_byte(*, eligible: bool, backed_up: bool) -> None:
    """BE and BS stand where Web Authentication section 6.1 puts them."""
    authenticator = Authenticator(backup_eligible=eligible, backed_up=backed_up)
    held = Credential(rp_id=RP_ID, user_handle=USER)
    flags = authenticator.authenticator_data(held, HONEST, attested=False)[32]
    assert flags & (BE | BS) == BE * eligible | BS * backed_up


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_each_algorithm_verifies(algorithm: int) -> None:
    """A passkey of each algorithm that the library offers by default is created and used."""
    authenticator = Authenticator(algorithm=algorithm)
    passkey = register(authenticator.create(creation_options(), ORIGIN))
    used = authenticator.get(request_options(), ORIGIN)
    assert authenticate(used, passkey).new_sign_count == 1


@pytest.mark.parametrize(("eligible", "backed_up"), [(True, False), (True, True), (False, False)])
def test_a_response_can_claim_other_backup_flags(*, eligible: bool, backed_up: bool) -> None:
    """What one response claims is not what the authenticator is."""
    authenticator = Authenticator(backup_eligible=True)
    passkey = register(authenticator.create(creation_options(), ORIGIN))
    wrong = Misbehaviour(backup_eligible=eligible, backed_up=backed_up)
    used = authenticate(authenticator.get(request_options(), ORIGIN, misbehaviour=wrong), passkey)
    multi = used.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    assert (multi, used.credential_backed_up) == (eligible, backed_up)


def test_a_maker_vouches_where_it_is_asked_to() -> None:
    """Packed attestation leads to the maker's root, and to no other; unasked there is none."""
    maker = Maker(model=None)
    authenticator = Authenticator(maker=maker)
    direct = creation_options() | {"attestation": "direct"}
    response = authenticator.create(direct, ORIGIN)

    assert attested(response, maker).fmt == AttestationFormat.PACKED
    assert register(authenticator.create(creation_options(), ORIGIN)).fmt == AttestationFormat.NONE
    with pytest.raises(InvalidRegistrationResponse):
        attested(response, Maker(model=None))


def attested(response: dict[str, Any], maker: Maker) -> VerifiedRegistration:
    """Verify a registration as a server would that trusts one maker."""
    return verify_registration_response(
        credential=response,
        expected_challenge=CHALLENGE,
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        pem_root_certs_bytes_by_fmt={AttestationFormat.PACKED: [maker.root_pem.encode()]},
    )
