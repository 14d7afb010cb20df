"""Saving now and then, so that a killed emulator loses little.

The emulator saves when it is told to stop. A machine that is switched off tells nobody, so whatever
changed is also saved as soon as a second passes without a request; never while one is served,
because a save holds up everything for as long as it takes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ministack.app
from ministack.core import persistence

from infra.local.stock import require

QUIET_SECONDS = 1

type App = Callable[[Any, Any, Any], Awaitable[None]]


class QuietSaver:
    """Saves the emulator's state when requests came and went and no more are coming."""

    def __init__(self) -> None:
        require(ministack.app, "_build_persistence_save_dict")
        require(persistence, "save_all")
        self._begun = self._ended = self._saved = 0

    def watching(self, app: App) -> App:
        """Return *app* with its requests counted."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                return await app(scope, receive, send)
            self._begun += 1
            try:
                await app(scope, receive, send)
            finally:
                self._ended += 1

        return watched

    async def run(self, stop: asyncio.Event) -> None:
        """Save at each quiet moment until *stop*."""
        seen = 0
        while not stop.is_set():
            quiet = seen == self._begun == self._ended
            if quiet and seen != self._saved:
                persistence.save_all(ministack.app._build_persistence_save_dict())
                self._saved = seen
            seen = self._begun
            try:
                await asyncio.wait_for(stop.wait(), QUIET_SECONDS)
            except TimeoutError:
                continue
