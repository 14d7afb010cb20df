"""One HTTP request with every header under control, and its reply."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 35.0
"""Longer than the 29 s after which API Gateway answers by itself."""

type Headers = Sequence[tuple[str, str]]
"""Header fields in the order they are sent; a name may stand there twice."""


@dataclass(frozen=True)
class Reply:
    """What the server answered, refusal or not."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first field of that name, whatever its case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body; empty if the body holds none."""
        try:
            decoded = json.loads(self.body)
        except ValueError:
            return {}
        return decoded if isinstance(decoded, dict) else {}

    @property
    def problem(self) -> str | None:
        """The last part of a problem's type URN: `urn:portcullis:problem:<this>`."""
        kind = self.json.get("type")
        return kind.rpartition(":")[2] if isinstance(kind, str) else None


def send(
    origin: str,
    method: str,
    target: str,
    *,
    headers: Headers = (),
    body: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Reply:
    """Send one request on a connection of its own.

    `Host` and `Content-Length` are added unless `headers` brings its own; nothing else is.

    Args:
        origin: Scheme, host and port.
        method: The method, sent as it is.
        target: Path and query, sent as they are.
        headers: The header fields, in order, repetitions included.
        body: The raw body, or None for no body at all.
        timeout_s: Seconds to wait for the connection and for each read.

    Raises:
        OSError: There is nobody there, or no answer in time.
        http.client.HTTPException: The answer is not HTTP.
    """
    parts = urlsplit(origin)
    scheme = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    names = {name.lower() for name, _ in headers}
    with closing(scheme(parts.netloc, timeout=timeout_s)) as connection:
        connection.putrequest(method, target, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None and "content-length" not in names:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Reply(response.status, tuple(response.getheaders()), response.read())
