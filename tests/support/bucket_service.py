"""A bucket on loopback that speaks S3's `PutObject` and `GetObject`, and can fail."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from tests.support import loopback


class BucketService:
    """Objects by their keys. A key is written once, and only with `If-None-Match: *`.

    Attributes:
        endpoint: Where it listens.
        objects: What is stored, by bucket and key.
        failing: Whether S3 answers with an error of its own, and writes nothing.
        losing: Whether it writes, and then answers with an error.
        conflicts: How many more writes are told that another one is on its way (409).
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.objects: dict[str, bytes] = {}
        self.failing = False
        self.losing = False
        self.conflicts = 0
        self._lock = threading.Lock()

    def put(self, path: str, condition: str | None, body: bytes) -> tuple[int, bytes]:
        """Return the status and the XML of one write."""
        with self._lock:
            if condition != "*":
                return HTTPStatus.FORBIDDEN, _error("AccessDenied")
            if self.failing:
                return HTTPStatus.INTERNAL_SERVER_ERROR, _error("InternalError")
            if self.conflicts:
                self.conflicts -= 1
                return HTTPStatus.CONFLICT, _error("ConditionalRequestConflict")
            if path in self.objects:
                return HTTPStatus.PRECONDITION_FAILED, _error("PreconditionFailed")
            self.objects[path] = body
            if self.losing:
                return HTTPStatus.INTERNAL_SERVER_ERROR, _error("InternalError")
        return HTTPStatus.OK, b""

    def get(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body of one read."""
        if self.failing:
            return HTTPStatus.INTERNAL_SERVER_ERROR, _error("InternalError")
        if path not in self.objects:
            return HTTPStatus.NOT_FOUND, _error("NoSuchKey")
        return HTTPStatus.OK, self.objects[path]


@contextmanager
def running() -> Iterator[BucketService]:
    """Run a bucket service on a free loopback port."""
    with loopback.serving(_Handler, BucketService) as service:
        yield service


class _Handler(loopback.Handler):
    service: BucketService

    def do_PUT(self) -> None:  # noqa: N802 the base class calls it so
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(*self.service.put(self.path[1:], self.headers["If-None-Match"], body))

    def do_GET(self) -> None:  # noqa: N802 the base class calls it so
        self._answer(*self.service.get(self.path[1:]))

    def handle_expect_100(self) -> bool:
        # The SDK sends no body until it hears this, and answers are buffered here.
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code></Error>".encode()
