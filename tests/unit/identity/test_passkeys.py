"""Passkeys by the house's policy: what is asked for, what is taken, and why the rest is not."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from pydantic import ValidationError

from portcullis.identity import passkeys
from portcullis.identity.challenges import Challenge
from portcullis.identity.passkeys import (
    Assertion,
    CounterRegressedError,
    Passkey,
    PasskeyRefusedError,
    Registration,
)
from portcullis.settings import MissingSettingError
from tests.support.attested import digest
from tests.support.authenticator import (
    AAGUID,
    EDDSA,
    ES256,
    HONEST,
    RS256,
    Authenticator,
    CeremonyRefusedError,
    Misbehaviour,
    attestation_object,
    cose_key,
    sign,
)
from tests.support.jws import b64url, b64url_decode, new_key, public_jwk
from tests.support.maker import Maker

ORIGIN = "https://api.example.test"
RP_ID = "api.example.test"
CHALLENGE = Challenge(bytes(range(32)), None)
HANDLE = bytes(16)
MODEL = str(UUID(bytes=AAGUID))
ALGORITHMS = [ES256, EDDSA, RS256]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default policy."""
    monkeypatch.setenv("PUBLIC_ORIGIN", ORIGIN)
    monkeypatch.setenv("PASSKEY_AAGUIDS", "any")
    monkeypatch.setenv("PASSKEY_ROOTS", "none")


def trust(monkeypatch: pytest.MonkeyPatch, *makers: Maker, models: str = MODEL) -> None:
    """Set a list of models, and the roots of makers."""
    monkeypatch.setenv("PASSKEY_AAGUIDS", models)
    monkeypatch.setenv("PASSKEY_ROOTS", "".join(maker.root_pem for maker in makers) or "none")


def created(authenticator: Authenticator, misbehaviour: Misbehaviour = HONEST) -> Registration:
    """Return what an authenticator answers to the house's options."""
    options = passkeys.creation_options(CHALLENGE, user_handle=HANDLE, name="account")
    answer = authenticator.create(options, ORIGIN, misbehaviour=misbehaviour)
    return Registration.model_validate(answer)


def asserted(authenticator: Authenticator, misbehaviour: Misbehaviour = HONEST) -> Assertion:
    """Return what an authenticator answers to the house's request."""
    options = passkeys.request_options(CHALLENGE)
    return Assertion.model_validate(authenticator.get(options, ORIGIN, misbehaviour=misbehaviour))


def register(registration: Registration) -> Passkey:
    """Verify a registration."""
    return passkeys.verify_registration(registration, challenge=CHALLENGE)


def verify(assertion: Assertion, passkey: Passkey) -> Passkey:
    """Verify an assertion."""
    return passkeys.verify_assertion(assertion, passkey=passkey, challenge=CHALLENGE)


def enrolled(**attributes: Any) -> tuple[Authenticator, Passkey]:
    """Return an authenticator and its passkey, as it was taken."""
    authenticator = Authenticator(**attributes)
    return authenticator, register(created(authenticator))


def altered(sent: Registration, **response: str) -> Registration:
    """Return a registration with other members in its response."""
    told = sent.model_dump(exclude_none=True)
    return Registration.model_validate(told | {"response": told["response"] | response})


def refuse_registration(sent: Registration, why: str) -> None:
    """Demand that a registration is refused for one reason alone."""
    with pytest.raises(PasskeyRefusedError) as refused:
        register(sent)
    assert str(refused.value.__cause__) == why


def refuse_assertion(sent: Assertion, passkey: Passkey, why: str) -> None:
    """Demand that an assertion is refused for one reason alone."""
    with pytest.raises(PasskeyRefusedError) as refused:
        verify(sent, passkey)
    assert str(refused.value.__cause__) == why


# ---- what is asked for --------------------------------------------------------------------------


def test_a_passkey_is_asked_for_by_the_policy() -> None:
    """Discoverable, user verified, three algorithms, no attestation, five minutes."""
    options = passkeys.creation_options(CHALLENGE, user_handle=HANDLE, name="account")
    assert options["rp"] == {"id": RP_ID, "name": "Portcullis"}
    assert options["attestation"] == "none"
    assert [param["alg"] for param in options["pubKeyCredParams"]] == [EDDSA, ES256, RS256]
    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert options["timeout"] == 300_000
    assert options["excludeCredentials"] == []


def test_a_list_asks_for_the_makers_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it browsers would take the statement away."""
    trust(monkeypatch, Maker(model=AAGUID))
    options = passkeys.creation_options(CHALLENGE, user_handle=HANDLE, name="account")
    assert options["attestation"] == "direct"


def test_an_authenticator_makes_no_second_passkey() -> None:
    """Whoever holds a passkey of the account already is told so, and refuses."""
    authenticator, held = enrolled()
    options = passkeys.creation_options(
        CHALLENGE, user_handle=HANDLE, name="account", exclude=[held.credential_id]
    )
    with pytest.raises(CeremonyRefusedError):
        authenticator.create(options, ORIGIN)
    Authenticator().create(options, ORIGIN)


def test_a_request_can_name_its_passkeys() -> None:
    """Of two passkeys the named one answers; unnamed, whichever is discovered."""
    authenticator, older = enrolled()
    newer = register(created(authenticator))
    named = passkeys.request_options(CHALLENGE, allow=[older.credential_id])
    assert named["userVerification"] == "required"
    answer = Assertion.model_validate(authenticator.get(named, ORIGIN))
    assert answer.credential_id == older.credential_id
    assert asserted(authenticator).credential_id == newer.credential_id


# ---- registration -------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_passkey_is_taken_and_used(algorithm: int) -> None:
    """Each of the three algorithms, from the options to a second sign-in."""
    authenticator, passkey = enrolled(algorithm=algorithm)
    assert (passkey.aaguid, passkey.attested) == (MODEL, False)
    first = verify(asserted(authenticator), passkey)
    second = verify(asserted(authenticator), first)
    assert (first.sign_count, second.sign_count) == (1, 2)
    assert replace(second, sign_count=0) == passkey


WRONG = {
    "another origin": (Misbehaviour(origin="https://evil.example"), "another origin"),
    "an origin below": (Misbehaviour(origin="https://x.api.example.test"), "another origin"),
    "an origin with a port": (Misbehaviour(origin=ORIGIN + ":8443"), "another origin"),
    "without TLS": (Misbehaviour(origin="http://api.example.test"), "another origin"),
    "another challenge": (Misbehaviour(challenge=bytes(32)), "another challenge"),
    "another ceremony": (Misbehaviour(ceremony="payment.get"), "another ceremony"),
    "cross-origin": (Misbehaviour(cross_origin=True), "ceremony in a frame of another origin"),
}
WRONG_DATA = {
    "another relying party": Misbehaviour(rp_id="example.test"),
    "user absent": Misbehaviour(user_present=False),
    "user not verified": Misbehaviour(user_verified=False),
    "backed up but not eligible": Misbehaviour(backup_eligible=False, backed_up=True),
}
AT_REGISTRATION = WRONG | {name: (wrong, "registration") for name, wrong in WRONG_DATA.items()}
AT_USE = WRONG | {name: (wrong, "assertion") for name, wrong in WRONG_DATA.items()}


@pytest.mark.parametrize(("wrong", "why"), AT_REGISTRATION.values(), ids=AT_REGISTRATION)
def test_a_wrong_registration_is_refused(wrong: Misbehaviour, why: str) -> None:
    """Each way to be wrong, for its own reason."""
    refuse_registration(created(Authenticator(), wrong), why)


def test_an_assertion_is_no_registration() -> None:
    """The ceremonies are told apart by the client data alone."""
    refuse_registration(
        created(Authenticator(), Misbehaviour(ceremony="webauthn.get")), "another ceremony"
    )


def test_a_credential_id_that_is_not_attested_is_refused() -> None:
    """Otherwise one passkey would be stored under the name of another."""
    other = b64url(bytes(32))
    sent = created(Authenticator()).model_dump(exclude_none=True) | {"id": other, "rawId": other}
    refuse_registration(Registration.model_validate(sent), "another credential is attested")


@pytest.mark.parametrize(("length", "taken"), [(1023, True), (1024, False)])
def test_a_credential_id_has_its_longest(*, length: int, taken: bool) -> None:
    """1,023 bytes, by section 7.1, step 24."""
    authenticator = Authenticator()
    sent = created(authenticator)
    held = authenticator.credentials[0]
    held.id = bytes(length)
    data = authenticator.authenticator_data(held, HONEST, attested=True)
    sent = altered(sent, attestationObject=b64url(attestation_object(data)))
    sent = sent.model_copy(update={"id": b64url(held.id), "rawId": b64url(held.id)})
    if taken:
        assert register(sent).credential_id == held.id
    else:
        refuse_registration(sent, "credential id is too long")


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00", b"\xa0", b"\xff" * 64, cbor2.dumps([1]), cbor2.dumps({"fmt": "none"})],
)
def test_what_is_no_attestation_object_is_refused(raw: bytes) -> None:
    """Hostile CBOR is a refusal, never a failure."""
    sent = altered(created(Authenticator()), attestationObject=b64url(raw))
    refuse_registration(sent, "attestation object")


@pytest.mark.parametrize("fmt", ["packed", "tpm", "android-key", "apple", "fido-u2f", "x", 1, None])
def test_an_attestation_that_nobody_asked_for_is_refused(fmt: Any) -> None:
    """By default the format is `none`, and no other format's parser is reached."""
    authenticator = Authenticator()
    created(authenticator)
    data = authenticator.authenticator_data(authenticator.credentials[0], HONEST, attested=True)
    sent = altered(
        created(authenticator), attestationObject=b64url(attestation_object(data, fmt=fmt))
    )
    refuse_registration(sent, "attestation format")


def test_padding_is_refused() -> None:
    """One spelling for each value: base64url as browsers write it."""
    sent = created(Authenticator())
    padded = sent.response.clientDataJSON + "="
    refuse_registration(altered(sent, clientDataJSON=padded), "base64url is not canonical")


def test_unknown_members_are_refused() -> None:
    """A response has the members of its type."""
    with pytest.raises(ValidationError):
        altered(created(Authenticator()), password="x")


# ---- attestation --------------------------------------------------------------------------------


def test_a_listed_model_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its maker vouches for it: attested, whichever of the roots it leads to."""
    maker = Maker(model=AAGUID)
    trust(
        monkeypatch,
        Maker(model=None, name="Other"),
        maker,
        models=f"{UUID(int=1)}, {MODEL.upper()}",
    )
    _, passkey = enrolled(maker=maker)
    assert (passkey.attested, passkey.aaguid) == (True, MODEL)


def test_a_certificate_need_not_name_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 8.2.1 asks for it only where one root stands for many models."""
    maker = Maker(model=None)
    trust(monkeypatch, maker)
    assert enrolled(maker=maker)[1].attested


NOT_VOUCHED = {
    "another model": (Maker(model=bytes(16)), "certificate is of another model"),
    "a model cut short": (Maker(model=AAGUID[:15]), "certificate is of another model"),
    "not for attestation": (
        Maker(model=AAGUID, unit="Web Server"),
        "certificate is not for attestation",
    ),
    "an authority's": (Maker(model=AAGUID, authority=True), "certificate is an authority's"),
    "unconstrained": (Maker(model=AAGUID, authority=None), "certificate has no constraints"),
}


@pytest.mark.parametrize(("maker", "why"), NOT_VOUCHED.values(), ids=NOT_VOUCHED)
def test_a_certificate_for_something_else_is_refused(
    maker: Maker, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the right root, a certificate that is not for this is none."""
    trust(monkeypatch, maker)
    refuse_registration(created(Authenticator(maker=maker)), why)


def test_a_maker_under_another_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that says all the right things is anybody's to make."""
    trust(monkeypatch, Maker(model=AAGUID))
    refuse_registration(created(Authenticator(maker=Maker(model=AAGUID))), "registration")


def test_a_model_that_is_not_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its maker's word does not help."""
    maker = Maker(model=AAGUID)
    trust(monkeypatch, maker, models=str(UUID(int=1)))
    refuse_registration(created(Authenticator(maker=maker)), "model is not on the list")


def test_a_passkey_without_a_makers_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a list, `none` is no answer."""
    trust(monkeypatch, Maker(model=AAGUID))
    refuse_registration(created(Authenticator()), "attestation format")


def test_a_passkey_that_vouches_for_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Self attestation proves the key, not the model."""

    trust(monkeypatch, Maker(model=AAGUID))
    authenticator = Authenticator()
    sent = created(authenticator)
    held = authenticator.credentials[0]
    data = authenticator.authenticator_data(held, HONEST, attested=True)
    signed = data + digest(b64url_decode(sent.response.clientDataJSON))
    statement = {"alg": ES256, "sig": sign(signed, held.private)}
    refuse_registration(
        altered(
            sent,
            attestationObject=b64url(attestation_object(data, fmt="packed", statement=statement)),
        ),
        "self attestation",
    )


def test_a_statement_over_other_client_data_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maker's word is for this ceremony."""
    maker = Maker(model=AAGUID)
    trust(monkeypatch, maker)
    one, other = (created(Authenticator(maker=maker)) for _ in range(2))
    data = cbor2.loads(b64url_decode(one.response.attestationObject))["authData"]
    theirs = cbor2.loads(b64url_decode(other.response.attestationObject))["attStmt"]
    mixed = b64url(attestation_object(data, fmt="packed", statement=theirs))
    refuse_registration(altered(one, attestationObject=mixed), "registration")


def test_a_list_without_roots_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library takes any chain where it has no root: then nothing is taken."""
    maker = Maker(model=AAGUID)
    trust(monkeypatch)
    with pytest.raises(MissingSettingError):
        register(created(Authenticator(maker=maker)))


@pytest.mark.parametrize("name", ["PASSKEY_AAGUIDS", "PUBLIC_ORIGIN"])
def test_no_policy_is_no_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for until somebody has decided."""
    monkeypatch.delenv(name)
    with pytest.raises(MissingSettingError):
        passkeys.creation_options(CHALLENGE, user_handle=HANDLE, name="account")


# ---- assertion ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "why"), AT_USE.values(), ids=AT_USE)
def test_a_wrong_assertion_is_refused(wrong: Misbehaviour, why: str) -> None:
    """Each way to be wrong, for its own reason."""
    authenticator, passkey = enrolled(backup_eligible=True)
    refuse_assertion(asserted(authenticator, wrong), passkey, why)


def test_another_key_is_refused() -> None:
    """Whoever knows the credential's id still lacks its key."""
    authenticator, passkey = enrolled()
    sent = asserted(authenticator, Misbehaviour(signed_by=new_key()))
    refuse_assertion(sent, passkey, "assertion")


def test_another_passkey_is_refused() -> None:
    """An answer is held against the passkey that it names."""
    authenticator, passkey = enrolled()
    register(created(authenticator))
    refuse_assertion(asserted(authenticator), passkey, "another credential answers")


@pytest.mark.parametrize("eligible", [True, False])
def test_backup_eligibility_never_changes(*, eligible: bool) -> None:
    """It says whether the passkey is bound to its device: section 7.2, step 19."""
    authenticator, passkey = enrolled(backup_eligible=eligible)
    sent = asserted(authenticator, Misbehaviour(backup_eligible=not eligible))
    refuse_assertion(sent, passkey, "backup eligibility changed")


def test_the_backup_state_may_change() -> None:
    """A passkey that may be synced is synced one day, and not the next."""
    authenticator, passkey = enrolled(backup_eligible=True)
    synced = verify(asserted(authenticator, Misbehaviour(backed_up=True)), passkey)
    assert synced.backed_up
    assert not verify(asserted(authenticator), synced).backed_up


@pytest.mark.parametrize(("stored", "sent"), [(7, 7), (7, 6), (7, 0), (1, 1), (2**32 - 1, 0)])
def test_a_counter_that_does_not_grow_is_told_apart(stored: int, sent: int) -> None:
    """All else is well, so there may be a copy: its own refusal, for its own event."""
    authenticator, passkey = enrolled()
    with pytest.raises(CounterRegressedError):
        verify(
            asserted(authenticator, Misbehaviour(sign_count=sent)),
            replace(passkey, sign_count=stored),
        )


@pytest.mark.parametrize(("stored", "sent"), [(0, 0), (0, 1), (7, 8), (7, 2**32 - 1)])
def test_a_counter_that_grows_is_reported(stored: int, sent: int) -> None:
    """By any step; and an authenticator that does not count says zero for ever."""
    authenticator, passkey = enrolled()
    told = asserted(authenticator, Misbehaviour(sign_count=sent))
    assert verify(told, replace(passkey, sign_count=stored)).sign_count == sent


@pytest.mark.parametrize(
    "wrong",
    [
        Misbehaviour(sign_count=1, signed_by=new_key()),
        Misbehaviour(sign_count=1, user_verified=False),
        Misbehaviour(sign_count=1, backup_eligible=True),
        Misbehaviour(sign_count=1, challenge=bytes(32)),
    ],
)
def test_a_stranger_cannot_accuse_a_passkey(wrong: Misbehaviour) -> None:
    """A counter is judged last: an answer that is wrong otherwise says nothing about copies."""
    authenticator, passkey = enrolled()
    with pytest.raises(PasskeyRefusedError) as refused:
        verify(asserted(authenticator, wrong), replace(passkey, sign_count=7))
    assert not isinstance(refused.value, CounterRegressedError)


# ---- what a response says -----------------------------------------------------------------------


def test_the_challenge_that_is_answered() -> None:
    """It is found before anything is verified."""
    sent = asserted(enrolled()[0])
    assert passkeys.answered_challenge(sent.response.clientDataJSON) == CHALLENGE.value


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type":"webauthn.get","challenge":"AA","challenge":"AQ","origin":"x"}',
        b'{"type":"webauthn.get","challenge":1,"origin":"x"}',
        b'{"type":"webauthn.get","challenge":"A","origin":"x"}',
        b'{"type":"webauthn.get","challenge":"AA==","origin":"x"}',
        b'{"type":"webauthn.get","challenge":"AA","origin":"x","crossOrigin":true}',
        b'{"type":"webauthn.get","challenge":"AA","origin":"x","crossOrigin":null}',
        b'{"type":"webauthn.get","challenge":"AA","origin":"x","topOrigin":"x"}',
        b'\xef\xbb\xbf{"type":"webauthn.get","challenge":"AA","origin":"x"}',
    ],
)
def test_client_data_that_two_parsers_read_differently_is_refused(told: bytes) -> None:
    """Malformed, ambiguous or framed."""
    with pytest.raises(PasskeyRefusedError):
        passkeys.answered_challenge(b64url(told))


def test_an_assertion_names_its_account() -> None:
    """A discoverable passkey returns the handle; without one nobody is signed in."""
    sent = asserted(enrolled()[0])
    assert sent.user_handle == HANDLE
    nameless = sent.response.model_copy(update={"userHandle": None})
    with pytest.raises(PasskeyRefusedError):
        _ = sent.model_copy(update={"response": nameless}).user_handle
    with pytest.raises(PasskeyRefusedError):
        _ = sent.model_copy(update={"rawId": "A"}).credential_id


# ---- keys ---------------------------------------------------------------------------------------


def test_a_key_as_jwk() -> None:
    """The members of its type and no other, in base64url."""
    key = new_key()
    assert passkeys.public_jwk(cose_key(key)) == public_jwk(key)
    ed25519 = Ed25519PrivateKey.generate()
    x = b64url(ed25519.public_key().public_bytes_raw())
    assert passkeys.public_jwk(cose_key(ed25519)) == {"kty": "OKP", "crv": "Ed25519", "x": x}
    rsa = generate_rsa(65_537, 2048)
    n = b64url(rsa.public_key().public_numbers().n.to_bytes(256))
    assert passkeys.public_jwk(cose_key(rsa)) == {"kty": "RSA", "n": n, "e": "AQAB"}


EC = cbor2.loads(cose_key(new_key()))
P384 = generate_private_key(SECP384R1()).public_key().public_numbers()
WEAK = (1 << 1024) - 1
WRONG_KEYS: dict[str, Any] = {
    "no map": [],
    "empty": {},
    "symmetric": {1: 4, 3: 5, -1: bytes(32)},
    "P-256 for EdDSA": EC | {3: EDDSA},
    "P-256 for RS256": EC | {3: RS256},
    "P-256 for ES512": EC | {3: -36},
    "P-384 for ES256": {1: 2, 3: ES256, -1: 2, -2: P384.x.to_bytes(48), -3: P384.y.to_bytes(48)},
    "off the curve": EC | {-3: bytes(31) + b"\x01"},
    "compressed": EC | {-3: True},
    "a short coordinate": EC | {-2: EC[-2][:31]},
    "Ed25519 for ES256": {1: 1, 3: ES256, -1: 6, -2: bytes(32)},
    "a short Ed25519 key": {1: 1, 3: EDDSA, -1: 6, -2: bytes(31)},
    "RSA for PS256": {1: 3, 3: -37, -1: bytes([255]) * 256, -2: b"\x01\x00\x01"},
    "RSA of 1,024 bits": {1: 3, 3: RS256, -1: WEAK.to_bytes(128), -2: b"\x01\x00\x01"},
    "RSA of 8,192 bits": {1: 3, 3: RS256, -1: bytes([255]) * 1024, -2: b"\x01\x00\x01"},
    "RSA with exponent 3": {1: 3, 3: RS256, -1: bytes([255]) * 256, -2: b"\x03"},
}


@pytest.mark.parametrize("key", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_key_of_another_kind_is_refused(key: Any) -> None:
    """Another type, curve or algorithm than asked for, or too weak: neither enrolled nor named."""
    with pytest.raises(PasskeyRefusedError):
        passkeys.public_jwk(cbor2.dumps(key))


def test_a_passkey_on_a_curve_that_was_not_asked_for_is_refused() -> None:
    """The library takes ES256 on P-384; section 5.8.5 and the house do not."""
    authenticator = Authenticator()
    sent = created(authenticator)
    held = authenticator.credentials[0]
    plain = authenticator.authenticator_data(held, HONEST, attested=True)
    data = plain.removesuffix(held.cose_key) + cbor2.dumps(WRONG_KEYS["P-384 for ES256"])
    refuse_registration(
        altered(sent, attestationObject=b64url(attestation_object(data))),
        "passkey key is of another algorithm",
    )
