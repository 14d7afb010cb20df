"""Paths, queries, idempotency keys, the caller's role and the source."""

from typing import Any

import pytest

from portcullis.edge import request as requests
from portcullis.edge.request import (
    IdempotencyKeyRequiredError,
    InvalidBodyError,
    MalformedBodyError,
    MalformedRequestError,
)
from portcullis.source import Source
from tests.support.events import Sent
from tests.unit.edge.route import parse, refused

LIST: dict[str, Any] = {"body": None, "query": frozenset({"limit", "cursor"})}


def get(path: str = "/wallets", query: list[tuple[str, str]] | None = None) -> Sent:
    """Return a GET."""
    return Sent(method="GET", path=path, headers=(), query=query or [])


def test_a_plain_request_is_told_as_it_came() -> None:
    """Method, path, path parameters and query are there."""
    sent = Sent(
        method="GET",
        path="/wallets/EUR/entries",
        resource="/wallets/{currency}/entries",
        path_parameters={"currency": "EUR"},
        headers=(),
        query=[("limit", "5")],
    )
    request = parse(sent, **LIST)
    assert (request.method, request.path) == ("GET", "/wallets/EUR/entries")
    assert request.path_parameters == {"currency": "EUR"}
    assert request.query == {"limit": "5"}


def test_a_route_without_path_parameters_has_none() -> None:
    """API Gateway gives null where there are none."""
    assert parse(get(), **LIST).path_parameters == {}


@pytest.mark.parametrize(
    "path", ["/wallet%73", "/wallets%2fEUR", "/%2e%2e/wallets", "/wallets/%", "/wallets/EUR%00"]
)
def test_an_escape_in_the_path_is_refused(path: str) -> None:
    """None of our paths needs one, so it is a second name of a route."""
    refused(get(path), MalformedRequestError, **LIST)


@pytest.mark.parametrize(
    "query",
    [
        [("unknown", "a")],
        [("Limit", "5")],
        [("limit ", "5")],
        [("", "")],
        [("limit", "5"), ("unknown", "a")],
        [("limit", "5"), ("limit", "6")],
        [("limit", "5"), ("limit", "5")],
        [("cursor", ""), ("cursor", "")],
        [("limit[]", "5")],
    ],
)
def test_an_unknown_or_repeated_parameter_is_refused(query: list[tuple[str, str]]) -> None:
    """What a route does not know, it does not ignore; and no parameter has two values."""
    refused(get(query=query), MalformedRequestError, **LIST)


def test_a_route_without_parameters_takes_none() -> None:
    """A query where none is known is refused."""
    refused(get(query=[("limit", "5")]), MalformedRequestError, body=None)


def test_a_deletion_takes_a_query_and_no_body() -> None:
    """Every method is parsed alike: path parameters, a known query, and no body."""
    sent = Sent(
        method="DELETE",
        path="/sessions/a1",
        resource="/sessions/{id}",
        path_parameters={"id": "a1"},
        headers=(),
        query=[("except", "current")],
    )
    request = parse(sent, body=None, query=frozenset({"except"}))
    assert (request.method, request.path_parameters["id"]) == ("DELETE", "a1")
    assert (request.query, request.body) == ({"except": "current"}, None)
    refused(Sent(method="DELETE", path="/sessions/a1", body="{}"), MalformedBodyError, body=None)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_change_takes_a_body_of_its_model(method: str) -> None:
    """PATCH and PUT have JSON bodies as POST has."""
    sent = Sent(method=method, path="/passkeys/a1", body='{"name":"a"}')
    assert parse(sent).body.name == "a"
    refused(Sent(method=method, path="/passkeys/a1", body='{"n":1}'), InvalidBodyError)


@pytest.mark.parametrize("key", ["a", "!", "~", "a" * 64, "{}\"'<>&", "order-1"])
def test_a_visible_key_is_accepted(key: str) -> None:
    """A key is 1 to 64 visible ASCII characters, and kept as it came."""
    request = parse(Sent(method="GET", headers=[("Idempotency-Key", key)]), body=None)
    assert request.idempotency_key() == key


@pytest.mark.parametrize(
    "key",
    ["", " ", "a b", " a", "a ", "a\t", "a" * 65, "é", "a\x00", "\x7f", "\N{FULLWIDTH DIGIT ONE}"],
)
def test_a_key_of_another_shape_is_refused(key: str) -> None:
    """Blank, invisible, non-ASCII or too long is no key."""
    request = parse(Sent(method="GET", headers=[("Idempotency-Key", key)]), body=None)
    with pytest.raises(IdempotencyKeyRequiredError):
        request.idempotency_key()


def test_no_key_is_refused() -> None:
    """An absent key is asked for."""
    with pytest.raises(IdempotencyKeyRequiredError):
        parse(Sent(method="GET", headers=()), body=None).idempotency_key()


@pytest.mark.parametrize(
    ("arn", "role"),
    [
        (
            "arn:aws:sts::000000000000:assumed-role/money-order-transfer/session",
            "money-order-transfer",
        ),
        ("arn:aws:sts::000000000000:assumed-role/r/a/b", "r"),
        ("arn:aws-cn:sts::000000000000:assumed-role/r+=,.@-_/s", "r+=,.@-_"),
    ],
)
def test_the_role_of_an_assumed_role_is_its_name(arn: str, role: str) -> None:
    """The role is what API Gateway authenticated, without its session's self-chosen name."""
    assert parse(Sent(method="GET", headers=(), user_arn=arn), body=None).caller_role == role


@pytest.mark.parametrize(
    "arn",
    [
        None,
        "",
        "arn:aws:iam::000000000000:user/money-order-transfer",
        "arn:aws:iam::000000000000:role/money-order-transfer",
        "arn:aws:iam::000000000000:root",
        "arn:aws:sts::000000000000:federated-user/money-order-transfer",
        "money-order-transfer",
        "arn:aws:sts::000000000000:Assumed-Role/money-order-transfer/s",
    ],
)
def test_any_other_principal_has_no_role(arn: str | None) -> None:
    """A user, a root or a role's own ARN is not an assumed role of that name."""
    assert parse(Sent(method="GET", headers=(), user_arn=arn), body=None).caller_role is None


def test_a_role_cannot_be_claimed_by_a_header() -> None:
    """Only the request's context says who called."""
    headers = [("X-User-Arn", "arn:aws:sts::000000000000:assumed-role/r/s")]
    assert parse(Sent(method="GET", headers=headers), body=None).caller_role is None


def test_the_source_is_what_the_gateway_saw() -> None:
    """Address and user agent come from the request's context."""
    sent = Sent(method="GET", headers=[("User-Agent", "a/1")], source_ip="203.0.113.9")
    assert parse(sent, body=None).source == Source(address="203.0.113.9", user_agent="a/1")


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "Source-IP"]
)
def test_a_source_cannot_be_claimed_by_a_header(name: str) -> None:
    """Whatever a client or its proxies write, the address is the connection's."""
    sent = Sent(method="GET", headers=[(name, "198.51.100.7")], source_ip="203.0.113.9")
    assert parse(sent, body=None).source.address == "203.0.113.9"


@pytest.mark.parametrize("identity", [{}, {"sourceIp": None, "userAgent": None}])
def test_a_request_without_a_source_has_an_unknown_one(identity: object) -> None:
    """Where the gateway tells nothing, nothing is made up."""
    event = get().to_function()
    event["requestContext"]["identity"] = identity
    parsed = requests.parse(event, body=None, form=False, query=frozenset(), body_bytes_max=1)
    assert parsed.source == Source(address="", user_agent="")
    assert parsed.source.network == "unknown"
