"""The client of the public API says on the wire what its user ordered, and only that is forged."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.support import jws
from tests.support.authenticator import Authenticator, Credential
from tests.support.client import Client
from tests.support.dpop import Forgery, ProofKey, digest
from tests.support.jws import b64url
from tests.unit.support.conftest import Call, Door

TOKENS = {"access_token": "at.2", "token_type": "DPoP", "expires_in": 900, "refresh_token": "rt.2"}
SENT = {"to_account": "bob", "amount": {"amount": "1.00", "currency": "EUR"}}


def signed_in(door: Door) -> Client:
    """Return a client that holds tokens and a passkey."""
    held = Credential(rp_id="127.0.0.1", user_handle=b"alice")
    return Client(
        door.origin,
        authenticator=Authenticator(credentials=[held]),
        account="alice",
        access_token="at.1",
        refresh_token="rt.1",
    )


def proof_claims(call: Call) -> dict[str, Any]:
    """Return the claims of the call's proof, verified by the key it shows."""
    proof = call.header("DPoP") or ""
    jwk = jws.header_of(proof)["jwk"]
    assert isinstance(jwk, Mapping)
    return jws.verify(proof, jws.public_key(jwk))


def test_an_order_is_signed_whole(door: Door) -> None:
    """A transfer's proof covers method, URL, token, raw body and idempotency key."""
    signed_in(door).transfer("bob", "1.00", "EUR", "key-1")
    (call,) = door.calls
    claims = proof_claims(call)
    assert json.loads(call.body) == SENT
    assert call.header("Authorization") == "DPoP at.1"
    assert call.header("Idempotency-Key") == claims["idk"] == "key-1"
    assert (claims["htm"], claims["htu"]) == ("POST", f"{door.origin}/transfers")
    assert (claims["ath"], claims["bd"]) == (digest(b"at.1"), digest(call.body))


def test_a_query_is_not_part_of_the_proofs_url(door: Door) -> None:
    """RFC 9449 section 4.2: `htu` is the URL without query."""
    signed_in(door).statement("EUR", limit=2, cursor="c/1")
    (call,) = door.calls
    assert call.target == "/wallets/EUR/entries?limit=2&cursor=c%2F1"
    assert proof_claims(call)["htu"] == f"{door.origin}/wallets/EUR/entries"


def test_each_order_has_its_own_key(door: Door) -> None:
    """Two orders are two orders unless the caller says otherwise."""
    client = signed_in(door)
    client.open_wallet("EUR")
    client.open_wallet("EUR")
    first, second = (call.header("Idempotency-Key") for call in door.calls)
    assert first != second


def test_opening_an_account_uses_one_new_key(door: Door) -> None:
    """Both requests are proved by one new key, without a token; the account is remembered."""
    client = Client(door.origin)
    before = client.proof_key
    door.will_answer(
        200,
        publicKey={
            "rp": {"id": "127.0.0.1"},
            "user": {"id": b64url(b"alice")},
            "challenge": b64url(b"challenge"),
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        },
    )
    door.will_answer(201, account="alice")
    assert client.open_account().status == 201
    options, opened = door.calls
    keys = {str(jws.header_of(call.header("DPoP") or "")["jwk"]) for call in door.calls}
    assert keys == {str(jws.public_jwk(client.proof_key.private))}
    assert client.proof_key != before
    assert (options.target, opened.target) == ("/accounts/options", "/accounts")
    assert {call.header("Authorization") for call in door.calls} == {None}
    assert client.account == "alice"


def test_signing_in_remembers_tokens_of_a_new_key(door: Door) -> None:
    """Sign-in changes the key, and the tokens are remembered."""
    client = signed_in(door)
    before = client.proof_key
    door.will_answer(200, publicKey={"challenge": b64url(b"c"), "rpId": "127.0.0.1"})
    door.will_answer(200, **TOKENS)
    client.sign_in()
    assert client.proof_key != before
    assert (client.access_token, client.refresh_token) == ("at.2", "rt.2")
    assert "signature" in json.loads(door.calls[1].body)["credential"]["response"]


def test_a_refused_ceremony_stops(door: Door) -> None:
    """The first refusal is the reply, and nothing is sent after it."""
    door.will_answer(429)
    assert signed_in(door).sign_in().status == 429
    assert len(door.calls) == 1


def test_a_refresh_is_a_form_without_token(door: Door) -> None:
    """RFC 6749 section 6: the form, and a proof that is bound to no access token."""
    client = signed_in(door)
    door.will_answer(200, **TOKENS)
    client.refresh()
    (call,) = door.calls
    assert call.header("Content-Type") == "application/x-www-form-urlencoded"
    assert parse_qs(call.body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["rt.1"],
        "client_id": ["portcullis"],
    }
    assert call.header("Authorization") is None
    assert "ath" not in proof_claims(call)
    assert client.refresh_token == "rt.2"


def test_a_refused_refresh_changes_nothing(door: Door) -> None:
    """The client keeps its tokens when it is refused."""
    client = signed_in(door)
    door.will_answer(400, error="invalid_grant")
    assert client.refresh("spent").json["error"] == "invalid_grant"
    assert (client.access_token, client.refresh_token) == ("at.1", "rt.1")


def test_a_revocation_needs_no_proof(door: Door) -> None:
    """RFC 7009: the token alone is enough to end it."""
    client = signed_in(door)
    client.revoke()
    (call,) = door.calls
    assert parse_qs(call.body.decode()) == {"token": ["rt.1"], "token_type_hint": ["refresh_token"]}
    assert call.header("DPoP") is None


def test_a_thief_signs_with_a_key_of_his_own(door: Door) -> None:
    """Another key proves the request; the stolen token stays."""
    thief = ProofKey()
    signed_in(door).wallets(proof_key=thief)
    (call,) = door.calls
    jwk = jws.header_of(call.header("DPoP") or "")["jwk"]
    assert jwk == jws.public_jwk(thief.private)
    assert proof_claims(call)["ath"] == digest(b"at.1")


@pytest.mark.parametrize("name", ["DPoP", "Authorization"])
def test_credentials_can_be_left_out(door: Door, name: str) -> None:
    """None means: no such header."""
    client = signed_in(door)
    _ = client.wallets(proof=None) if name == "DPoP" else client.wallets(token=None)
    assert door.calls[0].header(name) is None


def test_the_last_nonce_is_in_the_next_proof(door: Door) -> None:
    """RFC 9449 section 8.2: whatever answer brought it; an answer without one changes nothing."""
    client = signed_in(door)
    door.will_answer(200)
    door.will_answer(409)
    door.nonces.extend(["n1", "n2"])
    for _ in range(4):
        client.wallets()
    assert [proof_claims(call).get("nonce") for call in door.calls] == [None, "n1", "n2", "n2"]


@pytest.mark.parametrize("status", [400, 401])
def test_a_nonce_challenge_is_taken_up_once(door: Door, status: int) -> None:
    """The same order under the same key, with a new proof that has the nonce; then no more."""
    challenge = {"type": "urn:portcullis:problem:use-dpop-nonce"}
    for nonce in ("n1", "n2"):
        door.will_answer(status, **challenge)
        door.nonces.append(nonce)
    reply = signed_in(door).transfer("bob", "1.00", "EUR", "key-1")
    first, second = (proof_claims(call) for call in door.calls)
    assert reply.status == status
    assert (first.get("nonce"), second["nonce"]) == (None, "n1")
    assert first["jti"] != second["jti"]
    assert first["idk"] == second["idk"] == "key-1"
    assert door.calls[0].body == door.calls[1].body


@pytest.mark.parametrize("nonce", [None, "old"])
def test_an_attackers_nonce_is_sent_as_it_is(door: Door, nonce: str | None) -> None:
    """An explicit nonce, or none, is not mended by a second try."""
    client = signed_in(door)
    client.nonce = "good"
    door.will_answer(401, type="urn:portcullis:problem:use-dpop-nonce")
    client.wallets(nonce=nonce)
    (call,) = door.calls
    assert proof_claims(call).get("nonce") == nonce


def test_a_whole_proof_is_sent_once(door: Door) -> None:
    """A captured proof is not exchanged for a fresh one."""
    client = signed_in(door)
    door.will_answer(401, type="urn:portcullis:problem:use-dpop-nonce")
    client.wallets(proof=client.proof("GET", "/wallets"))
    assert len(door.calls) == 1


def test_only_what_is_overridden_is_wrong(door: Door) -> None:
    """Another body is signed as it is sent; a claim that contradicts it must be asked for."""
    client = signed_in(door)
    client.transfer("bob", "1.00", "EUR", body=b"{}")
    client.transfer("bob", "1.00", "EUR", body=b"{}", claims={"bd": digest(b"other")})
    honest, forged = (proof_claims(call)["bd"] for call in door.calls)
    assert (honest, forged) == (digest(b"{}"), digest(b"other"))


def test_headers_are_added_beside_the_clients_own(door: Door) -> None:
    """A second proof stands beside the first, to attack with."""
    signed_in(door).wallets(headers=[("DPoP", "second")])
    assert [k for k, _ in door.calls[0].headers].count("DPoP") == 2


def test_a_forged_proof_is_sent(door: Door) -> None:
    """What is wrong with a proof beyond its claims arrives."""
    signed_in(door).wallets(forgery=Forgery(header={"typ": "JWT"}), now=5)
    proof = door.calls[0].header("DPoP") or ""
    assert jws.header_of(proof)["typ"] == "JWT"
    assert jws.claims_of(proof)["iat"] == 5


def test_secrets_are_not_printed(door: Door) -> None:
    """A failing test does not show a token."""
    shown = repr(signed_in(door))
    assert "at.1" not in shown
    assert "rt.1" not in shown
