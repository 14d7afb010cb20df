"""The JWS that the tests sign with: checked against the RFCs and an independent library."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey

from tests.support import jws

RFC7515_A3_D = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
RFC7515_A3_X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
RFC7515_A3_Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
RFC7515_A3_JWS = (
    "eyJhbGciOiJFUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
RFC9449_JWK = {
    "kty": "EC",
    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    "crv": "P-256",
}
RFC9449_JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

HEADER = {"alg": "ES256"}


def test_the_example_of_rfc_7515_verifies() -> None:
    """The signature of RFC 7515 appendix A.3 verifies under its key."""
    key = jws.public_key({"x": RFC7515_A3_X, "y": RFC7515_A3_Y})
    assert jws.verify(RFC7515_A3_JWS, key)["iss"] == "joe"


def test_the_example_key_of_rfc_7515_has_its_coordinates() -> None:
    """The JWK of a private key gives the coordinates that RFC 7515 appendix A.3 prints."""
    secret = int.from_bytes(jws.b64url_decode(RFC7515_A3_D))
    key = derive_private_key(secret, SECP256R1())
    expected = {"kty": "EC", "crv": "P-256", "x": RFC7515_A3_X, "y": RFC7515_A3_Y}
    assert jws.public_jwk(key) == expected
    assert jws.private_jwk(key) == expected | {"d": RFC7515_A3_D}


def test_the_thumbprint_of_rfc_9449() -> None:
    """The thumbprint does not depend on the order of members: RFC 9449 section 6.1."""
    assert jws.thumbprint(RFC9449_JWK) == RFC9449_JKT


def test_another_library_verifies_our_signature() -> None:
    """What we sign, joserfc verifies."""
    key = jws.new_key()
    token = jws.sign(HEADER, {"sub": "a"}, key)
    verified = joserfc_jws.deserialize_compact(token, ECKey.import_key(key.public_key()))
    assert verified.payload == b'{"sub":"a"}'


def test_a_signature_is_raw_and_of_fixed_length() -> None:
    """A signature is 64 bytes, whatever leading zeros R or S has."""
    key = jws.new_key()
    lengths = {len(jws.signature(bytes([n]), key)) for n in range(64)}
    assert lengths == {64}


def test_another_keys_signature_is_refused() -> None:
    """A JWS does not verify under a key that did not sign it."""
    token = jws.sign(HEADER, {"sub": "a"}, jws.new_key())
    with pytest.raises(InvalidSignature):
        jws.verify(token, jws.new_key().public_key())


def test_an_altered_jws_is_refused() -> None:
    """A claim changed after signing is seen, and the rest stays as it was."""
    key = jws.new_key()
    token = jws.altered(jws.sign(HEADER, {"sub": "a", "exp": 1}, key), sub="b")
    assert jws.claims_of(token) == {"sub": "b", "exp": 1}
    with pytest.raises(InvalidSignature):
        jws.verify(token, key.public_key())


def test_an_absent_member_is_left_out() -> None:
    """`ABSENT` leaves a member out; None stays a null."""
    token = jws.sign(HEADER, {"a": jws.ABSENT, "b": None}, jws.new_key())
    assert jws.claims_of(token) == {"b": None}


@pytest.mark.parametrize("text", ["AA==", "A", "AB", "A+", "A/A", "AA\n"])
def test_base64url_that_is_not_canonical_is_refused(text: str) -> None:
    """Padding, other alphabets, stray bits and white space are refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - both binascii.Error and ours are one.
        jws.b64url_decode(text)
