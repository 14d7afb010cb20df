"""What the product asks of AWS: how often, and how many times it waits."""

import threading
import time
from typing import Any

from tests.support.faults import Proxy
from tests.support.key_service import KeyService

PAUSE_S = 0.02
"""Each call takes at least this long, so that calls on their way together are seen together."""


class Meter:
    """Counts what was asked of DynamoDB and KMS since it was read last."""

    def __init__(self, proxy: Proxy, keys: KeyService) -> None:
        self._proxy, self._keys = proxy, keys
        self.read()

    def read(self) -> dict[str, int]:
        """Return the counts by operation, and begin anew."""
        counts = dict(self._proxy.calls + self._keys.calls)
        self._proxy.calls.clear()
        self._keys.calls.clear()
        return counts


class Rounds:
    """Counts round trips on the critical path: calls that each began when the last had ended.

    It watches botocore's clients, in the threads that call.
    """

    def __init__(self, *clients: Any) -> None:
        self._spans: list[tuple[float, float]] = []
        self._own = threading.local()
        for client in clients:
            client.meta.events.register("before-call", self._begin)
            for end in ("after-call", "after-call-error"):
                client.meta.events.register(end, self._end)

    def read(self) -> int:
        """Return how many there were since it was read last."""
        rounds, free_at = 0, 0.0
        for began, ended in sorted(self._spans, key=lambda span: span[1]):
            if began >= free_at:
                rounds, free_at = rounds + 1, ended
        self._spans.clear()
        return rounds

    def _begin(self, **_: Any) -> None:
        self._own.began = time.monotonic()
        threading.Event().wait(PAUSE_S)

    def _end(self, **_: Any) -> None:
        self._spans.append((self._own.began, time.monotonic()))
