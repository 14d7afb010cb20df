"""Threads that do something at the same moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

BARRIER_TIMEOUT_S = 30.0


class Race[T]:
    """As many threads as it has lanes, started together, again and again."""

    def __init__(self, lanes: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=lanes)
        self._start = threading.Barrier(lanes)

    def __enter__(self) -> Self:
        """Keep the threads ready for the first race."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the threads go."""
        self._pool.shutdown()

    def run(self, *deeds: Callable[[], T]) -> list[T | Exception]:
        """Do all deeds at once, one for each lane, and return what each returned or raised."""
        assert len(deeds) == self._start.parties
        return [outcome.result() for outcome in [self._pool.submit(self._do, d) for d in deeds]]

    def _do(self, deed: Callable[[], T]) -> T | Exception:
        self._start.wait(BARRIER_TIMEOUT_S)
        try:
            return deed()
        except Exception as refusal:  # noqa: BLE001 each outcome is judged by the test
            return refusal


def split[T, R: Exception](
    outcomes: Sequence[T | Exception], *refusals: type[R]
) -> tuple[list[T], list[R]]:
    """Return what was granted and what was refused; any other error is the test's failure."""
    granted: list[T] = []
    refused: list[R] = []
    for outcome in outcomes:
        if isinstance(outcome, refusals):
            refused.append(outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            granted.append(outcome)
    return granted, refused
