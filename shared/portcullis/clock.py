"""The clock: the only place that reads the time."""

import time
from datetime import UTC, datetime


def now_s() -> int:
    """Return the current Unix time in whole seconds."""
    return int(time.time())


def rfc3339(at_s: int) -> str:
    """Return a Unix time in seconds as RFC 3339 in UTC, such as ``2026-11-23T10:00:00Z``."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_rfc3339(text: str) -> int:
    """Return the Unix time in seconds that ``rfc3339`` made *text* of.

    Raises:
        ValueError: it made no such text.
    """
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp())
