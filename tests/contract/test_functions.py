"""The port to other functions, against a Lambda that fails in every way that Lambda does."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from portcullis.aws import clients
from portcullis.aws.functions import ANSWER_BYTES_MAX, FunctionError, invoke
from portcullis.edge.operation import operation
from portcullis.errors import ConflictError, InfrastructureError
from portcullis.schema import Strict
from tests.support.functions import Functions
from tests.support.tables import REGION

NAME = "arn:aws:lambda:us-east-1:000000000000:function:portcullis-echo:live"


@pytest.fixture(autouse=True)
def caller(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process as a function that invokes another."""
    for name, value in {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL_LAMBDA": functions.endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    clients._client.cache_clear()
    yield
    clients.client("lambda").close()
    clients._client.cache_clear()


class Input(Strict):
    """What the operation takes."""

    name: str


class TakenError(ConflictError):
    """A refusal of the operation's own."""

    code = "test-taken"
    title = "It is taken."


@operation(Input)
def greet(given: Input) -> dict[str, Any]:
    """Answer with the name."""
    if given.name == "taken":
        raise TakenError
    return {"greeted": given.name}


def answering(result: object) -> Any:
    """Return a handler that answers with *result*."""
    return lambda *_: result


def raising(error: Exception) -> Any:
    """Return a handler that raises *error*."""

    def handler(*_: object) -> None:
        raise error

    return handler


def test_the_answer_of_an_operation_comes_back(functions: Functions) -> None:
    """An alias is invoked once, by its whole ARN, and what it returns is returned."""
    functions.handlers[NAME] = greet
    assert invoke(NAME, {"name": "\u00e9"}) == {"greeted": "\u00e9"}
    assert functions.calls == {NAME: 1}


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"name": "taken"}, "urn:portcullis:problem:test-taken"),
        ({"name": 1}, "urn:portcullis:problem:invalid-body"),
    ],
)
def test_a_refusal_is_an_answer(functions: Functions, payload: Any, kind: str) -> None:
    """The problem of an operation reaches its caller, who knows what it means."""
    functions.handlers[NAME] = greet
    assert invoke(NAME, payload)["type"] == kind
    assert functions.calls == {NAME: 1}


@pytest.mark.parametrize("error", [InfrastructureError("a secret"), ValueError("a secret")])
def test_a_failed_function_is_not_asked_again(functions: Functions, error: Exception) -> None:
    """A function that raises has failed: its caller hears no word of why."""
    functions.handlers[NAME] = raising(error)
    with pytest.raises(FunctionError) as failure:
        invoke(NAME, {})
    assert "secret" not in str(failure.value)
    assert functions.calls == {NAME: 1}


@pytest.mark.parametrize("trouble", ["failing", "throttled", "losing"])
def test_trouble_is_met_twice_at_most(functions: Functions, trouble: str) -> None:
    """An error of Lambda's, a throttle and a lost answer are tried again once, then fail."""
    functions.handlers[NAME] = answering({})
    getattr(functions, trouble).add(NAME)
    with pytest.raises(FunctionError):
        invoke(NAME, {})
    assert functions.calls == {NAME: clients.ATTEMPTS_MAX}


def test_a_function_that_is_not_there_fails(functions: Functions) -> None:
    """An unknown name is a failure of ours, not a refusal."""
    with pytest.raises(FunctionError, match="ResourceNotFoundException"):
        invoke(NAME, {})
    assert functions.calls == {NAME: 1}


@pytest.mark.parametrize("result", [None, [], "text", 1, True])
def test_an_answer_that_is_no_object_is_none(functions: Functions, result: object) -> None:
    """Only a JSON object is an answer."""
    functions.handlers[NAME] = answering(result)
    with pytest.raises(FunctionError, match="object"):
        invoke(NAME, {})


def test_an_answer_has_a_largest_size(functions: Functions) -> None:
    """One byte more than the limit is refused; the limit itself is not."""
    frame = len(json.dumps({"text": ""}))
    functions.handlers[NAME] = answering({"text": "x" * (ANSWER_BYTES_MAX - frame)})
    assert len(invoke(NAME, {})["text"]) == ANSWER_BYTES_MAX - frame
    functions.handlers[NAME] = answering({"text": "x" * (ANSWER_BYTES_MAX - frame + 1)})
    with pytest.raises(FunctionError, match="large"):
        invoke(NAME, {})


def test_a_silent_function_is_given_up(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller waits for an answer as long as its limit says, and not longer."""
    monkeypatch.setattr(clients, "INVOCATION_TIMEOUT_S", 0.05)
    done = threading.Event()
    functions.handlers[NAME] = lambda *_: done.wait(10) and {}
    try:
        with pytest.raises(FunctionError, match="ReadTimeoutError"):
            invoke(NAME, {})
    finally:
        done.set()
