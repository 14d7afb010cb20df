"""A service on loopback that speaks the range API of breached passwords, or whatever a test says.

It keeps what it was asked, so that a test can prove what never left.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX_CHARS = 5
POLL_S = 0.02

type Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    headers: Mapping[str, str]


@dataclass
class BreachService:
    """Knows some passwords, each with how often it was seen."""

    url: str
    known: dict[str, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    instead: Answer | None = None
    """What answers in its place."""

    def range(self, prefix: str) -> bytes:
        """Return the lines of a range, as the real service spells them, padded."""
        lines = [f"{'0' * 34}{n}:0" for n in range(3)]
        for password, count in self.known.items():
            digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
            if digest.startswith(prefix):
                lines.append(f"{digest[PREFIX_CHARS:]}:{count}")
        return "\r\n".join(lines).encode()


def reply(handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def running() -> Iterator[BreachService]:
    """Run a service on a free loopback port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    service = BreachService(f"http://127.0.0.1:{server.server_address[1]}/range")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"service": service})
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    service: BreachService

    def do_GET(self) -> None:
        self.service.asked.append(Asked(self.path, dict(self.headers.items())))
        if self.service.instead:
            self.service.instead(self)
        else:
            reply(self, self.service.range(self.path.rpartition("/")[2]))

    def log_message(self, *_: object) -> None:
        """Stay silent."""
