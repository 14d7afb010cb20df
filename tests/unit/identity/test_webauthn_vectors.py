"""The test vectors of Web Authentication Level 3: each is accepted, or refused for its reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from portcullis.evidence import assertions, passkey_keys
from portcullis.evidence.errors import EvidenceError
from portcullis.identity import passkeys
from portcullis.identity.challenges import Challenge
from portcullis.identity.passkeys import (
    Assertion,
    Passkey,
    PasskeyRefusedError,
    Registration,
)
from tests.support import attested
from tests.support.jws import b64url

VECTORS: dict[str, Any] = json.loads(Path("tests/vectors/webauthn_l3.json").read_text())
BY_NAME: dict[str, dict[str, Any]] = {
    vector["anchor"].removeprefix("sctn-test-vectors-"): vector for vector in VECTORS["vectors"]
}
NAMES = list(BY_NAME)

NOT_VERIFIED = "User verification is required"
FRAMED = "ceremony in a frame of another origin"
ALGORITHM = "Unsupported credential public key alg"
FORMAT = "attestation format"

REGISTRATION = {
    "none-es256": NOT_VERIFIED,
    "packed-self-es256": FORMAT,
    "none-es256-crossOrigin": FRAMED,
    "none-es256-topOrigin": FRAMED,
    "none-es256-long-credential-id": NOT_VERIFIED,
    "packed-es256": FORMAT,
    "packed-es384": FORMAT,
    "packed-es512": FORMAT,
    "packed-rs256": FORMAT,
    "packed-eddsa": FORMAT,
    "packed-ed448": FORMAT,
    "tpm-es256": FORMAT,
    "android-key-es256": FORMAT,
    "apple-es256": FORMAT,
    "fido-u2f-es256": FORMAT,
}
"""Why the house refuses each by default: of fifteen none is verified, unattested and unframed."""

LISTED = REGISTRATION | {
    "none-es256": FORMAT,
    "none-es256-long-credential-id": FORMAT,
    "packed-self-es256": "self attestation",
    "packed-es256": None,
    "packed-es384": NOT_VERIFIED,
    "packed-es512": ALGORITHM,
    "packed-rs256": None,
    "packed-eddsa": NOT_VERIFIED,
    "packed-ed448": NOT_VERIFIED,
}
"""The same where the vectors' models and their root are on the list; None: it is accepted."""

AUTHENTICATION = {
    "none-es256": NOT_VERIFIED,
    "packed-self-es256": NOT_VERIFIED,
    "none-es256-crossOrigin": FRAMED,
    "none-es256-topOrigin": FRAMED,
    "none-es256-long-credential-id": None,
    "packed-es256": None,
    "packed-es384": "Unrecognized EC2 signature alg",
    "packed-es512": NOT_VERIFIED,
    "packed-rs256": NOT_VERIFIED,
    "packed-eddsa": NOT_VERIFIED,
    "packed-ed448": "is not supported",
    "tpm-es256": None,
    "android-key-es256": NOT_VERIFIED,
    "apple-es256": NOT_VERIFIED,
    "fido-u2f-es256": NOT_VERIFIED,
}
PURE = AUTHENTICATION | {
    name: "user not verified" for name, why in AUTHENTICATION.items() if why == NOT_VERIFIED
}
"""The same without the library; keys of other algorithms have no JWK and never come so far."""

OTHER_KEYS = {"packed-es384", "packed-es512", "packed-ed448"}


def raw(name: str, ceremony: str, member: str) -> bytes:
    """Return a value of a vector."""
    return bytes.fromhex(BY_NAME[name][ceremony][member])


def registration(name: str) -> Registration:
    """Return a vector's registration, as a browser hands it over."""
    credential_id = b64url(raw(name, "registration", "credential_id"))
    members = ("clientDataJSON", "attestationObject")
    return Registration.model_validate(
        {
            "id": credential_id,
            "rawId": credential_id,
            "type": "public-key",
            "response": {member: b64url(raw(name, "registration", member)) for member in members},
        }
    )


def signed(name: str) -> dict[str, str]:
    """Return the parts of a vector's assertion."""
    members = ("authenticatorData", "clientDataJSON", "signature")
    return {member: b64url(raw(name, "authentication", member)) for member in members}


def assertion(name: str) -> Assertion:
    """Return a vector's assertion, as a browser hands it over."""
    credential_id = b64url(raw(name, "registration", "credential_id"))
    return Assertion.model_validate(
        {
            "id": credential_id,
            "rawId": credential_id,
            "type": "public-key",
            "response": signed(name),
        }
    )


def passkey(name: str) -> Passkey:
    """Return the passkey that a vector registers, as if the house had taken it."""
    data = attested.data(raw(name, "registration", "attestationObject"))
    return Passkey(
        credential_id=data.credential_id,
        public_key=data.public_key,
        sign_count=0,
        backup_eligible=data.backup_eligible,
        backed_up=data.backed_up,
        aaguid=str(UUID(bytes=data.aaguid)),
        attested=False,
    )


def register(name: str) -> Passkey:
    """Verify a vector's registration."""
    challenge = Challenge(raw(name, "registration", "challenge"), None)
    return passkeys.verify_registration(registration(name), challenge=challenge)


def authenticate(name: str) -> Passkey:
    """Verify a vector's assertion."""
    challenge = Challenge(raw(name, "authentication", "challenge"), None)
    return passkeys.verify_assertion(assertion(name), passkey=passkey(name), challenge=challenge)


def why_refused(verify: Callable[[str], object], name: str) -> str | None:
    """Return why a vector is refused, by the house and the library; None: it is not."""
    try:
        verify(name)
    except PasskeyRefusedError as error:
        return ": ".join(_causes(error))
    return None


def _causes(error: BaseException) -> list[str]:
    return [] if error.__cause__ is None else [str(error.__cause__), *_causes(error.__cause__)]


def agree(told: str | None, expected: str | None) -> None:
    """Demand that something is refused for the expected reason, or not at all."""
    if expected is None:
        assert told is None
    else:
        assert told is not None
        assert expected in told


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vectors' relying party, by the house's default policy."""
    monkeypatch.setenv("PUBLIC_ORIGIN", VECTORS["origin"])
    monkeypatch.setenv("PASSKEY_AAGUIDS", "any")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of the vectors' models, and their root."""
    models = (str(UUID(hex=vector["registration"]["aaguid"])) for vector in BY_NAME.values())
    der = bytes.fromhex(VECTORS["attestation_root"]["attestation_ca_cert"])
    root = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()
    monkeypatch.setenv("PASSKEY_AAGUIDS", ",".join(models))
    monkeypatch.setenv("PASSKEY_ROOTS", root)


def test_every_vector_is_here() -> None:
    """Fifteen, each with an expectation for each ceremony."""
    assert len(NAMES) == VECTORS["count"] == 15
    assert set(NAMES) == set(REGISTRATION) == set(AUTHENTICATION)


@pytest.mark.parametrize("name", NAMES)
def test_a_registration_by_default(name: str) -> None:
    """Each is refused for its own reason."""
    agree(why_refused(register, name), REGISTRATION[name])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("listed")
def test_a_registration_with_a_list(name: str) -> None:
    """Packed attestation up to the vectors' root is accepted; all else keeps its reason."""
    agree(why_refused(register, name), LISTED[name])


@pytest.mark.parametrize("name", ["packed-es256", "packed-rs256"])
@pytest.mark.usefixtures("listed")
def test_an_attested_passkey_is_what_the_vector_says(name: str) -> None:
    """Credential id, model and flags are the vector's, and the maker's word is recorded."""
    taken, expected = register(name), passkey(name)
    assert taken.attested
    assert (taken.credential_id, taken.aaguid) == (expected.credential_id, expected.aaguid)
    assert (taken.backup_eligible, taken.backed_up) == (
        expected.backup_eligible,
        expected.backed_up,
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_assertion(name: str) -> None:
    """Each is accepted, or refused for its own reason."""
    agree(why_refused(authenticate, name), AUTHENTICATION[name])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OTHER_KEYS])
def test_an_assertion_without_the_library(name: str) -> None:
    """The pure verification has the same verdict."""
    told: str | None = None
    try:
        assertions.verify(
            assertions.Assertion.model_validate(signed(name)),
            jwk=passkeys.public_jwk(passkey(name).public_key),
            expected_challenge=raw(name, "authentication", "challenge"),
            expected_origin=VECTORS["origin"],
            expected_rp_id=VECTORS["rp_id"],
        )
    except EvidenceError as error:
        told = str(error)
    agree(told, PURE[name])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OTHER_KEYS])
def test_a_signature_is_good_whatever_the_flags(name: str) -> None:
    """ES256, RS256 and EdDSA of the vectors verify; over one bit less they do not."""
    data = raw(name, "authentication", "authenticatorData")
    told = raw(name, "authentication", "clientDataJSON")
    jwk = passkeys.public_jwk(passkey(name).public_key)
    signature = raw(name, "authentication", "signature")
    passkey_keys.verify(signature, signed=data + attested.digest(told), jwk=jwk)
    with pytest.raises(EvidenceError, match="passkey signature"):
        passkey_keys.verify(signature, signed=data + attested.digest(told + b" "), jwk=jwk)


@pytest.mark.parametrize("name", sorted(OTHER_KEYS))
def test_a_key_of_another_algorithm_has_no_jwk(name: str) -> None:
    """ES384, ES512 and Ed448: nothing would sign for them."""
    agree(
        why_refused(lambda name: passkeys.public_jwk(passkey(name).public_key), name),
        "passkey key is of another algorithm",
    )
