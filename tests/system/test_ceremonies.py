"""Ceremonies that go wrong, on the deployed stack: the refusal's own reads must be allowed, too."""

import pytest

from tests.support import jws
from tests.support.authenticator import Misbehaviour
from tests.support.client import Client
from tests.support.stack import Stack
from tests.system.people import signed_in


@pytest.mark.parametrize("path", ["/accounts/options", "/sessions/options"])
def test_a_proof_asks_for_options_once(stack: Stack, path: str) -> None:
    """A proof that has asked for options asks for nothing more."""
    stranger = Client(stack.public_origin)
    proof = stranger.proof("POST", path)
    asked = [
        stranger.call("POST", path, proof=proof, body=b"{}", content_type="application/json")
        for _ in range(2)
    ]
    assert [reply.status for reply in asked] == [200, 400]
    assert asked[1].problem == "proof-replayed"


def test_options_need_a_proof(stack: Stack) -> None:
    """Without a proof there is no challenge."""
    reply = Client(stack.public_origin).call(
        "POST", "/sessions/options", proof=None, body=b"{}", content_type="application/json"
    )
    assert (reply.status, reply.problem) == (400, "invalid-proof")


def test_an_answer_opens_one_account(stack: Stack) -> None:
    """The same response, sent again under a new proof, opens no second account."""
    person = Client(stack.public_origin)
    options = person.call(
        "POST", "/accounts/options", body=b"{}", content_type="application/json"
    ).json["publicKey"]
    credential = person.authenticator.create(options, person.origin)
    body = jws.compact_json({"credential": credential})
    sent = [
        person.call("POST", "/accounts", body=body, content_type="application/json")
        for _ in range(2)
    ]
    assert [reply.status for reply in sent] == [201, 400]
    assert sent[1].problem == "challenge-refused"


def test_an_answer_signs_in_once(stack: Stack) -> None:
    """The same assertion, sent again under a new proof of the same key, starts no session."""
    person = signed_in(stack)
    options = person.call(
        "POST", "/sessions/options", token=None, body=b"{}", content_type="application/json"
    ).json["publicKey"]
    credential = person.authenticator.get(options, person.origin)
    body = jws.compact_json({"credential": credential})
    sent = [
        person.call("POST", "/sessions", token=None, body=body, content_type="application/json")
        for _ in range(2)
    ]
    assert [reply.status for reply in sent] == [200, 400]
    assert sent[1].problem == "challenge-refused"


def test_a_sign_in_proof_is_used_once(stack: Stack) -> None:
    """A captured sign-in, sent again byte for byte, is refused."""
    person = signed_in(stack)
    options = person.call(
        "POST", "/sessions/options", token=None, body=b"{}", content_type="application/json"
    ).json["publicKey"]
    credential = person.authenticator.get(options, person.origin)
    body = jws.compact_json({"credential": credential})
    proof = person.proof("POST", "/sessions", token=None)
    sent = [
        person.call(
            "POST", "/sessions", token=None, proof=proof, body=body, content_type="application/json"
        )
        for _ in range(2)
    ]
    assert [reply.status for reply in sent] == [200, 400]
    assert sent[1].problem in {"proof-replayed", "challenge-refused"}


@pytest.mark.parametrize(
    "misbehaviour",
    [
        Misbehaviour(origin="https://evil.example"),
        Misbehaviour(user_verified=False),
        Misbehaviour(cross_origin=True),
        Misbehaviour(rp_id="evil.example"),
    ],
    ids=["origin", "unverified", "cross-origin", "rp-id"],
)
def test_a_response_for_somebody_else_is_refused(stack: Stack, misbehaviour: Misbehaviour) -> None:
    """A passkey's response made elsewhere, or without the user, signs nobody in."""
    person = signed_in(stack)
    reply = person.sign_in(misbehaviour=misbehaviour)
    assert (reply.status, reply.problem) == (400, "passkey-refused")


def test_a_challenge_answers_to_the_key_that_asked(stack: Stack) -> None:
    """A challenge given to one key cannot be answered under another: no login CSRF."""
    person, thief = signed_in(stack), Client(stack.public_origin)
    options = thief.call(
        "POST", "/sessions/options", body=b"{}", content_type="application/json"
    ).json["publicKey"]
    credential = person.authenticator.get(options, person.origin)
    body = jws.compact_json({"credential": credential})
    reply = person.call("POST", "/sessions", token=None, body=body, content_type="application/json")
    assert (reply.status, reply.problem) == (400, "challenge-refused")


def test_a_refresh_proof_is_used_once(stack: Stack) -> None:
    """A captured refresh, sent again byte for byte, is refused; the family lives."""
    person = signed_in(stack)
    assert person.wallets().status == 200  # the answer brings the nonce that a proof needs
    proof = person.proof("POST", "/oauth/token", token=None)
    spent = person.refresh_token
    assert person.refresh(proof=proof).status == 200
    again = person.refresh(spent, proof=proof)
    assert (again.status, again.json["error"]) == (400, "invalid_dpop_proof")
    assert person.refresh().status == 200


def test_a_refresh_token_without_its_key_is_worth_nothing(stack: Stack) -> None:
    """A stolen refresh token under the thief's key is refused, and its owner goes on."""
    person, thief = signed_in(stack), Client(stack.public_origin)
    stolen = thief.refresh(person.refresh_token)
    assert (stolen.status, stolen.json["error"]) == (400, "invalid_grant")
    assert person.refresh().status == 200
