"""``@endpoint``: whatever happens below it, one answer, one log line, one count."""

import json
from collections.abc import Callable
from typing import Any, Never

import pytest

from portcullis.edge import Request, Response, endpoint
from portcullis.edge.request import InvalidBodyError
from portcullis.edge.response import InternalError, status_of
from portcullis.errors import (
    Fault,
    InfrastructureError,
    RefusedError,
    TooManyRequestsError,
    UnavailableError,
)
from portcullis.evidence.errors import EvidenceError, InvalidProofError, InvalidTokenError
from tests.support.events import FORM, JSON, Context, Event, Sent
from tests.unit import refusals
from tests.unit.conftest import Written
from tests.unit.edge.route import Form, Payload

SECRET = "s3cr3t"
GET = Sent(method="GET", headers=())
OK = Response(200, {})

STATUSES = {
    "account-quarantined": 403,
    "account-restricted": 403,
    "authentication-required": 401,
    "body-too-large": 413,
    "debit-not-allowed": 403,
    "duplicate-header": 400,
    "evidence-refused": 403,
    "idempotency-key-required": 400,
    "idempotency-key-reused": 422,
    "insufficient-funds": 409,
    "insufficient-user-authentication": 401,
    "internal-error": 500,
    "invalid-body": 400,
    "invalid-command": 403,
    "invalid-grant": 400,
    "invalid-proof": 400,
    "invalid-token": 401,
    "malformed-body": 400,
    "no-such-wallet": 404,
    "order-not-signed": 400,
    "proof-replayed": 400,
    "session-ended": 401,
    "session-terminated": 401,
    "too-many-requests": 429,
    "unavailable": 503,
    "unsupported-content-type": 415,
    "use-dpop-nonce": 400,
    "wallet-already-open": 409,
    "wallet-not-open": 409,
}
OAUTH = {
    "invalid-grant": "invalid_grant",
    "invalid-proof": "invalid_dpop_proof",
    "proof-replayed": "invalid_dpop_proof",
    "use-dpop-nonce": "use_dpop_nonce",
    "too-many-requests": "temporarily_unavailable",
    "unsupported-grant-type": "unsupported_grant_type",
    "unsupported-token-type": "unsupported_token_type",
    "invalid-client": "invalid_client",
    "missing-parameter": "invalid_request",
    "malformed-body": "invalid_request",
    "unavailable": "temporarily_unavailable",
    "internal-error": "server_error",
}
KINDS = refusals.concrete()


def raising(error: Exception, **route: Any) -> Callable[..., dict[str, Any]]:
    """Return an endpoint below which *error* is raised."""

    @endpoint(**route)
    def handler(_: Request[Any]) -> Never:
        raise error

    return handler


def answer(handler: Callable[..., dict[str, Any]], sent: Sent = GET) -> tuple[dict[str, Any], Any]:
    """Return the answer to one request and its parsed body."""
    reply = handler(sent.to_function(), Context())
    return reply, json.loads(reply["body"]) if reply["body"] else None


# ---- results ------------------------------------------------------------------------------------


@endpoint(body=Payload)
def echo(request: Request[Any]) -> Response:
    """Answer with the name that was sent."""
    return Response(201, {"name": request.body.name}, {"X-More": "1"})


def test_a_result_is_json_that_nobody_may_keep() -> None:
    """Status, members and headers are the handler's; nothing is cached or sniffed."""
    reply, body = answer(echo, Sent(body='{"name":"é"}'))
    assert (reply["statusCode"], body, reply["isBase64Encoded"]) == (201, {"name": "é"}, False)
    assert reply["headers"] == {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": "application/json",
        "X-More": "1",
    }


def test_a_result_without_members_has_no_body_and_no_type() -> None:
    """An empty answer is empty, and still not to be kept."""
    reply, body = answer(endpoint()(lambda _: Response(204)), Sent(method="DELETE", headers=()))
    assert (reply["statusCode"], reply["body"], body) == (204, "", None)
    assert "Content-Type" not in reply["headers"]
    assert reply["headers"]["Cache-Control"] == "no-store"


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_every_refusal_is_a_problem(kind: type[RefusedError]) -> None:
    """RFC 9457: type, title, the response's own status, faults where there are any; no more."""
    refusal = refusals.raised(kind)
    reply, body = answer(raising(refusal))
    faults = [{"pointer": fault.pointer, "reason": fault.reason} for fault in refusal.faults]
    assert body == {
        "type": f"urn:portcullis:problem:{kind.code}",
        "title": kind.title,
        "status": reply["statusCode"],
        **({"errors": faults} if faults else {}),
    }
    assert reply["headers"]["Content-Type"] == "application/problem+json"
    assert reply["headers"]["Cache-Control"] == "no-store"
    assert ("Retry-After" in reply["headers"]) == (reply["statusCode"] in {429, 503})
    assert 400 <= reply["statusCode"] < 600


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_a_refusal_has_the_status_that_is_promised(kind: type[RefusedError]) -> None:
    """The statuses of the API are fixed; a refusal that is not listed is a client's fault."""
    if kind.code in STATUSES:
        assert status_of(kind) == STATUSES[kind.code]
    else:
        assert 400 <= status_of(kind) < 500


def test_a_refusal_is_never_a_failure() -> None:
    """Only two of all have a status of 500 or above."""
    assert {kind.code for kind in KINDS if status_of(kind) >= 500} == {
        "internal-error",
        "unavailable",
    }


def test_faults_are_told_with_their_places() -> None:
    """`errors` has a pointer and a reason for each fault."""
    _, body = answer(raising(InvalidBodyError(Fault("/a", "one"), Fault("", "two"))))
    assert body["errors"] == [
        {"pointer": "/a", "reason": "one"},
        {"pointer": "", "reason": "two"},
    ]


def test_a_request_that_is_refused_on_the_way_in_never_reaches_the_handler() -> None:
    """The handler of a refused request is not called."""
    reply, body = answer(
        raising(AssertionError("called"), body=Payload), Sent(body='{"name":"a","x":1}')
    )
    assert (reply["statusCode"], body["errors"][0]["pointer"]) == (400, "/x")


# ---- failures -----------------------------------------------------------------------------------


class _StoreDownError(InfrastructureError):
    """Something below, as a zone would name it."""


@pytest.mark.parametrize("kind", [InfrastructureError, _StoreDownError])
def test_a_failure_below_is_503_and_may_be_repeated(kind: type[InfrastructureError]) -> None:
    """The caller hears that nothing is known, and when to ask again; not what failed."""
    reply, body = answer(raising(kind("TableNotFound")))
    assert reply["statusCode"] == body["status"] == 503
    assert reply["headers"]["Retry-After"].isdigit()
    assert body["type"] == "urn:portcullis:problem:unavailable"
    assert "TableNotFound" not in reply["body"]


@pytest.mark.parametrize(
    "error",
    [
        Exception(SECRET),
        ValueError(SECRET),
        KeyError(SECRET),
        EvidenceError(SECRET),
        AssertionError(SECRET),
        RecursionError(SECRET),
        TimeoutError(SECRET),
        UnicodeEncodeError("utf-8", SECRET, 0, 1, SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_defect_is_500_without_a_word_about_it(error: Exception, written: Written) -> None:
    """The text of an unknown exception is in neither body nor log; its class and place are."""
    error.add_note(SECRET)
    reply, body = answer(raising(error))
    assert body == {
        "type": "urn:portcullis:problem:internal-error",
        "title": InternalError.title,
        "status": 500,
    }
    assert "Retry-After" not in reply["headers"]
    entry, _ = written.entries()
    assert (entry["message"], entry["exception"]) == ("failed", type(error).__name__)
    assert entry["place"].startswith("test_endpoint.py:")
    assert SECRET not in json.dumps(entry)


def test_the_cause_of_a_defect_is_not_told_either(written: Written) -> None:
    """An exception that hides another one hides it from the log, too."""

    @endpoint()
    def handler(_: Request[Any]) -> Response:
        try:
            return Response(int(SECRET))
        except ValueError as error:
            raise TypeError(SECRET) from error

    reply, _ = answer(handler)
    assert reply["statusCode"] == 500
    assert SECRET not in reply["body"] + written.text()


@pytest.mark.parametrize("event", [{}, {"path": "/"}, {"requestContext": {}}])
def test_an_event_that_is_no_request_is_a_failure_of_ours(event: Event) -> None:
    """A function that is invoked with something else answers 500 and does not raise."""
    reply = raising(AssertionError("called"))(event, Context())
    assert reply["statusCode"] == 500


# ---- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("oauth", [False, True])
def test_a_limit_says_when_to_come_again(*, oauth: bool) -> None:
    """429 has Retry-After, and the limit's name, size and state as structured fields."""
    refusal = TooManyRequestsError(policy="login", quota=5, window_s=60, retry_after_s=30)
    reply, body = answer(raising(refusal, oauth=oauth))
    assert (reply["statusCode"], body["type"]) == (429, "urn:portcullis:problem:too-many-requests")
    assert reply["headers"]["Retry-After"] == "30"
    assert reply["headers"]["RateLimit-Policy"] == '"login";q=5;w=60'
    assert reply["headers"]["RateLimit"] == '"login";r=0;t=30'


def test_no_other_answer_tells_of_limits() -> None:
    """Only the refusal of a limit has the fields of one."""
    for reply, _ in (answer(raising(UnavailableError())), answer(endpoint()(lambda _: OK))):
        assert not {"RateLimit", "RateLimit-Policy"} & reply["headers"].keys()


# ---- nonces --------------------------------------------------------------------------------------

NONCE = "AAAAAAHc1lA_q0-x"


def behind_gate(authorizer: object) -> dict[str, Any]:
    """Return the answer to a request that came with such a context of the gate's."""
    event = GET.to_function()
    event["requestContext"]["authorizer"] = authorizer
    return endpoint()(lambda _: OK)(event, Context())


def test_a_nonce_goes_out_with_results_and_refusals() -> None:
    """RFC 9449 section 8.2: a client never needs a challenge to learn its next nonce."""
    result = endpoint(nonce=lambda: NONCE)(lambda _: OK)
    for handler in (result, raising(InvalidTokenError(), nonce=lambda: NONCE)):
        reply, _ = answer(handler)
        assert reply["headers"]["DPoP-Nonce"] == NONCE


def test_a_nonce_goes_out_with_what_is_refused_on_the_way_in() -> None:
    """A body that cannot be read is refused with a nonce as well."""
    reply, _ = answer(endpoint(nonce=lambda: NONCE)(lambda _: OK), Sent(body="{}"))
    assert (reply["statusCode"], reply["headers"]["DPoP-Nonce"]) == (400, NONCE)


def test_a_failure_has_no_nonce() -> None:
    """Where something failed below, nothing more is asked of it."""

    def nonce() -> Never:
        raise AssertionError("asked")

    for error, status in ((InfrastructureError("x"), 503), (ValueError("x"), 500)):
        reply, _ = answer(raising(error, nonce=nonce))
        assert reply["statusCode"] == status
        assert "DPoP-Nonce" not in reply["headers"]


def test_without_the_secret_behind_nonces_the_answer_is_503() -> None:
    """A route that knows nonces does not answer without one."""

    def nonce() -> Never:
        raise InfrastructureError("ThrottlingException")

    reply, _ = answer(endpoint(nonce=nonce)(lambda _: OK))
    assert reply["statusCode"] == 503


def test_the_nonce_of_the_gate_is_handed_on() -> None:
    """The gate has no response of its own when it allows, so the function's carries its nonce."""
    assert behind_gate({"principalId": "a", "nonce": NONCE})["headers"]["DPoP-Nonce"] == NONCE


@pytest.mark.parametrize(
    "nonce",
    [
        None,
        "",
        7,
        [NONCE],
        f"{NONCE}\r\nSet-Cookie: a=b",
        f"{NONCE}\n",
        f"{NONCE} ",
        'a"b',
        "a\\b",
        "é",
        "n" * 129,
    ],
)
def test_what_has_not_the_shape_of_a_nonce_is_not_handed_on(nonce: object) -> None:
    """The context is a claim of the gateway's: only RFC 9449's characters become a header."""
    assert "DPoP-Nonce" not in behind_gate({"nonce": nonce})["headers"]


@pytest.mark.parametrize("authorizer", [None, {}, {"principalId": "a"}])
def test_a_context_without_a_nonce_makes_no_header(authorizer: object) -> None:
    """Where the gate gave none, there is no such header, not even an empty one."""
    assert "DPoP-Nonce" not in behind_gate(authorizer)["headers"]


# ---- OAuth --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_an_oauth_refusal_has_the_members_of_both_rfcs(kind: type[RefusedError]) -> None:
    """RFC 6749 section 5.2: `error` and `error_description` in plain JSON, never to be kept."""
    reply, body = answer(raising(refusals.raised(kind), oauth=True))
    assert body["error"] == OAUTH.get(kind.code, "invalid_request")
    assert body["error_description"] == kind.title
    assert body["type"] == f"urn:portcullis:problem:{kind.code}"
    assert body["status"] == reply["statusCode"] == status_of(kind)
    assert reply["headers"]["Content-Type"] == "application/json"
    assert reply["headers"]["Cache-Control"] == "no-store"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_an_oauth_description_holds_only_the_characters_that_it_may(
    kind: type[RefusedError],
) -> None:
    """RFC 6749 section 5.2: printable ASCII without quotation mark and backslash."""
    assert all(" " <= char <= "~" and char not in '"\\' for char in kind.title)


@pytest.mark.parametrize("error", [InfrastructureError("x"), ValueError("x")])
def test_an_oauth_failure_keeps_the_shape(error: Exception) -> None:
    """A failure of ours is told to an OAuth library in its own words."""
    reply, body = answer(raising(error, oauth=True))
    assert body["error"] in {"temporarily_unavailable", "server_error"}
    assert reply["headers"]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "sent",
    [
        Sent(headers=JSON, body="{}"),
        Sent(headers=FORM, body="token=a&token=b"),
        Sent(headers=[*FORM, ("DPoP", "a"), ("DPoP", "b")], body="token=a"),
        Sent(headers=FORM, body="token=a", query=[("token", "b")]),
    ],
    ids=["content type", "repeated parameter", "repeated header", "query"],
)
def test_an_oauth_request_refused_on_the_way_in_keeps_the_shape(sent: Sent) -> None:
    """What the edge refuses before the route is `invalid_request` to an OAuth library."""
    handler = raising(AssertionError("called"), body=Form, form=True, oauth=True)
    _, body = answer(handler, sent)
    assert body["error"] == "invalid_request"


# ---- the log ------------------------------------------------------------------------------------


def test_each_request_is_one_line_and_one_count(written: Written) -> None:
    """A line tells outcome, function, id, status and duration; the metric counts the outcome."""
    answer(echo, Sent(body='{"name":"a"}'))
    entry, metric = written.entries()
    assert entry["message"] == "done"
    assert (entry["function"], entry["status"]) == ("portcullis-test", 201)
    assert 0 <= entry["duration_ms"] < 60_000
    assert metric["done"] == [1.0]


def test_a_refusal_is_logged_by_its_code(written: Written) -> None:
    """The log says which refusal it was, and which check of the evidence failed."""
    error = InvalidProofError()
    error.__cause__ = EvidenceError("proof time")
    answer(raising(error))
    entry, _ = written.entries()
    assert (entry["message"], entry["code"]) == ("refused", "invalid-proof")
    assert (entry["check"], entry["status"]) == ("proof time", 400)


def test_the_words_of_another_cause_are_not_logged(written: Written) -> None:
    """Only evidence names its check in our own words; other causes may hold a client's."""
    error = InvalidTokenError()
    error.__cause__ = ValueError(SECRET)
    answer(raising(error))
    assert SECRET not in written.text()


def test_the_logged_id_is_one_that_the_client_cannot_choose(written: Written) -> None:
    """A client may override `requestId` (header X-Amzn-RequestId), so it is not what is logged."""
    answer(echo, Sent(body='{"name":"a"}', request_id=SECRET))
    assert SECRET not in written.text()
