"""The environment a handler runs in."""

import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.local.emulators import Emulator

# Developer guide, "Defined runtime environment variables", with the endpoint that stands for AWS.
GIVEN = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "LANG",
    "PATH",
    "TZ",
    "_HANDLER",
}
# Python's own, where the named locale is not installed (PEP 538).
OF_PYTHON = {"LC_CTYPE"}
QUIET_CALL_SECONDS_MAX = 0.03


def told(emulator: Emulator) -> dict[str, Any]:
    """Return what the echo function saw of its surroundings."""
    answer: dict[str, Any] = emulator.public.send("GET", "/echo").json()
    return answer


def test_environment_is_lambdas(stock: Emulator, ours: Emulator) -> None:
    """A handler sees Lambda's variables and its own, and none of the host's."""
    assert told(stock)["environment"]["HOST_SECRET"] == "of the host"
    seen = told(ours)["environment"]
    assert set(seen) - OF_PYTHON == GIVEN | {"OWN_VARIABLE"}
    assert seen["OWN_VARIABLE"] == "own"


def test_interpreter_is_bare(stock: Emulator, ours: Emulator) -> None:
    """A handler can import nothing that it did not bring."""
    assert told(stock)["importable"] == ["ministack", "boto3"]
    assert told(ours)["importable"] == []


def test_exception_keeps_the_sandbox(stock: Emulator, ours: Emulator) -> None:
    """A handler's exception does not end its process."""

    def survives(emulator: Emulator) -> bool:
        before = told(emulator)
        emulator.public.send("GET", "/echo?fail=1")
        after = told(emulator)
        return bool(after["pid"] == before["pid"] and after["calls"] == before["calls"] + 2)

    assert not survives(stock)
    assert survives(ours)


def test_quiet_call_waits_for_no_log(stock: Emulator, ours: Emulator) -> None:
    """A warm call that logs nothing is not held up."""

    def seconds(emulator: Emulator) -> float:
        lambda_ = emulator.root("lambda")
        taken = []
        for _ in range(6):
            start = time.monotonic()
            lambda_.invoke(FunctionName="echo", Payload=b"{}")
            taken.append(time.monotonic() - start)
        return min(taken)

    assert seconds(stock) > QUIET_CALL_SECONDS_MAX
    assert seconds(ours) < QUIET_CALL_SECONDS_MAX


def test_log_is_complete(ours: Emulator) -> None:
    """What a handler prints, and the trace of what it raises, is in its log at once."""
    ours.public.send("GET", "/echo?print=this&fail=1")
    logs = ours.root("logs")
    events = logs.filter_log_events(logGroupName="/aws/lambda/echo")["events"]
    written = "\n".join(event["message"] for event in events)
    assert "said this" in written
    assert "ValueError: a secret reason" in written


def test_silent_function_times_out(ours: Emulator) -> None:
    """A handler that does not answer in time is ended, and the next call gets a new process."""
    source = "import time\ndef handler(event, _): time.sleep(event['s'])"
    call = _function(ours, "sleeper", source, timeout_s=1)
    assert "timed out" in call(5)["Payload"].read().decode()
    assert "FunctionError" not in call(0)


def test_init_failure_is_the_functions_error(ours: Emulator) -> None:
    """A module that cannot be imported fails the call."""
    answer = _function(ours, "broken", "import boto3")(0)
    assert answer["FunctionError"]
    assert "No module named 'boto3'" in answer["Payload"].read().decode()


AT_ONCE = 8
SLOW_START = """
import os, time

began = time.monotonic()
time.sleep(0.2)
ended = time.monotonic()

def handler(event, _):
    time.sleep(2)
    return [began, ended]
"""
FAILS_WHILE_MARKED = """
import os, time

if os.path.exists({mark!r}):
    raise RuntimeError("not now")

def handler(event, _):
    time.sleep(event["s"])
"""


def test_environments_come_up_as_there_are_processors(ours: Emulator) -> None:
    """A crowd of first calls does not share processors while it starts, so none starts too late."""
    call = _function(ours, "crowd", SLOW_START)
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        spans = {tuple(json.load(one["Payload"])) for one in crowd.map(call, [0] * AT_ONCE)}
    assert len(spans) > 1, "one environment served all"
    together = [sum(b <= began < e for b, e in spans) for began, _ in spans]
    assert max(together) <= (os.cpu_count() or 1)


def test_init_failure_takes_no_other_environment_down(ours: Emulator, tmp_path: Path) -> None:
    """While one environment of a function cannot start, a call in another is answered."""
    mark = tmp_path / "mark"
    call = _function(ours, "fragile", FAILS_WHILE_MARKED.format(mark=str(mark)))
    assert "FunctionError" not in call(0)
    with ThreadPoolExecutor(1) as beside:
        busy = beside.submit(call, 1)
        time.sleep(0.3)
        mark.touch()
        assert "not now" in call(0)["Payload"].read().decode()
        assert "FunctionError" not in busy.result()
    mark.unlink()
    assert "FunctionError" not in call(0)


def _function(
    emulator: Emulator, name: str, source: str, *, timeout_s: int = 30
) -> Callable[[int], dict[str, Any]]:
    """Make a function; what is returned calls it with `s` seconds to wait."""
    lambda_ = emulator.root("lambda")
    lambda_.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=lambda_.get_function(FunctionName="echo")["Configuration"]["Role"],
        Timeout=timeout_s,
        Code={"ZipFile": _zip(source)},
    )

    def call(seconds: int) -> dict[str, Any]:
        payload = json.dumps({"s": seconds}).encode()
        answer: dict[str, Any] = lambda_.invoke(FunctionName=name, Payload=payload)
        return answer

    return call


def _zip(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("index.py", source)
    return archive.getvalue()
