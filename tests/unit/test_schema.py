"""The strict base: what it refuses is refused without being repeated."""

import traceback

import pytest
from pydantic import ValidationError

from portcullis.schema import Strict


class Held(Strict):
    """Something with one number."""

    count: int


@pytest.mark.parametrize(
    "text", ['{"count":"s3cr3t"}', '{"count":1,"more":"s3cr3t"}', '{"s3cr3t', '["s3cr3t"]']
)
def test_what_is_refused_is_in_no_text_of_the_error(text: str) -> None:
    """An error is easily printed, and what was refused may be somebody's secret."""
    with pytest.raises(ValidationError) as refused:
        Held.model_validate_json(text)
    assert "s3cr3t" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("value", [{"count": "1"}, {"count": True}, {"count": 1, "more": 2}, {}])
def test_nothing_is_coerced_ignored_or_left_out(value: dict[str, object]) -> None:
    """A value that exists is exactly what was asked for."""
    with pytest.raises(ValidationError):
        Held.model_validate(value)
