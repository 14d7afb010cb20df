"""The evidence that comes with a request: proof, caller, signed order, and reading on behalf."""

import time
from typing import Any

import pytest

from portcullis.aws import kms
from portcullis.edge.evidence import caller_of, on_behalf_of, proof_of, signer_of_order
from portcullis.edge.request import IdempotencyKeyRequiredError, Request
from portcullis.evidence.errors import (
    EvidenceError,
    EvidenceRefusedError,
    InvalidProofError,
    InvalidTokenError,
    OrderNotSignedError,
)
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.orders import Transfer
from tests.support import jws
from tests.support.dpop import ProofKey, digest
from tests.support.events import JSON, Sent
from tests.unit.edge.route import parse
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import ACCOUNT, ORIGIN, OTHER_ACCOUNT, PUBLIC, STRANGER, USER

PATH = "/transfers"
URL = ORIGIN + PATH
BODY = b'{"to_account":"%s","amount":{"amount":"1.00","currency":"EUR"}}' % OTHER_ACCOUNT.encode()
ORDER_KEY = "order-1"


@pytest.fixture(autouse=True)
def product(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our origin, and the key that signs access tokens."""

    def public_key(_: str) -> PublicKey:
        return PUBLIC

    monkeypatch.setenv("PUBLIC_ORIGIN", ORIGIN)
    monkeypatch.setenv("ACCESS_TOKEN_KEYS", "access-token")
    monkeypatch.setattr(kms, "public_key", public_key)


def token(**changes: object) -> str:
    """Return an access token of now."""
    now = int(time.time())
    return genuine.token(**{"iat": now, "exp": now + 900, **changes})


def request(*headers: tuple[str, str], body: bytes = BODY, method: str = "POST") -> Request[Any]:
    """Return a request for a transfer with these headers."""
    return parse(
        Sent(method=method, path=PATH, headers=(*JSON, *headers), body=body), body=Transfer
    )


def ordered(*, idempotency_key: str | None = ORDER_KEY, **claims: Any) -> Request[Any]:
    """Return a well-authenticated order; claims of its proof replaced or dropped."""
    access = token()
    proof = USER.proof(
        "POST", URL, access_token=access, body=BODY, idempotency_key=ORDER_KEY, **claims
    )
    headers = [("Authorization", f"DPoP {access}"), ("DPoP", proof)]
    if idempotency_key is not None:
        headers.append(("Idempotency-Key", idempotency_key))
    return request(*headers)


# ---- a proof alone ------------------------------------------------------------------------------


def test_a_proof_without_a_token_shows_its_key() -> None:
    """On routes without a token the proof alone says who asks."""
    assert proof_of(request(("DPoP", USER.proof("POST", URL)))).jkt == USER.jkt


@pytest.mark.parametrize(
    "proof",
    [
        None,
        "",
        "x",
        USER.proof("GET", URL),
        USER.proof("POST", ORIGIN + "/wallets"),
        USER.proof("POST", "https://evil.example/transfers"),
        USER.proof("POST", URL, now=1),
        genuine.token(),
    ],
    ids=["none", "empty", "no JWS", "method", "path", "origin", "old", "token"],
)
def test_a_request_without_its_proof_is_refused(proof: str | None) -> None:
    """None, another's, or another request's proof is `invalid-proof`."""
    with pytest.raises(InvalidProofError):
        proof_of(request(*([] if proof is None else [("DPoP", proof)])))


def test_the_host_header_does_not_say_who_we_are() -> None:
    """A proof for another host does not become ours by a Host header that says so."""
    proof = USER.proof("POST", "https://evil.example/transfers")
    with pytest.raises(InvalidProofError):
        proof_of(request(("DPoP", proof), ("Host", "evil.example")))


# ---- a caller -----------------------------------------------------------------------------------


def test_a_caller_is_verified_again() -> None:
    """Behind the gate, token and proof are verified once more."""
    access = token()
    proof = USER.proof("POST", URL, access_token=access)
    who = caller_of(request(("Authorization", f"DPoP {access}"), ("DPoP", proof)))
    assert who.account == ACCOUNT


@pytest.mark.parametrize(
    "scheme", ["Bearer ", "bearer ", "dpop ", "DPOP ", "Basic ", "", "DPoP", " DPoP ", "DPoP  "]
)
def test_another_scheme_is_refused(scheme: str) -> None:
    """RFC 9449 section 7.2: a bound token is nothing as a bearer token."""
    access = token()
    proof = USER.proof("POST", URL, access_token=access)
    with pytest.raises(InvalidTokenError):
        caller_of(request(("Authorization", scheme + access), ("DPoP", proof)))


def test_a_token_without_a_proof_is_refused() -> None:
    """RFC 9449 section 7.1: scheme DPoP without a proof authenticates nobody."""
    with pytest.raises(InvalidTokenError):
        caller_of(request(("Authorization", f"DPoP {token()}")))


def test_no_credentials_are_refused() -> None:
    """What API Gateway's authorizer context says is not asked."""
    with pytest.raises(InvalidTokenError):
        caller_of(request())


@pytest.mark.parametrize(
    "access",
    [
        token(exp=int(time.time()) - 1, iat=int(time.time()) - 900),
        token(cnf={"jkt": ProofKey().jkt}),
        token(aud="https://internal.example.test"),
        genuine.signed("at+jwt", genuine.token_claims(), key=STRANGER),
    ],
    ids=["expired", "another key's", "another audience", "forged"],
)
def test_a_bad_token_is_refused_with_the_check_as_cause(access: str) -> None:
    """The caller hears one text; our log hears which check it was."""
    proof = USER.proof("POST", URL, access_token=access)
    with pytest.raises(InvalidTokenError) as refused:
        caller_of(request(("Authorization", f"DPoP {access}"), ("DPoP", proof)))
    assert isinstance(refused.value.__cause__, EvidenceError)


# ---- a signed order -----------------------------------------------------------------------------


def test_a_signed_order_gives_its_signer_and_key() -> None:
    """Who signed this very body under this very key."""
    who, key = signer_of_order(ordered())
    assert (who.account, key) == (ACCOUNT, ORDER_KEY)


@pytest.mark.parametrize(
    "claims",
    [
        {"bd": jws.ABSENT},
        {"idk": jws.ABSENT},
        {"bd": jws.ABSENT, "idk": jws.ABSENT},
        {"bd": digest(b"")},
        {"bd": digest(BODY + b" ")},
        {"bd": digest(BODY).lower()},
        {"idk": "order-2"},
        {"idk": ""},
    ],
)
def test_an_order_that_the_proof_does_not_sign_is_refused(claims: dict[str, Any]) -> None:
    """400, without a challenge: a captured edge cannot make an order of a read's proof."""
    with pytest.raises(OrderNotSignedError):
        signer_of_order(ordered(**claims))


def test_another_key_in_the_header_than_in_the_proof_is_refused() -> None:
    """Who changes the header changes the order."""
    with pytest.raises(OrderNotSignedError):
        signer_of_order(ordered(idempotency_key="order-2"))


@pytest.mark.parametrize("key", [None, "", " ", "a b", "x" * 65])
def test_an_order_without_a_usable_key_is_refused(key: str | None) -> None:
    """The key is asked for before the signature over it is judged."""
    with pytest.raises(IdempotencyKeyRequiredError):
        signer_of_order(ordered(idempotency_key=key))


def test_a_bad_token_is_told_before_a_bad_order() -> None:
    """A stranger learns nothing of orders."""
    with pytest.raises(InvalidTokenError):
        signer_of_order(request(("Idempotency-Key", ORDER_KEY)))


# ---- on behalf of a user ------------------------------------------------------------------------


def test_the_money_zone_reads_on_the_users_evidence() -> None:
    """Token and proof come in headers of their own, as the user sent them to the public path."""
    access = token()
    proof = USER.proof("POST", URL, access_token=access)
    who = on_behalf_of(request(("Portcullis-Token", access), ("Portcullis-Proof", proof)))
    assert who.account == ACCOUNT


@pytest.mark.parametrize("missing", ["Portcullis-Token", "Portcullis-Proof"])
def test_half_of_the_evidence_is_refused(missing: str) -> None:
    """Token without proof, or proof without token, is 403: a session is the gate's to judge."""
    access = token()
    evidence = {
        "Portcullis-Token": access,
        "Portcullis-Proof": USER.proof("POST", URL, access_token=access),
    }
    with pytest.raises(EvidenceRefusedError):
        on_behalf_of(request(*((n, v) for n, v in evidence.items() if n != missing)))


def test_the_senders_own_authorization_is_no_users_evidence() -> None:
    """The headers of the public API are not read on the internal one."""
    access = token()
    proof = USER.proof("POST", URL, access_token=access)
    with pytest.raises(EvidenceRefusedError):
        on_behalf_of(request(("Authorization", f"DPoP {access}"), ("DPoP", proof)))


def test_a_proof_for_another_path_reads_nothing_here() -> None:
    """A proof for one list does not open another."""
    access = token()
    proof = USER.proof("POST", ORIGIN + "/wallets", access_token=access)
    with pytest.raises(EvidenceRefusedError):
        on_behalf_of(request(("Portcullis-Token", access), ("Portcullis-Proof", proof)))
