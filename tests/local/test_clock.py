"""The handlers' clock: moved on request only, and never AWS's."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.clock import Clock
from tests.local.emulators import Emulator, our_emulator

SIX_HOURS_S = 21_600
NOW_S_MAX = 30
"""How late a slow machine may read the time it was asked for."""

DEFAULT_TIMEOUT_MS = 3000

SOURCE = """
import time
from datetime import UTC, datetime

def handler(event, context):
    return {
        "clock": time.time(),
        "aws": datetime.now(UTC).timestamp(),
        "monotonic": time.monotonic(),
        "left_ms": context.get_remaining_time_in_millis(),
    }
"""


def told(emulator: Emulator) -> dict[str, Any]:
    """Return what a handler reads from its clocks."""
    lambda_ = emulator.root("lambda")
    answer: dict[str, Any] = json.load(lambda_.invoke(FunctionName="clocks")["Payload"])
    return answer


def with_clocks(emulator: Emulator) -> Emulator:
    """Return the emulator with the function that reads clocks."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("index.py", SOURCE)
    lambda_ = emulator.root("lambda")
    lambda_.create_function(
        FunctionName="clocks",
        Runtime="python3.13",
        Handler="index.handler",
        Role=lambda_.get_function(FunctionName="echo")["Configuration"]["Role"],
        Code={"ZipFile": archive.getvalue()},
    )
    return emulator


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    """The file that moves the clock."""
    return Clock(tmp_path_factory.mktemp("clock") / "clock")


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Emulator]:
    """An emulator whose handlers' clock the file moves."""
    flags = ("--clock-file", str(clock.file))
    with our_emulator(tmp_path_factory.mktemp("moved"), *flags) as running:
        yield with_clocks(running)


def test_a_running_handler_sees_the_clock_move(moved: Emulator, clock: Clock) -> None:
    """Ahead, back and off: every call reads the file anew, in the process that is there."""
    for ahead_s in (0, SIX_HOURS_S, -60, 0):
        clock.put_ahead(ahead_s)
        assert told(moved)["clock"] == pytest.approx(time.time() + ahead_s, abs=NOW_S_MAX)
    clock.file.unlink()
    assert told(moved)["clock"] == pytest.approx(time.time(), abs=NOW_S_MAX)


def test_awss_time_is_not_moved(moved: Emulator, clock: Clock) -> None:
    """What AWS is signed to by, and what time-outs run by, stays this machine's."""
    clock.put_ahead(SIX_HOURS_S)
    seen = told(moved)
    clock.put_ahead(0)
    assert seen["aws"] == pytest.approx(time.time(), abs=NOW_S_MAX)
    assert seen["monotonic"] == pytest.approx(time.monotonic(), abs=NOW_S_MAX)
    assert 0 < seen["left_ms"] <= DEFAULT_TIMEOUT_MS


def test_a_broken_file_moves_nothing(moved: Emulator, clock: Clock) -> None:
    """A file that holds no number fails the call: a test never runs at a time it did not choose."""
    clock.file.write_text("six hours")
    answer = moved.root("lambda").invoke(FunctionName="clocks")
    clock.put_ahead(0)
    assert answer["FunctionError"]


def test_no_file_moves_a_clock_unasked(tmp_path: Path) -> None:
    """An emulator that was not told of a file has this machine's clock, whatever lies about."""
    with our_emulator(tmp_path) as unmoved:
        for folder in (tmp_path, tmp_path / "state"):
            Clock(folder / "clock").put_ahead(SIX_HOURS_S)
        assert told(with_clocks(unmoved))["clock"] == pytest.approx(time.time(), abs=NOW_S_MAX)
