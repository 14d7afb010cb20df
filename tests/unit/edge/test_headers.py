"""Headers: what must be single is single, in whatever spelling."""

import pytest

from portcullis.edge.request import POINTER_CHARS_MAX, DuplicateHeaderError
from tests.support.events import JSON, Sent
from tests.unit.edge.route import parse, refused

BODY = '{"name":"a"}'
SINGLE = [
    "Authorization",
    "DPoP",
    "Idempotency-Key",
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Transfer-Encoding",
    "Host",
    "Origin",
    "User-Agent",
    "Cookie",
    "Portcullis-Token",
    "Portcullis-Proof",
    "X-Forwarded-Host",
    "X-Http-Method-Override",
    "X-Amzn-Trace-Id",
    "X-Nobody-Knows",
]
REPEATABLE = [
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "Forwarded",
    "Pragma",
    "TE",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
]


def with_headers(*headers: tuple[str, str]) -> Sent:
    """Return a good request with these headers added."""
    names = {name.lower() for name, _ in headers}
    base = [pair for pair in JSON if pair[0].lower() not in names]
    return Sent(headers=(*base, *headers), body=BODY)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("values", [("a", "b"), ("a", "a"), ("", "a"), ("a", "b", "c")])
@pytest.mark.parametrize("spelling", ["same", "mixed"])
def test_a_header_that_must_be_single_may_not_repeat(
    name: str, values: tuple[str, ...], spelling: str
) -> None:
    """Two lines of one name are refused, equal or not, and in whatever case they are spelled."""
    spelled = [name, name.lower() if spelling == "mixed" else name, name.upper()]
    names = spelled if spelling == "mixed" else [name] * len(values)
    sent = with_headers(*zip(names, values, strict=False))
    refusal = refused(sent, DuplicateHeaderError)
    assert [fault.pointer for fault in refusal.faults] == [f"header:{name.lower()}"]


@pytest.mark.parametrize("name", REPEATABLE)
def test_a_list_header_may_repeat(name: str) -> None:
    """Headers that are lists by RFC 9110, or that every hop appends to, may repeat."""
    sent = with_headers((name, "a"), (name, "b"), (name.lower(), "c"))
    assert parse(sent).body.name == "a"


def test_a_long_name_is_told_shortened() -> None:
    """The name in the refusal has at most 64 characters."""
    refusal = refused(with_headers(("x" * 5000, "a"), ("x" * 5000, "b")), DuplicateHeaderError)
    assert refusal.faults[0].pointer == "header:" + "x" * 64
    assert len(refusal.faults[0].pointer) < POINTER_CHARS_MAX


@pytest.mark.parametrize("name", ["DPoP", "dpop", "DPOP", "dPoP"])
def test_a_header_is_found_in_any_case(name: str) -> None:
    """Names are compared without case; the value comes as it was sent."""
    request = parse(with_headers((name, "A, b ")))
    assert request.header("dpop") == request.header("DPoP") == "A, b "


def test_an_absent_header_is_none() -> None:
    """A header that was not sent is None, not empty."""
    assert parse(with_headers()).header("dpop") is None


def test_a_request_may_have_no_headers_at_all() -> None:
    """API Gateway gives null where there is none."""
    assert parse(Sent(method="GET", headers=(), body=None), body=None).headers == {}
