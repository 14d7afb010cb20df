"""The HTTP client sends exactly what it is told and hides nothing that comes back."""

import pytest

from tests.support.http import Reply, send
from tests.unit.support.conftest import Door


def test_headers_are_sent_as_given(door: Door) -> None:
    """Order, case and repetition of headers are the caller's."""
    headers = [("DPoP", "one"), ("x-a", "A"), ("DPoP", "two")]
    send(door.origin, "POST", "/path?q=1", headers=headers, body=b"body")
    (call,) = door.calls
    assert (call.method, call.target, call.body) == ("POST", "/path?q=1", b"body")
    assert [field for field in call.headers if field[0] in {"DPoP", "x-a"}] == headers


def test_only_host_and_length_are_added(door: Door) -> None:
    """Nothing is sent that the caller does not know of."""
    send(door.origin, "POST", "/", body=b"12345")
    assert door.calls[0].headers == [
        ("Host", door.origin.removeprefix("http://")),
        ("Content-Length", "5"),
    ]


def test_host_and_length_can_be_forged(door: Door) -> None:
    """The caller's own Host and Content-Length stand alone."""
    headers = [("Host", "evil.example"), ("Content-Length", "2")]
    send(door.origin, "POST", "/", headers=headers, body=b"12345")
    assert door.calls[0].headers == headers
    assert door.calls[0].body == b"12"


def test_a_reply_keeps_every_header(door: Door) -> None:
    """A header that came twice is there twice, and is found whatever its case."""
    reply = send(door.origin, "GET", "/")
    assert [v for k, v in reply.headers if k == "Set-Cookie"] == ["first", "second"]
    assert reply.header("set-cookie") == "first"
    assert reply.header("absent") is None


def test_a_refusal_is_a_reply(door: Door) -> None:
    """A refusal raises nothing and its problem has a short name."""
    door.will_answer(401, type="urn:portcullis:problem:proof-replayed")
    reply = send(door.origin, "GET", "/")
    assert (reply.status, reply.problem) == (401, "proof-replayed")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff", b'{"type":1}'])
def test_a_body_that_is_no_problem_has_none(body: bytes) -> None:
    """Whatever comes, reading it raises nothing."""
    assert Reply(500, (), body).problem is None


def test_nobody_there_is_an_error(door: Door) -> None:
    """Silence is not a reply."""
    with pytest.raises(OSError, match="refused"):
        send("http://127.0.0.1:1", "GET", "/")
    assert door.calls == []
