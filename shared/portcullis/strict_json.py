"""JSON as RFC 8259 and RFC 7493 (I-JSON) mean it, for input from outside.

Python's parser takes duplicate names, NaN and lone surrogates; two parsers that disagree on such
a text are a hole (one checks, the other acts), so they are refused here, before any model.
"""

import json
import math
from typing import Any, Never

DEPTH_MAX = 16


class JsonError(ValueError):
    """The text is not JSON that two parsers must read alike."""


def _refuse_constant(_: str) -> Never:
    raise JsonError


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JsonError  # RFC 7493 section 2.2: beyond a double, parsers differ
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonError
    return members


def _check(value: object, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise JsonError
    if isinstance(value, str):
        value.encode("utf-8")  # a lone surrogate has no encoding
    elif isinstance(value, dict):
        for name, member in value.items():
            name.encode("utf-8")
            _check(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth + 1)


def parse(text: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        JsonError: the text is not UTF-8, begins with a byte order mark, has a duplicate name, a
            lone surrogate, NaN or Infinity, nests deeper than 16, or is not JSON. It carries no
            part of the text.
    """
    try:
        value = json.loads(
            text.decode("utf-8", "strict"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        _check(value, 0)
    except (ValueError, RecursionError):
        raise JsonError from None
    return value
