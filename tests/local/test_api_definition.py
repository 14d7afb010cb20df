"""The REST API's definition, as the template's Body says it."""

from tests.local.emulators import Emulator

GUARDED = "/guarded/thing"


def test_unknown_path_reaches_the_mock(stock: Emulator, ours: Emulator) -> None:
    """An ANY method with a MOCK integration answers whatever no other method serves."""
    assert stock.public.send("DELETE", "/no/such/path").status == 403
    answer = ours.public.send("DELETE", "/no/such/path")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "not-found"
    assert answer.json()["id"] == answer.headers["x-amzn-requestid"]


def test_denial_quotes_the_authorizer(stock: Emulator, ours: Emulator) -> None:
    """A denial answers with the status, header and body made from the authorizer's context."""
    denied = stock.public.send("GET", GUARDED, [("Verdict", "replayed")])
    assert (denied.status, "www-authenticate" in denied.headers) == (403, False)
    denied = ours.public.send("GET", GUARDED, [("Verdict", "replayed")])
    assert denied.status == 401
    assert denied.headers["www-authenticate"] == 'DPoP error="replayed"'
    assert denied.headers["content-type"] == "application/problem+json"
    assert denied.json()["type"] == "replayed"
    assert denied.json()["id"] == denied.headers["x-amzn-requestid"]


def test_what_the_authorizer_did_not_say_stays_away(ours: Emulator) -> None:
    """An absent context value renders empty in a body, and its header is left out."""
    denied = ours.public.send("GET", GUARDED, [("Verdict", "replayed")])
    assert denied.json()["absent"] == ""
    assert "x-absent" not in denied.headers


def test_unauthorized_has_its_own_response(stock: Emulator, ours: Emulator) -> None:
    """An authorizer that raises Unauthorized gets the UNAUTHORIZED response."""
    plain = stock.public.send("GET", GUARDED, [("Verdict", "unauthorized")])
    assert (plain.status, plain.json()) == (401, {"message": "Unauthorized"})
    told = ours.public.send("GET", GUARDED, [("Verdict", "unauthorized")])
    assert (told.status, told.json()) == (401, {"type": "unauthorized"})


def test_broken_authorizer_has_its_own_response(stock: Emulator, ours: Emulator) -> None:
    """An authorizer that crashes gets the status and body of AUTHORIZER_FAILURE."""
    assert stock.public.send("GET", GUARDED, [("Verdict", "crash")]).status == 500
    failed = ours.public.send("GET", GUARDED, [("Verdict", "crash")])
    assert (failed.status, failed.json()) == (503, {"type": "authorizer-failure"})


def test_allowed_caller_passes(ours: Emulator) -> None:
    """An allowed caller reaches the function, which is told the authorizer's context."""
    passed = ours.public.send("GET", GUARDED, [("Verdict", "allow")])
    assert passed.status == 200
    told = passed.json()["event"]
    assert told["requestContext"]["authorizer"]["principalId"] == "someone"
    assert told["pathParameters"] == {"thing": "thing"}
    assert told["path"] == GUARDED


def test_failure_shows_nothing_of_the_function(stock: Emulator, ours: Emulator) -> None:
    """A function's error is 502 through the gateway response, without its message."""
    assert b"a secret reason" in stock.public.send("GET", "/echo?fail=1").body
    failed = ours.public.send("GET", "/echo?fail=1")
    assert (failed.status, failed.json()) == (502, {"type": "internal-error"})


def test_answer_without_status_is_a_failure(stock: Emulator, ours: Emulator) -> None:
    """A function's answer without a status is 502."""
    assert stock.public.send("GET", "/echo?shape=1").status == 200
    assert ours.public.send("GET", "/echo?shape=1").status == 502


def test_challenge_of_a_function_is_renamed(stock: Emulator, ours: Emulator) -> None:
    """A function's WWW-Authenticate reaches the client only under its remapped name."""
    assert stock.public.send("GET", "/echo").headers["www-authenticate"] == "Basic"
    answer = ours.public.send("GET", "/echo")
    assert "www-authenticate" not in answer.headers
    assert answer.headers["x-amzn-remapped-www-authenticate"] == "Basic"
