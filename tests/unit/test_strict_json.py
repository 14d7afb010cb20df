"""JSON from outside: read only where every parser reads alike."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis import strict_json
from portcullis.strict_json import DEPTH_MAX, JsonError

FINITE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(FINITE)
def test_what_json_can_say_is_read(value: Any) -> None:
    """Every value that JSON has, within the depth, is read as it was written."""
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert strict_json.parse(text.encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":{"b":1,"b":2}}',
        b'[{"a":1},{"b":1,"b":2}]',
        b'{"":1,"":2}',
        b'{"__proto__":1,"__proto__":2}',
        b"NaN",
        b"[Infinity]",
        b'{"a":-Infinity}',
        b"1e999",
        b'{"a":[-1e400]}',
        b'"\\ud800"',
        b'"\\udfff\\ud800"',
        b'{"\\udc00":1}',
        b'["a","\\ud83d"]',
        b"\xef\xbb\xbf{}",
        b"\xfe\xff\x00{\x00}",
        b"{\x00}\x00",
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        b'"\xf4\x90\x80\x80"',
        b'"a',
        b"'a'",
        b"{a:1}",
        b"[1,]",
        b'{"a":1,}',
        b"[1 2]",
        b"01",
        b"+1",
        b"1.",
        b".1",
        b"0x1",
        b"1_0",
        b"True",
        b"nul",
        b"undefined",
        b"[] []",
        b"[]x",
        b"/**/[]",
        b"[]\x00",
        b"\x0b[]",
        b"\xc2\xa0[]",
        b'"\t"',
        b'"\x00"',
        b'"\\x41"',
        b'"\\u00g0"',
        b"",
        b" ",
    ],
)
def test_what_two_parsers_may_read_differently_is_refused(text: bytes) -> None:
    """RFC 8259 and RFC 7493: duplicate names, lone surrogates, infinities, other encodings."""
    with pytest.raises(JsonError):
        strict_json.parse(text)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_value_lies_at_most_so_deep(opening: str, closing: str) -> None:
    """Inside 16 arrays or objects a value is read, inside 17 it is refused."""
    for depth, accepted in ((DEPTH_MAX, True), (DEPTH_MAX + 1, False)):
        text = (opening * depth + "0" + closing * depth).encode()
        if accepted:
            strict_json.parse(text)
        else:
            with pytest.raises(JsonError):
                strict_json.parse(text)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 9999 + b"]" * 9999])
def test_deep_nesting_does_not_break_the_parser(text: bytes) -> None:
    """Nesting beyond the interpreter's stack is refused like any other."""
    with pytest.raises(JsonError):
        strict_json.parse(text)


def test_a_number_of_any_number_of_digits_is_not_computed() -> None:
    """A number that would take quadratic time to convert is refused."""
    with pytest.raises(JsonError):
        strict_json.parse(b"9" * 16_000)


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    """Nothing but a JsonError comes out of any bytes."""
    try:
        strict_json.parse(text)
    except JsonError:
        return


@given(st.floats())
def test_no_float_is_infinite(value: float) -> None:
    """A number that was read is finite."""
    try:
        read = strict_json.parse(json.dumps(value).encode())
    except JsonError:
        return
    assert math.isfinite(read)


@pytest.mark.parametrize("text", [b'{"c4nary":1,"c4nary":1}', b'"c4nary', b'["c4nary\\ud800"]'])
def test_a_refusal_holds_no_part_of_the_text(text: bytes) -> None:
    """Neither message nor cause quotes what was sent."""
    with pytest.raises(JsonError) as refused:
        strict_json.parse(text)
    assert "c4nary" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
