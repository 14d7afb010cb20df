"""Compact JWS: one algorithm, one spelling, and nothing that a second reader may see otherwise."""

import json
import string
from pathlib import Path
from typing import Any

import pytest

from portcullis.evidence import jws as product
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey
from tests.support import jws
from tests.unit.evidence.genuine import KEY, PUBLIC, STRANGER, signed

TYP = "test+jwt"
CHARS_MAX = 4096
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256 (SEC 2 section 2.4.2): R and S lie between 1 and one below it."""

BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"

VECTORS: dict[str, dict[str, Any]] = {
    vector["id"]: vector
    for vector in json.loads(Path("tests/vectors/jose.json").read_text())["vectors"]
}


def accepts(compact: str, *, typ: str = TYP, key: PublicKey = PUBLIC) -> bytes:
    """Return the payload of a JWS that parses and verifies."""
    parsed = product.parse(compact, expected_typ=typ, chars_max=CHARS_MAX)
    assert product.verify(parsed, key=key.key)
    return parsed.payload


def refuses(compact: str, why: str) -> None:
    """Demand that a JWS is refused for one reason and no other."""
    with pytest.raises(EvidenceError, match=why):
        accepts(compact)


def raw_signed(header: bytes, payload: bytes = b"{}") -> str:
    """Return a JWS over a header and payload that no JSON writer would make."""
    signing_input = f"{jws.b64url(header)}.{jws.b64url(payload)}"
    return f"{signing_input}.{jws.b64url(jws.signature(signing_input.encode(), KEY))}"


def with_signature(signature: bytes) -> str:
    """Return a good JWS with another signature."""
    return f"{signed(TYP, {}).rpartition('.')[0]}.{jws.b64url(signature)}"


def test_a_genuine_one_is_accepted() -> None:
    """What the key signed verifies and gives the payload."""
    assert accepts(signed(TYP, {"a": 1})) == b'{"a":1}'


def test_the_signature_of_rfc_7515() -> None:
    """The signature of RFC 7515 appendix A.3 verifies under its key."""
    vector = VECTORS["RFC7515-A.3"]
    header, payload, signature = vector["jws"].split(".")
    parsed = product.Jws(
        header={},
        payload=b"",
        signing_input=f"{header}.{payload}".encode(),
        signature=jws.b64url_decode(signature),
    )
    assert product.verify(parsed, key=PublicKey.from_jwk(vector["jwk"]).key)


@pytest.mark.parametrize("vector", VECTORS.values(), ids=lambda vector: str(vector["id"]))
def test_the_examples_of_the_rfcs_are_no_evidence(vector: dict[str, Any]) -> None:
    """A genuine JWS without one of our types is refused, of whatever algorithm."""
    refuses(vector["jws"], "JWS is of another type")


def test_the_product_signs_what_it_reads() -> None:
    """The zone's own signing input with a signature is a JWS that it accepts."""
    header = {"typ": TYP, "alg": "ES256", "kid": PUBLIC.thumbprint}
    signing_input = product.signing_input(header, {"a": "é"})
    compact = product.assemble(signing_input, jws.signature(signing_input.encode(), KEY))
    assert json.loads(accepts(compact)) == {"a": "é"}


@pytest.mark.parametrize("parts", [0, 1, 2, 4, 5])
def test_another_number_of_parts_is_refused(parts: int) -> None:
    """Fewer or more than three parts are no compact JWS (RFC 7515 section 7.1)."""
    pieces = [*signed(TYP, {}).split("."), jws.b64url(b"{}"), ""]
    refuses(".".join(pieces[:parts]), "three parts")


@pytest.mark.parametrize(
    "tail", ["=", "==", " ", "\n", "\x00", "A", "AA", ",", ", x", "é", "\N{ZERO WIDTH SPACE}"]
)
def test_trailing_garbage_is_refused(tail: str) -> None:
    """Nothing may follow the signature."""
    refuses(signed(TYP, {}) + tail, "base64url|length")


@pytest.mark.parametrize("head", [" ", "\n", "\ufeff", "=", "DPoP "])
def test_leading_garbage_is_refused(head: str) -> None:
    """Nothing may come before the header."""
    refuses(head + signed(TYP, {}), "base64url|JSON")


def test_two_joined_by_a_comma_are_refused() -> None:
    """Two header lines that a proxy joined are not one JWS."""
    one = signed(TYP, {})
    refuses(f"{one},{one}", "three parts")


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("spelling", ["padded", "other alphabet", "non-ASCII", "stray bits"])
def test_a_part_that_is_not_canonical_is_refused(part: int, spelling: str) -> None:
    """Each part has one spelling, even where the signature would verify over another."""
    parts = [jws.b64url(b'{"typ":"test+jwt","alg":"ES256"}'), jws.b64url(b'{"a":"12"}'), ""]
    parts[2] = jws.b64url(jws.signature(".".join(parts[:2]).encode(), KEY))
    accepts(".".join(parts))
    match spelling:
        case "padded":
            parts[part] += "="
        case "other alphabet":
            parts[part] = "+" + parts[part][1:]
        case "non-ASCII":
            parts[part] = "é" + parts[part][1:]
        case "stray bits":
            last = BASE64URL[BASE64URL.index(parts[part][-1]) + 1]
            parts[part] = parts[part][:-1] + last
    if part < 2:
        parts[2] = jws.b64url(jws.signature(".".join(parts[:2]).encode(), KEY))
    refuses(".".join(parts), "base64url")


@pytest.mark.parametrize(
    "alg", ["none", "None", "", "HS256", "RS256", "PS256", "ES384", "ES256K", "es256", "EdDSA"]
)
def test_another_algorithm_is_refused(alg: str) -> None:
    """A header that names another algorithm is refused, though the signature be ES256."""
    refuses(signed(TYP, {}, alg=alg), "algorithm")


@pytest.mark.parametrize("alg", [jws.ABSENT, None, 1, True, ["ES256"], {"ES256": 1}])
def test_an_algorithm_that_is_no_name_is_refused(alg: object) -> None:
    """`alg` must be there and be a string."""
    refuses(signed(TYP, {}, alg=alg), "algorithm")


def test_none_without_a_signature_is_refused() -> None:
    """RFC 8725 section 3.2: an unsecured JWS is nothing."""
    refuses(signed(TYP, {}, alg="none").rpartition(".")[0] + ".", "algorithm")


def test_a_stripped_signature_is_refused() -> None:
    """An empty signature under the right header is refused before any key is asked."""
    refuses(signed(TYP, {}).rpartition(".")[0] + ".", "signature length")


@pytest.mark.parametrize(
    "typ", [jws.ABSENT, None, "", "JWT", "TEST+JWT", "test+jwt ", "application/test+jwt", 1, []]
)
def test_another_type_is_refused(typ: object) -> None:
    """RFC 8725 section 3.11: `typ` is compared exactly, and an absent one is another one."""
    refuses(signed(typ, {}), "type")


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], None, "exp"])
def test_an_extension_that_must_be_understood_is_refused(crit: object) -> None:
    """RFC 7515 section 4.1.11: we understand no extension, so any `crit` is refused."""
    refuses(signed(TYP, {}, crit=crit, b64=False), "extension")


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 70, 72, 96, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    """R and S are 32 bytes each (RFC 7518 section 3.4); DER is another encoding."""
    refuses(with_signature(b"\x01" * length), "signature length")


@pytest.mark.parametrize(
    ("r", "s"),
    [(0, 0), (0, 1), (1, 0), (1, 1), (ORDER, 1), (1, ORDER), (ORDER, ORDER), (2**256 - 1,) * 2],
)
def test_a_signature_outside_the_group_is_refused(r: int, s: int) -> None:
    """Zero and numbers from the group's order on are no R and S (the "psychic" signature)."""
    refuses(with_signature(r.to_bytes(32) + s.to_bytes(32)), "JWS signature$")


def test_r_and_s_of_a_good_signature_are_not_taken_modulo_the_order() -> None:
    """A good signature with the group's order added to S, where that fits, is another one."""
    parsed = product.parse(signed(TYP, {}), expected_typ=TYP, chars_max=CHARS_MAX)
    s = int.from_bytes(parsed.signature[32:]) + ORDER
    raised = s.to_bytes(33)[-32:]
    refuses(with_signature(parsed.signature[:32] + raised), "JWS signature$")


def test_a_strangers_signature_is_refused() -> None:
    """A JWS that another key signed does not verify."""
    refuses(signed(TYP, {}, key=STRANGER), "JWS signature$")


@pytest.mark.parametrize("part", [0, 1])
def test_a_header_or_payload_changed_after_signing_is_refused(part: int) -> None:
    """The signature covers header and payload."""
    parts = signed(TYP, {"a": 1}).split(".")
    changed = json.loads(jws.b64url_decode(parts[part])) | {"extra": 1}
    parts[part] = jws.b64url(json.dumps(changed).encode())
    refuses(".".join(parts), "JWS signature$")


def test_the_signature_covers_the_dot_between_header_and_payload() -> None:
    """Moving bytes from the header to the payload is seen."""
    header, payload, signature = signed(TYP, {"a": 1}).split(".")
    refuses(f"{header[:-4]}.{header[-4:]}{payload}.{signature}", "JSON")


@pytest.mark.parametrize(
    "header",
    [
        b'{"typ":"test+jwt","alg":"ES256","alg":"ES256"}',
        b'{"alg":"none","typ":"test+jwt","alg":"ES256"}',
        b'{"typ":"dpop+jwt","typ":"test+jwt","alg":"ES256"}',
        b'{"typ":"test+jwt","alg":"ES256","kid":"a","\\u006bid":"b"}',
        b'{"typ":"test+jwt","alg":"ES256","jwk":{"x":1,"x":2}}',
        b'\xef\xbb\xbf{"typ":"test+jwt","alg":"ES256"}',
        b'{"typ":"test+jwt","alg":"ES256","x":NaN}',
        b'{"typ":"test+jwt","alg":"ES256","x":"\\ud800"}',
        b'{"typ":"test+jwt","alg":"ES256","x":"\xff"}',
        b'{"typ":"test+jwt","alg":"ES256","x":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"typ":"test+jwt","alg":"ES256",}',
        b'{"typ":"test+jwt","alg":"ES256"} {}',
        b"{'typ':'test+jwt','alg':'ES256'}",
        b"",
    ],
)
def test_a_header_that_two_parsers_may_read_differently_is_refused(header: bytes) -> None:
    """Duplicate names, at any depth and in any spelling, and all else that is not I-JSON."""
    refuses(raw_signed(header), "not JSON")


@pytest.mark.parametrize("header", [b"[]", b'"ES256"', b"null", b"1", b'[{"alg":"ES256"}]'])
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    """A header is a JSON object."""
    refuses(raw_signed(header), "not an object")


def test_one_character_more_than_allowed_is_refused() -> None:
    """The limit on characters is exact, and is checked before anything is decoded."""
    compact = signed(TYP, {"pad": "x" * 100})
    product.parse(compact, expected_typ=TYP, chars_max=len(compact))
    with pytest.raises(EvidenceError, match="too long"):
        product.parse(compact, expected_typ=TYP, chars_max=len(compact) - 1)


def test_a_huge_text_is_refused_unread() -> None:
    """Ten million characters cost no decoding."""
    refuses("A" * 10_000_000, "too long")


def test_no_part_of_the_evidence_is_in_the_refusal() -> None:
    """The message names the check in our words; nothing of the JWS is in it, nor in its causes."""
    secret = "canary-canary"
    for compact in (
        raw_signed(f'{{"{secret}"'.encode()),
        signed(secret, {}),
        signed(TYP, {"a": secret}, key=STRANGER),
        f"{secret}é.{secret}.{secret}",
    ):
        with pytest.raises(EvidenceError) as refused:
            accepts(compact)
        error: BaseException | None = refused.value
        while error is not None:
            assert secret not in str(error)
            error = error.__cause__
