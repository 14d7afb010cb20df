"""P-256 keys: points of the curve, public, and named by their thumbprint."""

import json
from pathlib import Path
from typing import Any

import pytest

from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey, TrustedKeys
from tests.support import jws
from tests.unit.evidence.genuine import KEY, PUBLIC, STRANGER, TRUSTED

RFC9449: dict[str, Any] = json.loads(Path("tests/vectors/rfc9449.json").read_text())
JOSE = {v["id"]: v for v in json.loads(Path("tests/vectors/jose.json").read_text())["vectors"]}
GOOD = jws.public_jwk(KEY)
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
"""The field of P-256 (SEC 2 section 2.4.2)."""


def coordinate(number: int, length: int = 32) -> str:
    """Return a coordinate as JWK member."""
    return jws.b64url(number.to_bytes(length))


def test_the_thumbprints_of_the_rfcs() -> None:
    """A thumbprint is that of RFC 7638, whatever the order and number of the JWK's members."""
    assert PublicKey.from_jwk(RFC9449["jwk"]).thumbprint == RFC9449["jkt"]
    more = {"use": "sig", "alg": "ES256", "kid": "a", **RFC9449["jwk"]}
    assert PublicKey.from_jwk(more).thumbprint == RFC9449["jkt"]
    example = JOSE["RFC7515-A.3"]
    assert PublicKey.from_jwk(example["jwk"]).thumbprint == example["thumbprint_sha256"]


def test_a_jwk_survives() -> None:
    """The key of a JWK gives the same JWK, of the required members alone."""
    assert PublicKey.from_jwk(GOOD | {"use": "sig"}).to_jwk() == GOOD


@pytest.mark.parametrize("leading", ["x", "y"])
def test_a_coordinate_with_a_leading_zero_keeps_its_length(leading: str) -> None:
    """RFC 7518 section 6.2.1.2: a coordinate has 32 bytes, leading zeros included."""
    while True:
        jwk = jws.public_jwk(jws.new_key())
        if jws.b64url_decode(jwk[leading])[0] == 0:
            break
    assert PublicKey.from_jwk(jwk).to_jwk() == jwk
    short = jws.b64url(jws.b64url_decode(jwk[leading])[1:])
    with pytest.raises(EvidenceError, match="length"):
        PublicKey.from_jwk(jwk | {leading: short})


def test_a_private_key_is_refused() -> None:
    """RFC 9449 section 4.3, check 7: whoever shows `d` has given the key away."""
    with pytest.raises(EvidenceError, match="private"):
        PublicKey.from_jwk(jws.private_jwk(KEY))


@pytest.mark.parametrize("d", ["", None, 0, []])
def test_even_an_empty_private_member_is_refused(d: object) -> None:
    """`d` is refused by its presence, whatever is in it."""
    with pytest.raises(EvidenceError, match="private"):
        PublicKey.from_jwk(GOOD | {"d": d})


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (0, 0),
        (1, 1),
        (PRIME - 1, PRIME - 1),
        (PRIME, PRIME),
        (2**256 - 1, 2**256 - 1),
    ],
)
def test_a_point_off_the_curve_is_refused(x: int, y: int) -> None:
    """An invalid point, such as infinity's usual spelling, is no key."""
    with pytest.raises(EvidenceError, match="not a point"):
        PublicKey.from_jwk(GOOD | {"x": coordinate(x), "y": coordinate(y)})


def test_a_point_with_one_bit_flipped_is_refused() -> None:
    """A neighbour of a point is not on the curve."""
    y = int.from_bytes(jws.b64url_decode(GOOD["y"])) ^ 1
    with pytest.raises(EvidenceError, match="not a point"):
        PublicKey.from_jwk(GOOD | {"y": coordinate(y)})


def test_a_coordinate_that_is_not_reduced_makes_no_second_key() -> None:
    """A thumbprint is made of the key, not of its text: a coordinate plus the field is no alias."""
    # (0, sqrt(b)) is a point of P-256: one of the few whose x has two 32-byte spellings.
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    y = coordinate(pow(b, (PRIME + 1) // 4, PRIME))
    reduced = PublicKey.from_jwk(GOOD | {"x": coordinate(0), "y": y})
    unreduced = PublicKey.from_jwk(GOOD | {"x": coordinate(PRIME), "y": y})
    assert unreduced.thumbprint == reduced.thumbprint
    assert unreduced.to_jwk() == reduced.to_jwk()


@pytest.mark.parametrize(
    "change",
    [
        {"crv": "P-384"},
        {"crv": "P-521"},
        {"crv": "secp256k1"},
        {"crv": "Ed25519"},
        {"crv": "p-256"},
        {"crv": ["P-256"]},
        {"crv": None},
        {"kty": "OKP"},
        {"kty": "RSA"},
        {"kty": "oct"},
        {"kty": "ec"},
        {"kty": None},
    ],
)
def test_another_kind_of_key_is_refused(change: dict[str, object]) -> None:
    """Only EC on P-256, spelled so."""
    with pytest.raises(EvidenceError, match="not a P-256 key"):
        PublicKey.from_jwk(GOOD | change)


@pytest.mark.parametrize("member", ["kty", "crv", "x", "y"])
def test_an_absent_member_is_refused(member: str) -> None:
    """All four members are required."""
    with pytest.raises(EvidenceError):
        PublicKey.from_jwk({name: text for name, text in GOOD.items() if name != member})


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
@pytest.mark.parametrize("member", ["x", "y"])
def test_a_coordinate_of_another_length_is_refused(member: str, length: int) -> None:
    """A coordinate is 32 bytes: neither shortened nor padded."""
    raw = jws.b64url_decode(GOOD[member]).rjust(length, b"\0")[:length]
    with pytest.raises(EvidenceError, match="length"):
        PublicKey.from_jwk(GOOD | {member: jws.b64url(raw)})


@pytest.mark.parametrize("value", [None, 1, True, [], {}, b"x"])
@pytest.mark.parametrize("member", ["x", "y"])
def test_a_coordinate_that_is_no_text_is_refused(member: str, value: object) -> None:
    """Coordinates are strings."""
    with pytest.raises(EvidenceError, match="no point"):
        PublicKey.from_jwk(GOOD | {member: value})


@pytest.mark.parametrize("text", ["é" * 43, GOOD["x"] + "=", GOOD["x"][:-1] + "+", "A" * 42 + "B"])
def test_a_coordinate_in_another_spelling_is_refused(text: str) -> None:
    """Coordinates are canonical base64url."""
    with pytest.raises(EvidenceError, match="base64url"):
        PublicKey.from_jwk(GOOD | {"x": text})


@pytest.mark.parametrize("jwk", [None, "", "P-256", 1, [], [GOOD], {}])
def test_what_is_no_jwk_is_refused(jwk: object) -> None:
    """A JWK is an object."""
    with pytest.raises(EvidenceError, match="not a P-256 key"):
        PublicKey.from_jwk(jwk)


def test_a_trusted_key_is_found_by_its_name() -> None:
    """The `kid` of a trusted key is its thumbprint."""
    assert TRUSTED.named(PUBLIC.thumbprint) is PUBLIC
    assert list(TRUSTED) == [PUBLIC]


@pytest.mark.parametrize(
    "kid",
    [
        None,
        "",
        1,
        [],
        {},
        PUBLIC.thumbprint.lower(),
        PUBLIC.thumbprint[:-1],
        PUBLIC.thumbprint + " ",
        [PUBLIC.thumbprint],
        PublicKey.of(STRANGER.public_key()).thumbprint,
    ],
)
def test_an_unknown_name_is_refused(kid: object) -> None:
    """There is no default key: an absent or other `kid` is refused."""
    with pytest.raises(EvidenceError, match="unknown kid"):
        TRUSTED.named(kid)


def test_nothing_is_trusted_by_default() -> None:
    """A set without keys names none."""
    with pytest.raises(EvidenceError, match="unknown kid"):
        TrustedKeys().named(PUBLIC.thumbprint)


def test_two_keys_can_be_trusted_at_once() -> None:
    """While keys rotate, both are found, each by its own name."""
    other = PublicKey.of(STRANGER.public_key())
    both = TrustedKeys(PUBLIC, other)
    assert both.named(PUBLIC.thumbprint) is PUBLIC
    assert both.named(other.thumbprint) is other
