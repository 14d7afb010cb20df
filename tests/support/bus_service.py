"""A bus on loopback that speaks EventBridge's `PutEvents`, keeps what came, and can refuse."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.support import loopback

ENTRIES_MAX = 10


class BusService:
    """What was put on buses.

    Attributes:
        endpoint: Where it listens.
        taken: Every entry that was taken, in order, every repetition counted.
        requests: How many requests came.
        refusing: Asked of each entry; True refuses it, and the others of its request are taken.
        failing: Whether EventBridge answers with an error of its own, and takes nothing.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.taken: list[Mapping[str, Any]] = []
        self.requests = 0
        self.refusing: Callable[[Mapping[str, Any]], bool] = lambda _: False
        self.failing = False
        self._lock = threading.Lock()

    def answer(self, entries: list[Mapping[str, Any]]) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON of one request."""
        assert 0 < len(entries) <= ENTRIES_MAX
        with self._lock:
            self.requests += 1
            if self.failing:
                return 500, {"__type": "InternalException"}
            answers = [self._take(entry) for entry in entries]
        refused = sum("ErrorCode" in one for one in answers)
        return 200, {"FailedEntryCount": refused, "Entries": answers}

    def _take(self, entry: Mapping[str, Any]) -> dict[str, str]:
        if self.refusing(entry):
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "later"}
        self.taken.append(entry)
        return {"EventId": str(len(self.taken))}


@contextmanager
def running() -> Iterator[BusService]:
    """Run a bus service on a free loopback port."""
    with loopback.serving(_Handler, BusService) as service:
        yield service


class _Handler(loopback.Handler):
    service: BusService

    def do_POST(self) -> None:  # noqa: N802 the base class calls it so
        assert self.headers["X-Amz-Target"] == "AWSEvents.PutEvents"
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        status, members = self.service.answer(json.loads(raw)["Entries"])
        body = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
