"""``@stream``: in order, and from the first failure again."""

from collections.abc import Callable
from typing import Any

import pytest

from portcullis.edge.stream import Key, stream
from portcullis.errors import InfrastructureError
from tests.support.events import Context
from tests.unit.conftest import Written


def changes(*numbers: int) -> dict[str, Any]:
    """Return a batch of changes of the items with these sort keys."""
    return {
        "Records": [
            {
                "eventName": "INSERT",
                "dynamodb": {
                    "Keys": {"pk": {"S": "EVENT#a"}, "sk": {"S": str(number)}},
                    "SequenceNumber": f"sequence-{number}",
                },
            }
            for number in numbers
        ]
    }


def recording(heard: list[str], *, failing: Exception | None = None) -> Callable[..., Any]:
    """Return a handler that notes each key, and raises *failing* at the second."""

    @stream
    def work(key: Key) -> None:
        heard.append(f"{key['pk']}/{key['sk']}")
        if failing and key["sk"] == "2":
            raise failing

    return work


def test_every_change_is_worked_on_in_order() -> None:
    """A batch without a failure is done as a whole."""
    heard: list[str] = []
    assert recording(heard)(changes(1, 2, 3), Context()) == {"batchItemFailures": []}
    assert heard == ["EVENT#a/1", "EVENT#a/2", "EVENT#a/3"]


@pytest.mark.parametrize("error", [InfrastructureError("down"), ValueError("a secret")])
def test_the_first_failure_ends_the_batch(error: Exception, written: Written) -> None:
    """It is named by its place, what follows is left to come again, and its text is not logged."""
    heard: list[str] = []
    answer = recording(heard, failing=error)(changes(1, 2, 3), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "sequence-2"}]}
    assert heard == ["EVENT#a/1", "EVENT#a/2"]
    text = written.text()
    assert type(error).__name__ in text
    assert "secret" not in text
    assert "EVENT#a" not in text
