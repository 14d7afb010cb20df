"""A service on loopback that speaks the range API of breached passwords, or whatever a test says.

It keeps what it was asked, so that a test can prove what never left.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support import loopback

PREFIX_CHARS = 5

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
    with loopback.serving(_Handler, lambda origin: BreachService(f"{origin}/range")) as service:
        yield service


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
