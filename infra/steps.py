"""Run one visible step: its title, its time, and what it said if it failed."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TICK_S = 5
"""A dot is printed this often while a step runs."""
STEP_S_MAX = 900
OUTPUT_LINES_SHOWN = 20


class StepFailedError(Exception):
    """A step ended with an error, or took longer than `STEP_S_MAX`; its text is for the caller."""


def run_step(
    title: str, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path
) -> None:
    """Run `command`, its output into `log`.

    Raises:
        StepFailedError: it failed; the text ends with the last lines of its output.
    """
    began = time.monotonic()
    print(f"{title} .", end="", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            status = _wait(process, began)
        finally:
            process.terminate()
    print(f" {time.monotonic() - began:.1f} s", flush=True)
    if status != 0:
        raise StepFailedError(f"{title}: failed ({log})\n{last_lines(log)}")


def last_lines(log: Path, count: int = OUTPUT_LINES_SHOWN) -> str:
    """Return the end of a log, empty lines left out."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([line for line in lines if line.strip()][-count:])


def _wait(process: subprocess.Popen[bytes], began: float) -> int | None:
    while time.monotonic() - began < STEP_S_MAX:
        try:
            return process.wait(timeout=TICK_S)
        except subprocess.TimeoutExpired:
            print(".", end="", flush=True)
    return None
