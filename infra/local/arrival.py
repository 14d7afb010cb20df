"""A request as it arrived on the wire, kept beside what the emulator makes of it."""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

# A loopback test names the caller's address here; only a launcher told to trust it reads it,
# and it never travels further.
SOURCE_HEADER = "x-local-source-ip"
LOOPBACK = "127.0.0.1"


@dataclass
class Arrival:
    """One HTTP request: its header lines in the client's case and order, and its peer.

    `authorizer` is filled in by the authorizer's answer, for gateway responses to quote.
    """

    header_lines: list[tuple[str, str]]
    source_ip: str
    authorizer: dict[str, str] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        """Return one value per name, the last line winning, as `headers` of a proxy event."""
        return {name: values[-1] for name, values in self.multi_value_headers().items()}

    def multi_value_headers(self) -> dict[str, list[str]]:
        """Return every line, grouped under the client's first spelling of the name."""
        spelling: dict[str, str] = {}
        grouped: dict[str, list[str]] = {}
        for name, value in [*self._other_lines(), ("X-Forwarded-For", self._forwarded_for())]:
            grouped.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
        return grouped

    def _other_lines(self) -> list[tuple[str, str]]:
        return [line for line in self.header_lines if line[0].lower() != "x-forwarded-for"]

    def _forwarded_for(self) -> str:
        claimed = [value for name, value in self.header_lines if name.lower() == "x-forwarded-for"]
        return ", ".join([*claimed, self.source_ip])


CURRENT: ContextVar[Arrival | None] = ContextVar("arrival", default=None)


def arrival_of(
    scope: dict[str, Any], *, trust_source_header: bool
) -> tuple[Arrival, Iterable[tuple[bytes, bytes]]]:
    """Read *scope* and return the arrival with the header lines that may travel further."""
    lines = [(name, value) for name, value in scope["headers"] if name.lower() != _SOURCE_BYTES]
    named = [value.decode() for name, value in scope["headers"] if name.lower() == _SOURCE_BYTES]
    peer = (scope.get("client") or (LOOPBACK,))[0]
    source_ip = named[-1] if named and trust_source_header else peer
    decoded = [(name.decode("latin-1"), _text(value)) for name, value in lines]
    return Arrival(header_lines=decoded, source_ip=source_ip), lines


_SOURCE_BYTES = SOURCE_HEADER.encode()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
