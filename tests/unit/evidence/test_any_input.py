"""Whatever comes, verification accepts it or says EvidenceError: nothing else ever escapes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.evidence import (
    access_token,
    caller,
    claims,
    commands,
    dpop,
    encoding,
    orders,
    receipts,
)
from portcullis.evidence import jws as product
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.commands import Command
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.orders import Deposit, OpenWallet, Transfer
from portcullis.evidence.receipts import Receipt
from tests.support import jws
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import INTERNAL_ORIGIN, KEY, NOW, ORIGIN, PUBLIC, TRUSTED, USER

URL = ORIGIN + "/wallets"
PROOF = USER.proof("GET", URL, now=NOW)

TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(st.characters(codec=None), max_size=50),  # lone surrogates, too
    st.lists(st.binary(max_size=60).map(jws.b64url), max_size=5).map(".".join),
    st.lists(st.text(max_size=20), max_size=5).map(".".join),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec=None), max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)


def _token(text: str) -> object:
    return access_token.verify(text, keys=TRUSTED, expected_issuer=ORIGIN, now_s=NOW)


def _proof(text: str) -> object:
    return dpop.verify(text, expected_method="GET", expected_url=URL, access_token=None, now_s=NOW)


def _command(text: str) -> object:
    return commands.verify(
        commands.parse(text),
        key=PUBLIC,
        expected_issuer="money",
        expected_audience=INTERNAL_ORIGIN,
        expected_path="/postings",
        now_s=NOW,
    )


def _issuer(text: str) -> object:
    return commands.issuer(commands.parse(text))


def _receipt(text: str) -> object:
    return receipts.verify(text, keys=TRUSTED, expected_meaning="meaning-digest")


def _caller(text: str) -> object:
    return caller.verify(
        compact_token=text,
        compact_proof=text,
        keys=TRUSTED,
        expected_origin=ORIGIN,
        expected_method="GET",
        expected_path="/wallets",
        now_s=NOW,
    )


def _parsed(text: str) -> object:
    return product.parse(text, expected_typ="at+jwt", chars_max=4096)


READERS: list[Callable[[str], object]] = [
    _token,
    _proof,
    _command,
    _issuer,
    _receipt,
    _caller,
    _parsed,
    encoding.unb64url,
]
SIGNED: dict[str, tuple[Callable[[str], object], dict[str, object]]] = {
    "at+jwt": (_token, genuine.token_claims()),
    "dpop+jwt": (_proof, jws.claims_of(PROOF)),
    "portcullis-command+jwt": (_command, genuine.command_claims()),
    "portcullis-receipt+jwt": (_receipt, genuine.receipt_claims()),
}


def attempt(work: Callable[[], object]) -> None:
    """Let *work* succeed or refuse; any other exception fails the test."""
    try:
        work()
    except EvidenceError:
        return


def sign_bytes(header: bytes, payload: bytes) -> str:
    """Return a well-signed JWS over any bytes."""
    signing_input = f"{jws.b64url(header)}.{jws.b64url(payload)}"
    return f"{signing_input}.{jws.b64url(jws.signature(signing_input.encode(), KEY))}"


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: str(reader.__name__))
@given(text=TEXTS)
def test_any_text(reader: Callable[[str], object], text: str) -> None:
    """Any text at all, lone surrogates included."""
    attempt(lambda: reader(text))


@pytest.mark.parametrize("typ", SIGNED)
@given(payload=st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_well_signed_payload(typ: str, payload: bytes) -> None:
    """Any bytes and any JSON, under a trusted signature."""
    header = {"typ": typ, "alg": "ES256", "kid": PUBLIC.thumbprint, "jwk": jws.public_jwk(KEY)}
    compact = sign_bytes(json.dumps(header).encode(), payload)
    attempt(lambda: SIGNED[typ][0](compact))


@pytest.mark.parametrize("typ", SIGNED)
@given(data=st.data(), value=JSON)
def test_any_value_of_any_claim(typ: str, data: st.DataObject, value: object) -> None:
    """Any JSON as any one claim of otherwise genuine evidence."""
    read, own = SIGNED[typ]
    claim = data.draw(st.sampled_from(sorted(own)))
    header = {"typ": typ, "alg": "ES256", "kid": PUBLIC.thumbprint, "jwk": jws.public_jwk(KEY)}
    compact = sign_bytes(json.dumps(header).encode(), json.dumps(own | {claim: value}).encode())
    attempt(lambda: read(compact))


@pytest.mark.parametrize("typ", SIGNED)
@given(member=st.sampled_from(["kid", "jwk", "typ", "alg", "crit", "x"]), value=JSON)
def test_any_value_of_any_header_member(typ: str, member: str, value: object) -> None:
    """Any JSON as any one member of the header."""
    read, own = SIGNED[typ]
    header: dict[str, object] = {"typ": typ, "alg": "ES256", "kid": PUBLIC.thumbprint}
    header |= {"jwk": jws.public_jwk(KEY), member: value}
    compact = sign_bytes(json.dumps(header).encode(), json.dumps(own).encode())
    attempt(lambda: read(compact))


@given(url=TEXTS | TEXTS.map(lambda text: f"https://{text}") | TEXTS.map(ORIGIN.__add__))
def test_any_url_in_a_proof(url: str) -> None:
    """Any text as `htu`."""
    claims_of_proof = {"jti": "a", "htm": "GET", "htu": url, "iat": NOW}
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": jws.public_jwk(KEY)}
    compact = sign_bytes(json.dumps(header).encode(), json.dumps(claims_of_proof).encode())
    attempt(lambda: _proof(compact))


@given(
    JSON
    | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "d"]), JSON)
    | st.fixed_dictionaries(
        {"kty": st.just("EC"), "crv": st.just("P-256"), "x": TEXTS | JSON, "y": TEXTS | JSON}
    )
)
def test_any_jwk(jwk: object) -> None:
    """Any JSON as a key."""
    attempt(lambda: PublicKey.from_jwk(jwk))


@pytest.mark.parametrize("model", [AccessToken, Command, Receipt])
@given(payload=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_claims(model: Any, payload: bytes) -> None:
    """Any bytes as claims."""
    attempt(lambda: claims.read(payload, model))


@pytest.mark.parametrize("model", [OpenWallet, Transfer, Deposit])
@given(
    body=st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(["currency", "to_account", "account", "amount", "reference"]), JSON
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body(model: Any, body: bytes) -> None:
    """Any bytes as an order."""
    attempt(lambda: orders.read(body, model))


@given(st.binary(max_size=200))
def test_any_signature(signature: bytes) -> None:
    """Any bytes as a signature."""
    compact = f"{genuine.token().rpartition('.')[0]}.{jws.b64url(signature)}"
    attempt(lambda: _token(compact))
