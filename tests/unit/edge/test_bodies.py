"""JSON bodies: read once, strictly, and refused with the places of their faults."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.edge.request import (
    BODY_BYTES_MAX,
    FAULTS_MAX,
    POINTER_CHARS_MAX,
    BodyTooLargeError,
    InvalidBodyError,
    MalformedBodyError,
    UnsupportedContentTypeError,
)
from portcullis.errors import RefusedError
from tests.support.events import Event, Sent
from tests.unit.edge.route import parse, refused

GOOD: dict[str, Any] = {"name": "a"}


def of(body: object) -> Sent:
    """Return a request with *body*: bytes and text as they are, anything else as JSON."""
    return Sent(body=body if isinstance(body, bytes | str) else json.dumps(body))


def pointers(body: object) -> list[str]:
    """Return where a body is refused."""
    return [fault.pointer for fault in refused(of(body), InvalidBodyError).faults]


def test_a_good_body_is_parsed_and_kept_byte_for_byte() -> None:
    """Model and raw bytes are both there, whether API Gateway sends text or base64."""
    text = '{ "name": "é" , "inner": {"whole": 1} }\n'
    for sent in (of(text), of(text.encode())):
        request = parse(sent)
        assert (request.body.name, request.body.inner.whole) == ("é", 1)
        assert request.raw_body == text.encode()


# ---- content type -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json ; charset=utf-8 ",
        "application/json;",
    ],
)
def test_json_in_utf_8_is_accepted(value: str) -> None:
    """The type is compared without case; the one charset is UTF-8 (RFC 8259 section 8.1)."""
    assert parse(Sent(headers=[("Content-Type", value)], body='{"name":"a"}'))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json5",
        "application/problem+json",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; boundary=x",
        "application /json",
        "*/*",
    ],
)
def test_another_content_type_is_refused(value: str) -> None:
    """Another type or charset could be read otherwise by somebody else."""
    refused(
        Sent(headers=[("Content-Type", value)], body='{"name":"a"}'), UnsupportedContentTypeError
    )


def test_a_body_without_a_content_type_is_refused() -> None:
    """The type is never guessed."""
    refused(Sent(headers=(), body='{"name":"a"}'), UnsupportedContentTypeError)


# ---- size ---------------------------------------------------------------------------------------


def padded(size: int) -> str:
    """Return a good body of exactly that many bytes."""
    return '{"name":"a"}' + " " * (size - 12)


@pytest.mark.parametrize("as_bytes", [False, True], ids=["text", "base64"])
def test_the_largest_body_is_accepted_and_one_byte_more_refused(*, as_bytes: bool) -> None:
    """The limit counts the bytes of the body, not of its transport."""
    for size, accepted in ((BODY_BYTES_MAX, True), (BODY_BYTES_MAX + 1, False)):
        body: str | bytes = padded(size).encode() if as_bytes else padded(size)
        if accepted:
            assert len(parse(of(body)).raw_body) == size
        else:
            refused(of(body), BodyTooLargeError)


def test_characters_of_several_bytes_count_as_bytes() -> None:
    """A text below the limit in characters, above it in bytes, is refused."""
    refused(of('{"name":"' + "é" * (BODY_BYTES_MAX // 2) + '"}'), BodyTooLargeError)


@pytest.mark.parametrize("size", [2 * BODY_BYTES_MAX + 1, 10_000_000])
def test_a_huge_text_is_refused_before_it_is_decoded(size: int) -> None:
    """Even if it is no base64 and no JSON at all."""
    event = Sent(body="!" * size).to_function() | {"isBase64Encoded": True}
    _event_refused(event, BodyTooLargeError)


# ---- encodings ----------------------------------------------------------------------------------


def _event_refused(event: Event, kind: type[RefusedError]) -> None:
    class Given(Sent):
        def to_function(self) -> Event:
            return event

    refused(Given(), kind)


@pytest.mark.parametrize("text", ["{", "e30", "e3=0", "e30=\n=", "é", "e30==", "\ud800"])
def test_what_claims_to_be_base64_and_is_not_is_refused(text: str) -> None:
    """A broken transport encoding is a malformed body, not a failure of ours."""
    _event_refused(Sent(body=text).to_function() | {"isBase64Encoded": True}, MalformedBodyError)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"name":"a"',
        b'{"name":"a",}',
        b'{"name":"a"} {}',
        b'{"name":"a"}\x00',
        b"{'name':'a'}",
        b'{name:"a"}',
        b'{"name":"a"} // comment',
        b'\xef\xbb\xbf{"name":"a"}',
        b'\xff\xfe{\x00"\x00',
        b'{"name":"\xff"}',
        b'{"name":"\xc0\xaf"}',
        b'{"name":"\xed\xa0\x80"}',
        b'{"name":"a\nb"}',
        b'{"name":"\\ud800"}',
        b'{"name":"\\udc00\\ud800"}',
        b'{"\\ud800":1,"name":"a"}',
        b'{"name":"a","name":"b"}',
        b'{"name":"a","n\\u0061me":"b"}',
        b'{"name":"a","inner":{"whole":1,"whole":1}}',
        b'{"name":"a","whole":NaN}',
        b'{"name":"a","whole":Infinity}',
        b'{"name":"a","whole":-Infinity}',
        b'{"name":"a","whole":' + b"9" * 5000 + b"}",
        b'{"name":"a","whole":0x10}',
        b'{"name":"a","whole":01}',
        b'{"name":"a","x":' + b"[" * 17 + b"0" + b"]" * 17 + b"}",
        b"[" * 16_000,
        b'{"a":' * 3000,
    ],
    ids=lambda body: str(body[:24]),
)
def test_what_two_parsers_may_read_differently_is_refused(body: bytes) -> None:
    """Not UTF-8, not complete, not unambiguous, or too deep: nothing of it is read."""
    assert refused(of(body), MalformedBodyError).faults == ()


def test_a_lone_surrogate_in_the_event_itself_is_refused() -> None:
    """A text that has no UTF-8 is no body."""
    refused(of('{"name":"\ud800"}'), MalformedBodyError)


@pytest.mark.parametrize("body", [None, ""])
def test_no_body_where_one_is_needed_is_malformed(body: str | None) -> None:
    """Nothing is not an empty object."""
    refused(Sent(body=body), MalformedBodyError)


@pytest.mark.parametrize("body", ["{}", " ", "null", b"\x00"])
def test_a_body_where_none_is_taken_is_refused(body: str | bytes) -> None:
    """Even an empty object: what is not read must not be sent."""
    refused(Sent(body=body), MalformedBodyError, body=None)


@pytest.mark.parametrize("body", [None, "", b""], ids=["null", "text", "base64"])
def test_a_route_without_a_body_needs_no_content_type(body: str | bytes | None) -> None:
    """No body, null or empty, is no body."""
    request = parse(Sent(method="GET", headers=(), body=body), body=None)
    assert (request.body, request.raw_body) == (None, b"")


# ---- shape --------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [[], "text", 1, 1.5, True, None, [GOOD]])
def test_what_is_no_object_is_refused_at_its_root(body: object) -> None:
    """The pointer of the whole body is the empty one (RFC 6901 section 5)."""
    assert pointers(json.dumps(body)) == [""]


@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ("extra", "/extra"),
        ("", "/"),
        ("Name", "/Name"),
        ("name ", "/name "),
        ("a/b", "/a~1b"),
        ("a~b", "/a~0b"),
        ("~1", "/~01"),
        ("/", "/~1"),
        ("~/~", "/~0~1~0"),
        ("é", "/é"),
        ('"', '/"'),
        ("0", "/0"),
        ("__proto__", "/__proto__"),
        ("x" * 400, "/" + "x" * (POINTER_CHARS_MAX - 1)),
    ],
)
def test_an_unknown_property_is_refused_at_its_exact_place(name: str, pointer: str) -> None:
    """RFC 6901: `~` is `~0` and `/` is `~1`; a pointer has at most 256 characters."""
    assert pointers(GOOD | {name: 1}) == [pointer]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        (GOOD | {"inner": {}}, "/inner/whole"),
        (GOOD | {"inner": {"whole": 1, "x/y": 1}}, "/inner/x~1y"),
        (GOOD | {"many": [{"whole": 1}, {"whole": "1"}]}, "/many/1/whole"),
        (GOOD | {"many": {"0": {"whole": 1}}}, "/many"),
        (GOOD | {"by_name": {"a~b": 1.5}}, "/by_name/a~0b"),
        (GOOD | {"name": None}, "/name"),
        (GOOD | {"name": 1}, "/name"),
        (GOOD | {"name": ["a"]}, "/name"),
        (GOOD | {"name": "x" * 9}, "/name"),
        (GOOD | {"whole": 1.0}, "/whole"),
        (GOOD | {"whole": 1e3}, "/whole"),
        (GOOD | {"whole": "1"}, "/whole"),
        (GOOD | {"whole": True}, "/whole"),
        (GOOD | {"whole": None}, "/whole"),
        (GOOD | {"whole": []}, "/whole"),
        (GOOD | {"flag": 1}, "/flag"),
        (GOOD | {"flag": "true"}, "/flag"),
        (GOOD | {"inner": "x"}, "/inner"),
    ],
)
def test_a_wrong_type_or_absent_property_is_refused_at_its_place(
    body: object, pointer: str
) -> None:
    """Nothing is converted: a float is no integer, though it be whole, and a text no number."""
    assert pointers(body) == [pointer]


def test_a_whole_number_written_as_a_float_is_refused() -> None:
    """`1.0` and `1e0` are not written as integers."""
    for text in ("1.0", "1e0", "-0.0", "10E-1"):
        assert pointers(f'{{"name":"a","whole":{text}}}') == ["/whole"]


def test_many_faults_are_told_up_to_a_limit() -> None:
    """A body full of faults does not make a response full of them."""
    assert len(pointers(GOOD | {f"x{number}": 1 for number in range(100)})) == FAULTS_MAX


@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_or_refused(body: bytes) -> None:
    """Nothing but a refusal comes out of any bytes."""
    try:
        assert parse(of(body)).raw_body == body
    except RefusedError:
        return


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "whole", "inner", "many", "a~/"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_accepted_or_refused_with_pointers_into_it(value: object) -> None:
    """Every pointer leads into the body that was sent, or to a property that it lacks."""
    try:
        parse(of(json.dumps(value)))
    except MalformedBodyError:
        return  # NaN and the like
    except InvalidBodyError as refusal:
        for fault in refusal.faults:
            _demand_leads_into(value, fault.pointer)


def _demand_leads_into(value: Any, pointer: str) -> None:
    *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")]
    for step in steps[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    if pointer:
        assert isinstance(value, dict) or (isinstance(value, list) and int(last) < len(value))


def test_the_content_type_is_judged_before_the_body() -> None:
    """A malformed body of another type is told as another type."""
    refused(Sent(headers=[("Content-Type", "text/plain")], body="{"), UnsupportedContentTypeError)


def test_a_route_can_take_shorter_bodies() -> None:
    """The limit of a route is exact, too."""
    assert parse(of(padded(100)), body_bytes_max=100)
    refused(of(padded(101)), BodyTooLargeError, body_bytes_max=100)
    refused(of("!" * 201), BodyTooLargeError, body_bytes_max=100)
