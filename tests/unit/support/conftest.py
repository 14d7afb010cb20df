"""A door that writes down who called, and answers what it is told to."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True)
class Call:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first field of that name, or None."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


@dataclass
class Door:
    """A server on a free loopback port.

    Attributes:
        origin: Where it listens.
        calls: What came, in order.
        answers: What to answer, in order: status and body; 200 and `{}` when there is no more.
        nonces: The DPoP-Nonce of each answer, in order; none when there is no more.
    """

    origin: str
    calls: list[Call] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    nonces: list[str] = field(default_factory=list)

    def will_answer(self, status: int, **members: object) -> None:
        """Add a JSON answer to the end."""
        self.answers.append((status, json.dumps(members).encode()))


@pytest.fixture
def door() -> Iterator[Door]:
    """An open door with nothing to say."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = self.rfile.read(length)
            opened.calls.append(Call(self.command, self.path, self.headers.items(), body))
            status, answer = opened.answers.pop(0) if opened.answers else (200, b"{}")
            self.send_response(status)
            self.send_header("Set-Cookie", "first")
            self.send_header("Set-Cookie", "second")
            if opened.nonces:
                self.send_header("DPoP-Nonce", opened.nonces.pop(0))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        # The standard library calls the method of that name.
        do_GET = do_POST = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing: the calls are written down."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        opened = Door(origin=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield opened
        server.shutdown()
        thread.join()
