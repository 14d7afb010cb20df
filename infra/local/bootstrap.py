"""What runs inside a sandbox: the loop of a Lambda execution environment.

Started by the function's own bare interpreter, so it uses nothing but the standard library. It
talks to the launcher over one inherited socket; stdout and stderr belong to the handler.
"""

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

CODE_ROOT = "LAMBDA_TASK_ROOT"
TRACE_ID = "_X_AMZN_TRACE_ID"

_real_time = time.time


class Context:
    """The documented attributes of the `context` argument."""

    identity = None
    client_context = None

    def __init__(self, call: dict[str, Any]) -> None:
        self.aws_request_id: str = call["request_id"]
        self.invoked_function_arn: str = call["invoked_function_arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline_s = time.monotonic() + call["timeout_s"]

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the handler may still run, in milliseconds."""
        return max(0, int((self._deadline_s - time.monotonic()) * 1000))


def serve(connection: Connection, layers: list[str]) -> None:
    """Load the handler once, then answer one call after the other until the launcher hangs up."""
    sys.path[:0] = [os.environ[CODE_ROOT], *_layer_paths(layers)]
    try:
        module_name, _, name = os.environ["_HANDLER"].replace("/", ".").rpartition(".")
        handler = getattr(importlib.import_module(module_name), name)
    except BaseException as error:  # noqa: BLE001 — an import may raise anything, SystemExit too
        traceback.print_exc()
        _send(connection, _failure(error))
        return
    _send(connection, {"status": "ready"})
    while True:
        try:
            call = json.loads(connection.recv_bytes())
        except EOFError:
            os._exit(0)  # a sandbox is dropped, not tidied up: that would take a second of CPU
        _send(connection, _answer(handler, call))


def _answer(handler: Callable[[Any, Context], Any], call: dict[str, Any]) -> dict[str, Any]:
    if call["trace_id"]:
        os.environ[TRACE_ID] = call["trace_id"]
    else:
        os.environ.pop(TRACE_ID, None)
    if "clock_ahead_s" in call:
        _move_clock(call["clock_ahead_s"])
    try:
        result = handler(call["event"], Context(call))
        json.dumps(result)
    except Exception as error:  # noqa: BLE001 — whatever a handler raises is the function's error
        traceback.print_exc()
        return _failure(error)
    return {"status": "ok", "result": result}


def _move_clock(ahead_s: int) -> None:
    # Only this one function of the interpreter: `datetime`, by which AWS is signed to, stays right.
    time.time = lambda: _real_time() + ahead_s


def _failure(error: BaseException) -> dict[str, Any]:
    return {"status": "error", "error": str(error), "error_type": type(error).__name__}


def _layer_paths(layers: list[str]) -> list[str]:
    return [
        str(path)
        for layer in layers
        for path in (
            Path(layer, "python", "lib", "python3.13", "site-packages"),
            Path(layer, "python"),
        )
        if path.is_dir()
    ]


def _send(connection: Connection, message: dict[str, Any]) -> None:
    # The launcher reads the log as soon as it has the answer.
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), sys.argv[2:])
