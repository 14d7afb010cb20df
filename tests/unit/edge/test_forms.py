"""Form bodies (OAuth): ASCII, each parameter once, unknown ones ignored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.edge.request import (
    BODY_BYTES_MAX,
    BodyTooLargeError,
    MalformedBodyError,
    UnsupportedContentTypeError,
)
from portcullis.errors import RefusedError
from tests.support.events import FORM, JSON, Sent
from tests.unit.edge.route import Form, parse, refused


def token_in(body: str | bytes) -> str | None:
    """Return the token of a form."""
    request = parse(Sent(headers=FORM, body=body), body=Form, form=True)
    token: str | None = request.body.token
    return token


@pytest.mark.parametrize(
    ("body", "token"),
    [
        ("token=a", "a"),
        (b"token=ab", "ab"),
        ("token=a&unknown=b", "a"),
        ("token=a%2Bb+c", "a+b c"),
        ("token=%C3%A9", "é"),
        ("token=", ""),
        ("token=a=b", "a=b"),
        ("tok%65n=a", "a"),
        ("TOKEN=a", None),
        ("", None),
    ],
)
def test_a_form_is_decoded(body: str | bytes, token: str | None) -> None:
    """Escapes are undone once, and parameters that nobody asked for are ignored."""
    assert token_in(body) == token


@pytest.mark.parametrize(
    "body",
    [
        "token=a&token=b",
        "token=a&token=a",
        "token=a&tok%65n=b",
        "unknown=a&unknown=b",
        "token",
        "token&token=a",
        "&",
        "token=a&",
        "&&token=a",
        "token=%ff",
        "token=%C3",
        "token=%ed%a0%80",
        "token=é",
        "tökén=a",
        b"token=\xff",
        b"\xef\xbb\xbftoken=a",
        '{"token":"a"}',
    ],
)
def test_a_form_that_can_be_read_two_ways_is_refused(body: str | bytes) -> None:
    """RFC 6749 section 3.2: no parameter twice; and no raw non-ASCII, and no broken escape."""
    refused(Sent(headers=FORM, body=body), MalformedBodyError, body=Form, form=True)


@pytest.mark.parametrize("headers", [(), JSON, [("Content-Type", "multipart/form-data")]])
def test_another_content_type_is_refused(headers: list[tuple[str, str]]) -> None:
    """A form comes as one, though its text could be read as one."""
    refused(
        Sent(headers=headers, body="token=a"), UnsupportedContentTypeError, body=Form, form=True
    )


def test_a_form_where_json_is_taken_is_refused() -> None:
    """A page of another site can post a form without asking; no JSON route takes one."""
    refused(Sent(headers=FORM, body='{"name":"a"}'), UnsupportedContentTypeError)


def test_an_oversized_form_is_refused() -> None:
    """Forms have the limit of all bodies."""
    sent = Sent(headers=FORM, body="token=" + "a" * BODY_BYTES_MAX)
    refused(sent, BodyTooLargeError, body=Form, form=True)


@given(st.binary(max_size=100) | st.text("tokena=&%+;é\x00 ", max_size=40).map(str.encode))
def test_any_bytes_are_accepted_or_refused(body: bytes) -> None:
    """Nothing but a refusal comes out of any bytes."""
    try:
        token_in(body)
    except RefusedError:
        return
