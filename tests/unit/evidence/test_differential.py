"""Against joserfc: whatever we accept, an independent library accepts and reads alike."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from joserfc import jws as joserfc
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from portcullis.evidence import dpop
from portcullis.evidence import jws as product
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey
from tests.support import jws
from tests.support.dpop import ProofKey
from tests.unit.evidence.genuine import KEY, NOW, ORIGIN, PUBLIC, USER, signed

TYP = "test+jwt"
URL = ORIGIN + "/wallets"
REGISTRY = joserfc.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
THEIR_KEY = ECKey.import_key(KEY.public_key())

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
HEADER_MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "typ": st.sampled_from([TYP, "JWT", "at+jwt"]),
        "alg": st.sampled_from(["ES256", "none", "HS256", "ES384", "RS256"]),
        "kid": st.text(max_size=8),
        "cty": st.text(max_size=8),
        "jku": st.just("https://evil.example/keys"),
        # Not "b64": without "crit" RFC 7515 ignores it and RFC 7797 forbids it; joserfc refuses.
        "crit": st.sampled_from([["b64"], ["exp"]]),
        "x": JSON,
    },
)


def ours(compact: str) -> bytes | None:
    """Return the payload that we accept, or None."""
    try:
        parsed = product.parse(compact, expected_typ=TYP, chars_max=4096)
        product.verify(parsed, key=PUBLIC.key)
    except EvidenceError:
        return None
    return parsed.payload


def theirs(compact: str, key: ECKey = THEIR_KEY) -> bytes | None:
    """Return the payload that joserfc accepts, or None."""
    try:
        return joserfc.deserialize_compact(compact, key, registry=REGISTRY).payload
    except (JoseError, ValueError):
        return None


def agree(compact: str) -> None:
    """Demand that what we accept, the other library accepts with the same payload."""
    payload = ours(compact)
    assert payload is None or payload == theirs(compact)


@given(HEADER_MEMBERS, st.dictionaries(st.text(max_size=8), JSON, max_size=4))
@example({}, {})
def test_any_header_and_claims(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """Well signed, with whatever header and claims."""
    agree(jws.sign({"typ": TYP, "alg": "ES256"} | header, claims, KEY))


def test_both_accept_a_genuine_one() -> None:
    """The comparison is not empty: there is something that both accept."""
    compact = signed(TYP, {"a": 1})
    assert ours(compact) == theirs(compact) == b'{"a":1}'


GENUINE = signed(TYP, {"a": 1})
ALPHABET = st.sampled_from("AB_-=+/. \n,é") | st.characters()


@given(st.integers(0, len(GENUINE)), st.integers(0, 3), st.text(ALPHABET, max_size=3))
def test_any_few_characters_exchanged(at: int, removed: int, put: str) -> None:
    """Characters removed from, put into or exchanged in a genuine one."""
    agree(GENUINE[:at] + put + GENUINE[at + removed :])


@given(st.binary(min_size=60, max_size=72))
def test_any_signature(signature: bytes) -> None:
    """Any bytes as signature."""
    agree(f"{GENUINE.rpartition('.')[0]}.{jws.b64url(signature)}")


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_signed_bytes(header: bytes, payload: bytes) -> None:
    """A good signature over any bytes at all."""
    signing_input = f"{jws.b64url(header)}.{jws.b64url(payload)}"
    signature = jws.signature(signing_input.encode(), KEY)
    agree(f"{signing_input}.{jws.b64url(signature)}")


def _jwk(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    jwk = change(dict(jws.public_jwk(USER.private)))
    try:
        key = PublicKey.from_jwk(jwk)
    except EvidenceError:
        return
    assert ECKey.import_key(jwk).thumbprint() == key.thumbprint


@given(
    st.sampled_from(["kty", "crv", "x", "y", "d", "kid", "more"]),
    JSON | st.sampled_from(["EC", "P-256", "P-384", "secp256k1"]),
)
def test_any_member_of_a_key_exchanged(member: str, value: object) -> None:
    """A key that we take, joserfc takes under the same thumbprint."""
    if member == "kid" and not isinstance(value, str):
        return  # joserfc checks the type of a member that we never read
    _jwk(lambda jwk: jwk | {member: value})


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
def test_any_point(x: int, y: int) -> None:
    """Any two numbers as coordinates."""
    _jwk(lambda jwk: jwk | {n: jws.b64url(v.to_bytes(32)) for n, v in (("x", x), ("y", y))})


@given(st.builds(ProofKey), st.integers(-70, 20), st.text(max_size=130))
def test_a_proof_that_we_accept_is_the_same_to_them(key: ProofKey, age: int, jti: str) -> None:
    """Signature, claims and thumbprint of a proof are read alike."""
    compact = key.proof("GET", URL, now=NOW - age, jti=jti)
    try:
        proof = dpop.verify(
            compact, expected_method="GET", expected_url=URL, access_token=None, now_s=NOW
        )
    except EvidenceError:
        return
    their_key = ECKey.import_key(dict(jws.header_of(compact)["jwk"]))  # type: ignore[call-overload]
    payload = theirs(compact, their_key)
    assert payload is not None
    claims = json.loads(payload)
    assert their_key.thumbprint() == proof.jkt
    assert (claims["jti"], claims["iat"]) == (proof.jti, proof.issued_at_s)
