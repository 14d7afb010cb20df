"""A function that a clock calls: what it logs, and that its failure is seen."""

from types import SimpleNamespace
from typing import Any

import pytest

from portcullis.edge.schedule import Remaining, RunFailedError, schedule
from portcullis.errors import InfrastructureError
from tests.unit.conftest import Written

CONTEXT = SimpleNamespace(
    function_name="portcullis-operations-reconcile",
    get_remaining_time_in_millis=lambda: 1_500,
)
EVENT: dict[str, Any] = {"detail-type": "Scheduled Event", "detail": {}}


def test_a_run_is_logged_and_counted(written: Written) -> None:
    """A run that ends well says so under the function's name; it is told the time that is left."""
    left_s = []
    schedule(lambda remaining_s: left_s.append(remaining_s()))(EVENT, CONTEXT)
    line, metric = written.entries()
    assert left_s == [1.5]
    assert (line["message"], line["function"]) == ("done", CONTEXT.function_name)
    assert (metric["service"], metric["done"]) == (CONTEXT.function_name, [1.0])


@pytest.mark.parametrize("error", [ValueError("s3cr3t"), InfrastructureError("ThrottlingError")])
def test_a_failure_is_raised_without_its_text(written: Written, error: Exception) -> None:
    """The invocation fails, so Lambda counts it; what the error says stays inside."""

    def work(_: Remaining) -> None:
        raise error

    with pytest.raises(RunFailedError) as raised:
        schedule(work)(EVENT, CONTEXT)
    assert str(raised.value) == ""
    assert raised.value.__suppress_context__
    line, metric = written.entries()
    assert (line["message"], line["exception"]) == ("failed", type(error).__name__)
    assert metric["failed"] == [1.0]
    assert "s3cr3t" not in written.text()
