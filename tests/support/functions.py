"""Functions on loopback that answer Lambda's `Invoke`: handlers of this process, by their names.

It is Lambda as its caller sees it: the payload is JSON on both ways, and an exception is an answer
of status 200 that says so in a header.
"""

import importlib.util
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.support import loopback
from tests.support.events import Context

ROOT = Path(__file__).parents[2]
INVOCATION = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")

type Handler = Callable[[Any, Any], Any]


class Dropped(Exception):  # noqa: N818 it is an order to the connection, not an error of the test
    """Close the connection without an answer."""


class Functions:
    """What may be invoked, and what was.

    Attributes:
        endpoint: Where it listens.
        handlers: The handlers by the names they are invoked under; a test may add and replace.
        calls: How many invocations of each name came, every repetition counted.
        failing: Names that Lambda answers with an error of its own, without running them.
        throttled: Names that Lambda refuses to run now.
        losing: Names that run, and whose answer is lost on its way back.
    """

    def __init__(self, endpoint: str, handlers: Mapping[str, Handler]) -> None:
        self.endpoint = endpoint
        self.handlers = dict(handlers)
        self.calls: Counter[str] = Counter()
        self.failing: set[str] = set()
        self.throttled: set[str] = set()
        self.losing: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, name: str, raw: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, further headers and body that the caller is to hear.

        Raises:
            Dropped: nothing at all.
        """
        with self._lock:
            self.calls[name] += 1
        if name in self.failing:
            return _error(500, "ServiceException")
        if name in self.throttled:
            return _error(429, "TooManyRequestsException")
        if name not in self.handlers:
            return _error(404, "ResourceNotFoundException")
        reply = _run(self.handlers[name], name, raw)
        if name in self.losing:
            raise Dropped
        return reply


def handler_at(path: str) -> Handler:
    """Return the handler of the file *path* below the repository, which is loaded when invoked."""

    def invoke(event: Any, context: Any) -> Any:
        return _loaded(path)(event, context)

    return invoke


def _loaded(path: str) -> Handler:
    spec = importlib.util.spec_from_file_location(Path(path).parent.name, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler


def _run(handler: Handler, name: str, raw: bytes) -> tuple[int, Mapping[str, str], bytes]:
    try:
        result = handler(json.loads(raw), Context(function_name=name))
        return 200, {}, json.dumps(result).encode()
    except Exception as error:  # noqa: BLE001 whatever a handler raises is the function's error
        told = {"errorMessage": str(error), "errorType": type(error).__name__}
        return 200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(told).encode()


def _error(status: int, code: str) -> tuple[int, Mapping[str, str], bytes]:
    return status, {"X-Amzn-ErrorType": code}, json.dumps({"Message": code}).encode()


@contextmanager
def running(handlers: Mapping[str, Handler]) -> Iterator[Functions]:
    """Run Lambda on a free loopback port."""
    with loopback.serving(_Handler, lambda endpoint: Functions(endpoint, handlers)) as service:
        yield service


class _Handler(loopback.Handler):
    service: Functions

    def do_POST(self) -> None:  # noqa: N802 the base class calls it so
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        found = INVOCATION.fullmatch(self.path)
        assert found is not None
        try:
            status, headers, body = self.service.answer(unquote(found[1]), raw)
        except Dropped:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
