"""A loopback proxy before a DynamoDB endpoint: it counts, and injects what no emulator does.

A committed write whose answer is lost, a failure before the write, a cancelled transaction, and
a deed done at an exact moment between a caller's read and its write. Safe among threads.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.support import loopback

UPSTREAM_TIMEOUT_S = 30.0
SILENCE_S = 3.0
"""Longer than any read time-out of the product for one call to DynamoDB."""

ALWAYS = 1_000_000
"""As a fault's `times`: every matching request from then on."""

TRANSACTION = frozenset({"TransactWriteItems", "ExecuteTransaction"})
"""As a fault's operation: a transaction, of whichever of DynamoDB's two kinds."""

type Operation = str | frozenset[str]

type Body = Mapping[str, Any]
"""A request's JSON body."""

type Reply = tuple[int, bytes]


class Loss(Enum):
    """How an answer is lost on its way back."""

    DROPPED = auto()
    """The connection closes without an answer."""
    ERROR = auto()
    """DynamoDB answers 500 (`InternalServerError`)."""
    SILENCE = auto()
    """No answer comes before the caller's time-out."""


class Dropped(Exception):  # noqa: N818 it is an order to the connection, not an error of the test
    """Close the connection without an answer."""


def anything(_: Body) -> bool:
    """Match every request."""
    return True


@dataclass(kw_only=True)
class Fault:
    """What happens to some requests of one operation; `hits` counts those it happened to."""

    operations: frozenset[str]
    matching: Callable[[Body], bool]
    nth: int
    times: int
    happen: Callable[[Body, Callable[[], Reply]], Reply] = field(repr=False)
    matched: int = 0
    hits: int = 0

    def applies(self, operation: str, body: Body) -> bool:
        """Whether it happens to this request, which is then counted."""
        if operation not in self.operations or not self.matching(body):
            return False
        self.matched += 1
        if not self.nth <= self.matched < self.nth + self.times:
            return False
        self.hits += 1
        return True


class Proxy:
    """A DynamoDB endpoint that forwards to the real one, but for the faults it was given.

    Every fault takes the operation by its name in `X-Amz-Target` (such as `PutItem`) or as a set
    of names, and hits `times` requests from the `nth` on that match, counted from when it was
    given. A request is hit by the first fault that applies.

    Attributes:
        endpoint: Where it listens.
        calls: How many requests of each operation came, every repetition counted.
        without_idempotency: Whether `ClientRequestToken` is stripped, so that the repetition of
            a committed transaction meets its own conditions, not DynamoDB's ten-minute memory.
    """

    def __init__(self, endpoint: str, upstream: str) -> None:
        self.endpoint = endpoint
        self.calls: Counter[str] = Counter()
        self.without_idempotency = False
        self._upstream = urlsplit(upstream).netloc
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def lose_answer(
        self,
        operation: Operation,
        *,
        by: Loss = Loss.DROPPED,
        matching: Callable[[Body], bool] = anything,
        nth: int = 1,
        times: int = 1,
    ) -> Fault:
        """Let the engine do it, then lose its answer: committed, but its caller cannot know."""

        def happen(_: Body, forward: Callable[[], Reply]) -> Reply:
            forward()
            return _lost(by)

        return self._add(operation, matching, nth, times, happen)

    def fail_before(
        self,
        operation: Operation,
        *,
        by: Loss = Loss.ERROR,
        matching: Callable[[Body], bool] = anything,
        nth: int = 1,
        times: int = 1,
    ) -> Fault:
        """Fail without a word to the engine: nothing is done."""

        def happen(_: Body, _forward: Callable[[], Reply]) -> Reply:
            return _lost(by)

        return self._add(operation, matching, nth, times, happen)

    def cancel(
        self,
        operation: Operation,
        *reasons: str,
        matching: Callable[[Body], bool] = anything,
        nth: int = 1,
        times: int = 1,
    ) -> Fault:
        """Cancel a transaction with one reason's code for each of its actions, in order.

        Codes that are not given are `None`. Nothing reaches the engine.
        """

        def happen(body: Body, _: Callable[[], Reply]) -> Reply:
            return _cancelled(body, reasons)

        return self._add(operation, matching, nth, times, happen)

    def conflict(
        self,
        operation: Operation,
        *,
        matching: Callable[[Body], bool] = anything,
        nth: int = 1,
        times: int = 1,
    ) -> Fault:
        """Cancel a transaction because another one holds its first item: `TransactionConflict`."""
        return self.cancel(
            operation, "TransactionConflict", matching=matching, nth=nth, times=times
        )

    def refuse(
        self,
        operation: Operation,
        code: str,
        *,
        matching: Callable[[Body], bool] = anything,
        nth: int = 1,
        times: int = 1,
    ) -> Fault:
        """Answer 400 with an error's *code*. Nothing reaches the engine."""

        def happen(_: Body, _forward: Callable[[], Reply]) -> Reply:
            return 400, _error(code)

        return self._add(operation, matching, nth, times, happen)

    def leave_unprocessed(self, *, nth: int = 1, times: int = 1) -> Fault:
        """Answer a `BatchGetItem` with half of it: found nothing, and left every key undone."""

        def happen(body: Body, _: Callable[[], Reply]) -> Reply:
            asked = body["RequestItems"]
            reply = {"Responses": {table: [] for table in asked}, "UnprocessedKeys": asked}
            return 200, json.dumps(reply).encode()

        return self._add("BatchGetItem", anything, nth, times, happen)

    def meanwhile(
        self,
        operation: Operation,
        deed: Callable[[], object],
        *,
        matching: Callable[[Body], bool] = anything,
        nth: int = 1,
        times: int = 1,
    ) -> Fault:
        """Do *deed* after a request has come and before the engine hears of it."""

        def happen(_: Body, forward: Callable[[], Reply]) -> Reply:
            deed()
            return forward()

        return self._add(operation, matching, nth, times, happen)

    def count(self, operation: Operation) -> int:
        """Return how many requests of an operation came, every repetition counted."""
        names = {operation} if isinstance(operation, str) else operation
        return sum(self.calls[name] for name in names)

    def heal(self) -> None:
        """Forget every fault and every count."""
        with self._lock:
            self._faults.clear()
            self.calls.clear()
            self.without_idempotency = False

    def answer(self, operation: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        """Return what the caller is to hear.

        Raises:
            Dropped: nothing at all.
        """
        body = json.loads(raw)
        with self._lock:
            self.calls[operation] += 1
            if self.without_idempotency and body.pop("ClientRequestToken", None):
                raw = json.dumps(body).encode()
            hit = next((one for one in self._faults if one.applies(operation, body)), None)
        if hit is None:
            return self._forward(headers, raw)
        return hit.happen(body, lambda: self._forward(headers, raw))

    def _add(
        self,
        operation: Operation,
        matching: Callable[[Body], bool],
        nth: int,
        times: int,
        happen: Callable[[Body, Callable[[], Reply]], Reply],
    ) -> Fault:
        names = frozenset({operation}) if isinstance(operation, str) else operation
        fault = Fault(operations=names, matching=matching, nth=nth, times=times, happen=happen)
        with self._lock:
            self._faults.append(fault)
        return fault

    def _forward(self, headers: Mapping[str, str], raw: bytes) -> Reply:
        # The signature is over another Host and perhaps another body; DynamoDB Local takes any.
        with closing(HTTPConnection(self._upstream, timeout=UPSTREAM_TIMEOUT_S)) as connection:
            connection.request("POST", "/", body=raw, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.read()


@contextmanager
def running(upstream: str) -> Iterator[Proxy]:
    """Run a proxy on a free loopback port before the endpoint *upstream*."""
    with loopback.serving(_Handler, lambda endpoint: Proxy(endpoint, upstream)) as service:
        yield service


class _Handler(loopback.Handler):
    service: Proxy

    def do_POST(self) -> None:  # noqa: N802 the base class calls it so
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        kept = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        try:
            status, reply = self.service.answer(operation, headers, raw)
        except Dropped:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


def _lost(by: Loss) -> Reply:
    match by:
        case Loss.ERROR:
            return 500, _error("InternalServerError")
        case Loss.SILENCE:
            threading.Event().wait(SILENCE_S)
    raise Dropped


def _cancelled(body: Body, codes: Sequence[str]) -> Reply:
    actions = body.get("TransactItems") or body["TransactStatements"]
    padded = [*codes, *["None"] * (len(actions) - len(codes))]
    reasons = [{"Code": code, "Message": code} for code in padded]
    return 400, _error("TransactionCanceledException", CancellationReasons=reasons)


def _error(code: str, **members: object) -> bytes:
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    return json.dumps({"__type": kind, "Message": code, **members}).encode()
