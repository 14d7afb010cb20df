"""``@operation``: a refusal is an answer, a failure fails the invocation."""

from typing import Any, Never

import pytest

from portcullis.edge.endpoint import DefectError
from portcullis.edge.operation import operation
from portcullis.errors import ConflictError, InfrastructureError
from portcullis.schema import Strict
from tests.support.events import Context
from tests.unit.conftest import Written


class Input(Strict):
    """What the operation takes."""

    name: str


class KnownError(ConflictError):
    """A refusal of the operation's own."""

    code = "test-known"
    title = "It is known."


@operation(Input)
def echo(given: Input) -> dict[str, Any]:
    """Answer with the name."""
    return {"name": given.name}


def raising(error: Exception) -> Any:
    """Return an operation that raises *error*."""

    @operation(Input)
    def work(_: Input) -> Never:
        raise error

    return work


def test_a_result_is_returned_as_it_is(written: Written) -> None:
    """The invocation's result is the operation's."""
    assert echo({"name": "a"}, Context()) == {"name": "a"}
    assert [entry["message"] for entry in written.entries()[:1]] == ["done"]


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        ({}, "/name"),
        ({"name": 1}, "/name"),
        ({"name": None}, "/name"),
        ({"name": "a", "x/y": 1}, "/x~1y"),
        ([], ""),
        (None, ""),
        ("text", ""),
        ({"name": "\ud800"}, ""),
        ({"name": float("nan")}, "/name"),
    ],
)
def test_an_input_of_another_shape_is_refused_as_a_problem(event: Any, pointer: str) -> None:
    """The problem says where; the operation is not begun."""
    problem = raising(AssertionError("called"))(event, Context())
    assert (problem["type"], problem["status"]) == ("urn:portcullis:problem:invalid-body", 400)
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]


def test_a_refusal_is_returned_as_a_problem(written: Written) -> None:
    """The operator reads the refusal in the invocation's result."""
    assert raising(KnownError())({"name": "a"}, Context()) == {
        "type": "urn:portcullis:problem:test-known",
        "title": "It is known.",
        "status": 409,
    }
    assert written.entries()[0]["code"] == "test-known"


def test_a_failure_is_raised(written: Written) -> None:
    """A failed invocation is seen by the operator, and by the function's error alarm."""
    with pytest.raises(InfrastructureError):
        raising(InfrastructureError("ThrottlingException"))({"name": "a"}, Context())
    entry, metric = written.entries()
    assert (entry["message"], entry["code"]) == ("failed", "ThrottlingException")
    assert metric["failed"] == [1.0]


def test_a_defect_is_raised_in_no_words(written: Written) -> None:
    """Lambda prints what is raised: its class and place are in the log, its text is nowhere."""
    with pytest.raises(DefectError) as raised:
        raising(ValueError("s3cr3t"))({"name": "a"}, Context())
    assert (raised.value.args, raised.value.__suppress_context__) == ((), True)
    entry, _ = written.entries()
    assert (entry["code"], entry["exception"]) == ("internal-error", "ValueError")
    assert "s3cr3t" not in written.text()
