"""What a stranger at the door is told, through API Gateway as deployed."""

import pytest

from tests.support import http
from tests.support.client import Client
from tests.support.stack import Stack
from tests.system.people import signed_in

PROBLEM = "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/nothing", "/wallets/EUR/entries/1", "/v1/wallets"])
def test_an_unknown_path_is_a_404_problem(stack: Stack, path: str) -> None:
    """A path that is no route is a 404 problem, whatever credentials come with it."""
    reply = http.send(stack.public_origin, "GET", path, headers=[("Authorization", "DPoP x.y.z")])
    assert (reply.status, reply.problem) == (404, "not-found")
    assert reply.header("content-type") == PROBLEM


def test_another_method_is_a_404_problem(stack: Stack) -> None:
    """A route's path with a method that it does not have is a 404 problem."""
    reply = http.send(stack.public_origin, "DELETE", "/transfers")
    assert (reply.status, reply.problem) == (404, "not-found")


@pytest.mark.parametrize(
    "aws", ["/_ministack/health", "/_aws/execute-api/x/v1/wallets", "/?Action=ListUsers"]
)
@pytest.mark.parametrize("door", ["public_origin", "internal_origin"])
def test_aws_itself_is_not_behind_the_doors(stack: Stack, door: str, aws: str) -> None:
    """Neither listener leads to AWS's own endpoints."""
    reply = http.send(getattr(stack, door), "GET", aws)
    assert reply.status in {403, 404}
    assert (reply.problem or "") in {"not-found", "refused", "forbidden"}


def test_no_credentials_is_a_challenge(stack: Stack) -> None:
    """Without token and proof the answer is 401 with a DPoP challenge, and no function starts."""
    reply = http.send(stack.public_origin, "GET", "/wallets")
    assert (reply.status, reply.problem) == (401, "authentication-required")
    assert reply.header("www-authenticate") == 'DPoP algs="ES256"'


def test_a_token_without_proof_is_a_challenge(stack: Stack) -> None:
    """A stolen token alone opens nothing."""
    reply = signed_in(stack).call("GET", "/wallets", proof=None)
    assert (reply.status, reply.problem) == (401, "authentication-required")


def test_a_bound_token_as_bearer_is_refused(stack: Stack) -> None:
    """RFC 9449 section 7.2: a DPoP-bound token sent as Bearer is refused."""
    person = signed_in(stack)
    proof = person.proof("GET", "/wallets")
    headers = [("Authorization", f"Bearer {person.access_token}"), ("DPoP", proof)]
    reply = http.send(stack.public_origin, "GET", "/wallets", headers=headers)
    assert (reply.status, reply.problem) == (401, "authentication-required")


def test_the_challenge_names_the_fault(stack: Stack) -> None:
    """A bad proof is challenged as such, with the gate's own words in header and body."""
    person = signed_in(stack)
    reply = person.call("GET", "/wallets", claims={"htm": "POST"})
    assert (reply.status, reply.problem) == (401, "invalid-proof")
    assert reply.header("www-authenticate") == 'DPoP error="invalid_dpop_proof", algs="ES256"'
    assert reply.header("content-type") == PROBLEM
    assert reply.header("cache-control") == "no-store"


def test_an_order_without_a_nonce_is_challenged(stack: Stack) -> None:
    """RFC 9449 section 9: 401 `use_dpop_nonce` with a nonce, and the order then passes with it."""
    person = signed_in(stack)
    reply = person.open_wallet("EUR", "order-1", nonce=None)
    assert (reply.status, reply.problem) == (401, "use-dpop-nonce")
    assert reply.header("www-authenticate") == 'DPoP error="use_dpop_nonce", algs="ES256"'
    assert reply.header("cache-control") == "no-store"
    nonce = reply.header("dpop-nonce")
    assert nonce
    assert person.open_wallet("EUR", "order-1", nonce=nonce).status == 201


def test_every_answer_behind_the_gate_brings_a_nonce(stack: Stack) -> None:
    """Allowed, refused by the function, and denied: the next proof has what it needs."""
    person = signed_in(stack)
    allowed = person.wallets()
    refused = person.statement("EUR")
    denied = person.call("GET", "/wallets", claims={"htm": "POST"})
    assert [reply.status for reply in (allowed, refused, denied)] == [200, 404, 401]
    for reply in (allowed, refused, denied):
        (nonce,) = [value for name, value in reply.headers if name.lower() == "dpop-nonce"]
        assert nonce.isascii()


def test_where_the_gate_is_not_asked_there_is_no_nonce(stack: Stack) -> None:
    """Neither the gateway's own answers nor public routes have an empty or literal header."""
    for path in ("/nothing", "/.well-known/jwks.json"):
        assert http.send(stack.public_origin, "GET", path).header("dpop-nonce") is None


@pytest.mark.parametrize("name", ["DPoP", "dpop", "Authorization"])
def test_a_repeated_credential_is_refused(stack: Stack, name: str) -> None:
    """RFC 9449 section 4.3, check 1: two proofs, or two tokens, are one too many."""
    person = signed_in(stack)
    value = person.proof("GET", "/wallets") if name.lower() == "dpop" else "DPoP x"
    reply = person.call("GET", "/wallets", headers=[(name, value)])
    assert (reply.status, reply.problem) == (401, "duplicate-header")


def test_a_repeated_header_never_reaches_the_domain(stack: Stack) -> None:
    """Two idempotency keys are refused, not joined."""
    person = signed_in(stack)
    reply = person.open_wallet("EUR", headers=[("idempotency-key", "another")])
    assert reply.status in {400, 401}
    assert reply.problem == "duplicate-header"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "problem"),
    [
        (b'{"a":1,"a":2}', "application/json", 400, "malformed-body"),
        (b"\xef\xbb\xbf{}", "application/json", 400, "malformed-body"),
        (b'{"a":NaN}', "application/json", 400, "malformed-body"),
        (b"", "application/json", 400, "malformed-body"),
        (b"{}", "text/plain", 415, "unsupported-content-type"),
        (b"{}", None, 415, "unsupported-content-type"),
        (b'{"x":1}', "application/json", 400, "invalid-body"),
        (b"{" + b" " * 20_000 + b"}", "application/json", 413, "body-too-large"),
    ],
)
def test_a_bad_body_is_refused_with_its_fault(
    stack: Stack, body: bytes, content_type: str | None, status: int, problem: str
) -> None:
    """Each kind of bad body has its status and its problem type."""
    stranger = Client(stack.public_origin)
    reply = stranger.call("POST", "/sessions/options", body=body, content_type=content_type)
    assert (reply.status, reply.problem) == (status, problem)


def test_discovery_tells_what_is_there(stack: Stack) -> None:
    """Metadata and JWKS agree with each other and with the tokens that are issued."""
    metadata = http.send(stack.public_origin, "GET", "/.well-known/oauth-authorization-server").json
    assert metadata["issuer"] == stack.public_origin
    assert metadata["token_endpoint"] == stack.public_origin + "/oauth/token"
    assert metadata["acr_values_supported"] == ["phr", "mfa", "provisional"]
    keys = http.send(stack.public_origin, "GET", "/.well-known/jwks.json").json["keys"]
    assert [(key["kty"], key["crv"], key["alg"]) for key in keys] == [("EC", "P-256", "ES256")]
    assert not any("d" in key for key in keys)


def test_revocation_ends_the_session_at_once(stack: Stack) -> None:
    """After a revocation the next request is refused, though the access token has not expired."""
    person = signed_in(stack)
    assert person.wallets().status == 200
    assert person.revoke().status == 200
    refused = person.wallets()
    assert (refused.status, refused.problem) == (401, "session-ended")
    assert person.refresh().json["error"] == "invalid_grant"


def test_revoking_an_unknown_token_tells_nothing(stack: Stack) -> None:
    """RFC 7009 section 2.2: an unknown token is answered like a known one."""
    assert Client(stack.public_origin).revoke("prt1.nothing").status == 200
