"""The look into a public corpus: what leaves, what comes back, and what happens without an answer.

The service is ours, on loopback, and speaks the range API; the client is the product's.
"""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from portcullis import web
from portcullis.identity import breaches
from portcullis.identity.breaches import BreachedPasswordError
from portcullis.web import WebError
from tests.support import breach_service
from tests.support.breach_service import Answer, BreachService, reply
from tests.unit.conftest import Written

RANGE = b"0" * 35 + b":1\r\n" + b"1" * 35 + b":0"
"""A proper answer, in which nothing of ours is."""
PASSWORD = "walrus tuba 9 gravel"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[BreachService]:
    """The service, asked by the product, which refuses when it does not answer."""
    with breach_service.running() as running:
        monkeypatch.setenv("BREACH_LOOKUP_URL", running.url)
        monkeypatch.setenv("BREACH_LOOKUP_FAILURE", "refuse")
        yield running


def _status(status: int) -> Answer:
    return lambda handler: reply(handler, RANGE, status=status)


def _body(body: bytes) -> Answer:
    return lambda handler: reply(handler, body)


def _elsewhere(handler: BaseHTTPRequestHandler) -> None:
    if handler.path.endswith("elsewhere"):
        reply(handler, RANGE)
        return
    handler.send_response(302)
    handler.send_header("Location", "/range/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(web.TIMEOUT_S + 0.5)
    handler.close_connection = True


def _dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b"0" * 35 + b":1\r\n")
            handler.wfile.flush()
            time.sleep(0.1)


def _cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "78")
    handler.end_headers()
    handler.wfile.write(b"0" * 35 + b":1\r\n")


FAILURES: dict[str, Answer] = {
    "an error": _status(503),
    "too many requests": _status(429),
    "no such range": _status(404),
    "a redirection": _elsewhere,
    "nothing": _silent,
    "a drip": _dripping,
    "half an answer": _cut,
    "a flood": _body((b"0" * 35 + b":1\r\n") * 10_000),
    "a page": _body(b"<html>please sign in</html>"),
    "an empty body": _body(b""),
    "a line that is none": _body(b"0" * 35 + b":1\r\n" + b"0" * 34 + b":1"),
    "a count that is none": _body(b"0" * 35 + b":many"),
}


def test_a_breached_password_is_refused(service: BreachService) -> None:
    """A password that the corpus holds is one too many."""
    service.known[PASSWORD] = 1
    with pytest.raises(BreachedPasswordError):
        breaches.look_up(PASSWORD)


def test_another_password_passes(service: BreachService) -> None:
    """A password whose range holds others only is not in the corpus."""
    service.known["another walrus"] = 99
    breaches.look_up(PASSWORD)
    assert len(service.asked) == 1


def test_padding_is_no_breach(service: BreachService) -> None:
    """A digest with the count 0 was made up by the service, even if it is ours."""
    service.known[PASSWORD] = 0
    breaches.look_up(PASSWORD)


def test_twenty_bits_of_the_digest_leave_and_no_more(service: BreachService) -> None:
    """The service learns five hexadecimal digits, and is asked to hide the size of its answer."""
    breaches.look_up(PASSWORD)
    digest = hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).hexdigest().upper()
    (asked,) = service.asked
    assert asked.path == f"/range/{digest[:5]}"
    assert asked.headers["Add-Padding"] == "true"
    sent = f"{asked.path}{asked.headers}".upper()
    assert digest[5:10] not in sent
    assert PASSWORD.upper() not in sent


def test_an_accent_is_looked_up_as_utf_8(service: BreachService) -> None:
    """The corpus digests UTF-8, and so do we."""
    service.known["Überraschung im Mai"] = 3
    with pytest.raises(BreachedPasswordError):
        breaches.look_up("Überraschung im Mai")


def test_nobody_is_asked_when_it_is_off(
    service: BreachService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switched off, nothing leaves, and every password passes."""
    service.known[PASSWORD] = 1
    monkeypatch.setenv("BREACH_LOOKUP_URL", "off")
    breaches.look_up(PASSWORD)
    assert service.asked == []


@pytest.mark.parametrize("failure", FAILURES)
def test_without_an_answer_the_password_is_refused(
    service: BreachService, failure: str, written: Written
) -> None:
    """Under ``refuse`` whatever is no range, and no answer, stops the password in two seconds."""
    service.instead = FAILURES[failure]
    began = time.monotonic()
    with pytest.raises(WebError):
        breaches.look_up(PASSWORD)
    assert time.monotonic() - began < 2 * web.TIMEOUT_S + 0.5
    assert "breach-lookup-failed" in written.text()
    assert len(service.asked) == 1


@pytest.mark.parametrize("failure", ["an error", "a redirection", "a page"])
def test_without_an_answer_the_password_passes_if_so_configured(
    service: BreachService, failure: str, monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    """Under ``accept`` a failure is counted, and the password passes."""
    monkeypatch.setenv("BREACH_LOOKUP_FAILURE", "accept")
    service.instead = FAILURES[failure]
    breaches.look_up(PASSWORD)
    assert "breach-lookup-failed" in written.text()


def test_an_unknown_policy_refuses(service: BreachService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that we do not know is not taken for the weaker one."""
    monkeypatch.setenv("BREACH_LOOKUP_FAILURE", "Accept")
    service.instead = _status(500)
    with pytest.raises(WebError):
        breaches.look_up(PASSWORD)


def test_nobody_listens(service: BreachService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that cannot be reached is one that does not answer."""
    monkeypatch.setenv("BREACH_LOOKUP_URL", "http://127.0.0.1:9")
    with pytest.raises(WebError):
        breaches.look_up(PASSWORD)
    assert service.asked == []


def test_the_log_says_nothing_of_the_password(service: BreachService, written: Written) -> None:
    """Neither password nor digest is in the line about a failure."""
    service.instead = _status(500)
    with pytest.raises(WebError) as told:
        breaches.look_up(PASSWORD)
    digest = hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).hexdigest().upper()
    said = written.text() + str(told.value)
    assert PASSWORD not in said
    assert digest[:5] not in said.upper()
