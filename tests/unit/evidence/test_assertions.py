"""Assertions: a passkey's yes, verified here and by py_webauthn, with the same verdict."""

import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st
from webauthn import verify_authentication_response

from portcullis.evidence import assertions, client_data, passkey_keys
from portcullis.evidence.assertions import AssertedFlags, Assertion
from portcullis.evidence.errors import EvidenceError
from tests.support.authenticator import (
    BE,
    BS,
    EDDSA,
    ES256,
    HONEST,
    RS256,
    UP,
    UV,
    Authenticator,
    Credential,
    Misbehaviour,
    cose_key,
    sign,
)
from tests.support.jws import b64url, b64url_decode, new_key, private_jwk, public_jwk

ORIGIN = "https://api.example.test"
RP_ID = "api.example.test"
CHALLENGE = bytes(range(32))
OPTIONS = {"rpId": RP_ID, "challenge": b64url(CHALLENGE)}
AT, ED = 0x40, 0x80
ALGORITHMS = [ES256, EDDSA, RS256]
MAP = b"\xa0"
"""An empty CBOR map: extensions that say nothing."""


def held(algorithm: int = ES256) -> Authenticator:
    """Return an authenticator with one passkey."""
    authenticator = Authenticator(algorithm=algorithm)
    options = OPTIONS | {
        "rp": {"id": RP_ID},
        "user": {"id": b64url(bytes(16))},
        "pubKeyCredParams": [{"alg": algorithm}],
    }
    authenticator.create(options, ORIGIN)
    return authenticator


HOLDERS = {algorithm: held(algorithm) for algorithm in ALGORITHMS}
HOLDER = HOLDERS[ES256]


def jwk_of(credential: Credential[Any]) -> dict[str, str]:
    """Return a passkey's key, as its enrolment certificate would name it."""
    key = credential.private.public_key()
    match credential.private:
        case Ed25519PrivateKey():
            return {"kty": "OKP", "crv": "Ed25519", "x": b64url(key.public_bytes_raw())}
        case _ if hasattr(key.public_numbers(), "n"):
            n = key.public_numbers().n
            return {"kty": "RSA", "n": b64url(n.to_bytes(n.bit_length() // 8)), "e": "AQAB"}
    return public_jwk(credential.private)


JWKS = {algorithm: jwk_of(holder.credentials[0]) for algorithm, holder in HOLDERS.items()}


def asserted(misbehaviour: Misbehaviour = HONEST, *, algorithm: int = ES256) -> Assertion:
    """Return what an authenticator asserts."""
    answer = HOLDERS[algorithm].get(OPTIONS, ORIGIN, misbehaviour=misbehaviour)["response"]
    return Assertion.model_validate({name: answer[name] for name in Assertion.model_fields})


def signed(data: bytes, told: bytes, *, algorithm: int = ES256) -> Assertion:
    """Return any authenticator data and client data, well signed by the passkey."""
    private = HOLDERS[algorithm].credentials[0].private
    return Assertion(
        authenticatorData=b64url(data),
        clientDataJSON=b64url(told),
        signature=b64url(sign(data + sha256(told).digest(), private)),
    )


def told(**members: Any) -> bytes:
    """Return client data, some members replaced or added."""
    own = {
        "type": "webauthn.get",
        "challenge": b64url(CHALLENGE),
        "origin": ORIGIN,
        "crossOrigin": False,
    }
    return json.dumps(own | members, separators=(",", ":")).encode()


def data(flags: int = UP | UV, *, count: int = 1, rest: bytes = b"") -> bytes:
    """Return authenticator data."""
    return sha256(RP_ID.encode()).digest() + bytes([flags]) + count.to_bytes(4) + rest


def verify(assertion: Assertion, jwk: dict[str, str] = JWKS[ES256]) -> AssertedFlags:
    """Verify without the library."""
    return assertions.verify(
        assertion,
        jwk=jwk,
        expected_challenge=CHALLENGE,
        expected_origin=ORIGIN,
        expected_rp_id=RP_ID,
    )


def refuse(assertion: Assertion, why: str, jwk: dict[str, str] = JWKS[ES256]) -> None:
    """Demand that an assertion is refused for one reason alone."""
    with pytest.raises(EvidenceError, match=f"^{why}$"):
        verify(assertion, jwk)


def we_accept(assertion: Assertion, *, algorithm: int = ES256) -> bool:
    """Whether the pure verification accepts."""
    try:
        verify(assertion, JWKS[algorithm])
    except EvidenceError:
        return False
    return True


def they_accept(assertion: Assertion, *, algorithm: int = ES256) -> bool:
    """Whether py_webauthn accepts, as strict as it can be."""
    credential = HOLDERS[algorithm].credentials[0]
    id_ = b64url(credential.id)
    response = assertion.model_dump()
    try:
        verify_authentication_response(
            credential={"id": id_, "rawId": id_, "type": "public-key", "response": response},
            expected_challenge=CHALLENGE,
            expected_rp_id=RP_ID,
            expected_origin=ORIGIN,
            credential_public_key=cose_key(credential.private),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 its parsers raise more than they document
        return False
    return True


# ---- what is accepted ---------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_genuine_assertion(algorithm: int) -> None:
    """Each algorithm, here and in the library."""
    assertion = asserted(algorithm=algorithm)
    assert we_accept(assertion, algorithm=algorithm)
    assert they_accept(assertion, algorithm=algorithm)


@pytest.mark.parametrize("flags", [0, BE, BE | BS])
def test_what_the_authenticator_reports(flags: int) -> None:
    """Its flags and its counter, up to the largest."""
    reported = verify(signed(data(UP | UV | flags, count=2**32 - 1), told()))
    assert reported == AssertedFlags(
        backup_eligible=bool(flags & BE), backed_up=bool(flags & BS), sign_count=2**32 - 1
    )


def test_what_nobody_asked_for_is_ignored() -> None:
    """Further members of the client data, reserved flags, and extensions decide nothing."""
    verify(signed(data(UP | UV | 0x22), told(extraData="more")))
    verify(signed(data(UP | UV | ED, rest=MAP), told()))


def test_cross_origin_may_be_left_out() -> None:
    """Older browsers do not say it."""
    members = json.loads(told())
    del members["crossOrigin"]
    verify(signed(data(), json.dumps(members).encode()))


# ---- section 7.2, steps 8 to 18: well signed, and wrong -----------------------------------------


WRONG_TOLD = {
    "another type": (told(type="webauthn.create"), "another ceremony"),
    "a payment": (told(type="payment.get"), "another ceremony"),
    "another challenge": (told(challenge=b64url(bytes(32))), "another challenge"),
    "a challenge cut short": (told(challenge=b64url(CHALLENGE[:-1])), "another challenge"),
    "a padded challenge": (told(challenge=b64url(CHALLENGE) + "="), "another challenge"),
    "another origin": (told(origin="https://evil.example"), "another origin"),
    "another port": (told(origin=ORIGIN + ":8443"), "another origin"),
    "a trailing slash": (told(origin=ORIGIN + "/"), "another origin"),
    "upper case": (told(origin=ORIGIN.upper()), "another origin"),
    "cross-origin": (told(crossOrigin=True), "ceremony in a frame of another origin"),
    "cross-origin unclear": (told(crossOrigin="false"), "ceremony in a frame of another origin"),
    "zero for false": (told(crossOrigin=0), "ceremony in a frame of another origin"),
    "framed": (told(topOrigin=ORIGIN), "ceremony in a frame of another origin"),
    "framed by nobody": (told(topOrigin=None), "ceremony in a frame of another origin"),
    "no type": (told(type=None), "client data lacks a member"),
    "a number": (told(challenge=1), "client data lacks a member"),
    "a list of origins": (told(origin=[ORIGIN]), "client data lacks a member"),
    "no object": (b"[]", "client data is not an object"),
    "nothing": (b"", "client data is not JSON"),
    "twice": (told()[:-1] + b',"type":"webauthn.get"}', "client data is not JSON"),
    "with a mark": (b"\xef\xbb\xbf" + told(), "client data is not JSON"),
    "in UTF-16": (told().decode().encode("utf-16"), "client data is not JSON"),
    "with a tail": (told() + b"x", "client data is not JSON"),
}
WRONG_DATA = {
    "empty": (b"", "authenticator data is too short"),
    "36 bytes": (data()[:-1], "authenticator data is too short"),
    "38 bytes": (data(rest=MAP), "authenticator data has another shape"),
    "no extensions": (data(UP | UV | ED), "authenticator data has another shape"),
    "a key": (data(UP | UV | AT, rest=bytes(18)), "authenticator data has another shape"),
    "a key and extensions": (
        data(UP | UV | AT | ED, rest=bytes(18) + MAP),
        "authenticator data has another shape",
    ),
    "another relying party": (bytes(32) + data()[32:], "another relying party"),
    "user absent": (data(UV), "user not present"),
    "user not verified": (data(UP), "user not verified"),
    "backed up only": (data(UP | UV | BS), "backed up and not eligible for it"),
}


@pytest.mark.parametrize(("raw", "why"), WRONG_TOLD.values(), ids=WRONG_TOLD)
def test_wrong_client_data_is_refused(raw: bytes, why: str) -> None:
    """However well it is signed."""
    refuse(signed(data(), raw), why)


@pytest.mark.parametrize(("raw", "why"), WRONG_DATA.values(), ids=WRONG_DATA)
def test_wrong_authenticator_data_is_refused(raw: bytes, why: str) -> None:
    """However well it is signed."""
    refuse(signed(raw, told()), why)


@pytest.mark.parametrize("member", Assertion.model_fields)
def test_a_second_spelling_is_refused(member: str) -> None:
    """Padded base64url is another text for the same bytes."""
    genuine = asserted()
    padded = getattr(genuine, member) + "="
    with pytest.raises(EvidenceError, match="base64url"):
        verify(genuine.model_copy(update={member: padded}))


# ---- step 21: the signature ---------------------------------------------------------------------


def test_another_passkey_is_refused() -> None:
    """Its own key alone signs for a passkey."""
    refuse(asserted(Misbehaviour(signed_by=new_key())), "passkey signature")
    refuse(asserted(), "passkey signature", public_jwk(new_key()))


@pytest.mark.parametrize("signer", ALGORITHMS)
@pytest.mark.parametrize("reader", ALGORITHMS)
def test_algorithms_are_not_confused(signer: int, reader: int) -> None:
    """The type of the trusted key decides how a signature is read."""
    if signer != reader:
        refuse(asserted(algorithm=signer), "passkey signature", JWKS[reader])


def test_a_raw_signature_is_no_der() -> None:
    """Section 6.5.5: ECDSA in DER; R and S side by side are a JWS's."""
    refuse(asserted().model_copy(update={"signature": b64url(bytes(64))}), "passkey signature")
    refuse(asserted().model_copy(update={"signature": ""}), "passkey signature")


EC, OKP, RSA = (JWKS[algorithm] for algorithm in ALGORITHMS)
MEMBERS = "passkey key members"
WRONG_KEYS: dict[str, tuple[dict[str, str], str]] = {
    "no key": ({}, MEMBERS),
    "symmetric": ({"kty": "oct", "k": "AAAA"}, MEMBERS),
    "private": (private_jwk(new_key()), MEMBERS),
    "with an algorithm": (EC | {"alg": "ES256"}, MEMBERS),
    "with a name": (OKP | {"kid": "x"}, MEMBERS),
    "P-384": (EC | {"crv": "P-384"}, "JWK is not a P-256 key"),
    "off the curve": (EC | {"y": b64url(bytes(31) + b"\x01")}, "JWK is not a point of the curve"),
    "Ed448": (OKP | {"crv": "Ed448"}, "passkey key is not of Ed25519"),
    "X25519": (OKP | {"crv": "X25519"}, "passkey key is not of Ed25519"),
    "short": (OKP | {"x": b64url(bytes(31))}, "passkey key is not of Ed25519"),
    "exponent 3": (RSA | {"e": "Aw"}, "passkey key is too weak or too long"),
    "exponent 1": (RSA | {"e": "AQ"}, "passkey key is too weak or too long"),
    "2,047 bits": (
        RSA | {"n": b64url(b"\x7f" + bytes([255]) * 255)},
        "passkey key is too weak or too long",
    ),
    "4,097 bits": (
        RSA | {"n": b64url(b"\x01" + bytes([255]) * 512)},
        "passkey key is too weak or too long",
    ),
    "a leading zero": (
        RSA | {"n": b64url(b"\x00" + b64url_decode(RSA["n"]))},
        "passkey key has leading zeros",
    ),
    "a long exponent": (RSA | {"e": "AAEAAQ"}, "passkey key has leading zeros"),
}


@pytest.mark.parametrize(("jwk", "why"), WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_key_of_another_kind_is_refused(jwk: dict[str, str], why: str) -> None:
    """Unknown, private, weak, or with a member that could choose an algorithm."""
    refuse(asserted(), why, jwk)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_read_as_it_was_made(algorithm: int) -> None:
    """The JWK names the very key."""
    key = HOLDERS[algorithm].credentials[0].private.public_key()
    assert passkey_keys.from_jwk(JWKS[algorithm]) == key


# ---- against py_webauthn ------------------------------------------------------------------------


GENUINE = {algorithm: asserted(algorithm=algorithm) for algorithm in ALGORITHMS}


@given(
    st.sampled_from(ALGORITHMS),
    st.sampled_from(list(Assertion.model_fields)),
    st.integers(0),
    st.integers(1, 255),
)
def test_any_byte_flipped_after_signing(algorithm: int, member: str, at: int, mask: int) -> None:
    """Both refuse, whichever byte of whichever part it is."""
    raw = bytearray(b64url_decode(getattr(GENUINE[algorithm], member)))
    raw[at % len(raw)] ^= mask
    flipped = GENUINE[algorithm].model_copy(update={member: b64url(bytes(raw))})
    assert not we_accept(flipped, algorithm=algorithm)
    assert not they_accept(flipped, algorithm=algorithm)


@given(st.integers(0, len(data()) - 1), st.integers(0, 255))
@example(32, 0)
def test_any_byte_of_the_data_exchanged_before_signing(at: int, byte: int) -> None:
    """Well signed, the two verdicts are the same."""
    raw = bytearray(data())
    raw[at] = byte
    assertion = signed(bytes(raw), told())
    assert we_accept(assertion) == they_accept(assertion)


@given(st.integers(0, len(told()) - 1), st.integers(0, 255))
def test_any_byte_of_the_client_data_exchanged_before_signing(at: int, byte: int) -> None:
    """Well signed, what we accept they accept; they accept more, and each such case is named."""
    raw = bytearray(told())
    raw[at] = byte
    assertion = signed(data(), bytes(raw))
    if they_accept(assertion) != we_accept(assertion):
        assert not we_accept(assertion)
        with pytest.raises(EvidenceError) as stricter:
            verify(assertion)
        # A member renamed or framed, or a challenge with stray bits: the library looks at neither.
        assert str(stricter.value) in {
            "ceremony in a frame of another origin",
            "another challenge",
        }


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_signed_bytes(raw_data: bytes, raw_told: bytes) -> None:
    """Random bytes, well signed, are nothing to either."""
    assertion = signed(raw_data, raw_told)
    assert not we_accept(assertion)
    assert not they_accept(assertion)


@given(st.binary())
def test_any_bytes_as_client_data(raw: bytes) -> None:
    """Whatever it is, it is read or refused: nothing else is raised."""
    try:
        client_data.parse(raw)
    except EvidenceError:
        return
