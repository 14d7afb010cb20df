"""The emulator's process: start it, find it again, stop it."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.build import ROOT
from infra.local.clock import Clock
from infra.steps import last_lines

MODULE = "infra.local.emulator"
READY_S_MAX = 30
STOP_S_MAX = 30
POLL_S = 0.05
REQUEST_S_MAX = 2
TRUST_SOURCE, CLOCK_FILE = "--trust-source-header", "--clock-file"

_children: dict[int, subprocess.Popen[bytes]] = {}
"""The emulators that this process started, and so has to collect when they end."""


class EmulatorError(Exception):
    """The emulator did not start; its text is for the person who starts it."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The three loopback ports of one stack."""

    public: int
    internal: int
    aws: int


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A running emulator. A staged one believes a test about the clock and callers' addresses."""

    pid: int
    ports: Ports
    home: Path
    staged: bool

    @property
    def clock(self) -> Clock:
        """What moves the handlers' clock, if this emulator is staged."""
        return Clock(_clock_file(self.home))

    def wait(self) -> int:
        """Return the exit status of an emulator that this process started, when it ends."""
        return _children[self.pid].wait()

    def stop(self) -> None:
        """End it, and with it every worker; it saves its state first.

        After `STOP_S_MAX` seconds it is killed, and what it had not saved is lost. If it has ended
        already, nothing is signalled: its number may be another process's by now.
        """
        if _alive(self):
            self._end()
        if child := _children.pop(self.pid, None):
            child.wait()
        if _recorded_pid(self.home) == self.pid:  # Not a later emulator's.
            _pid_file(self.home).unlink()
            shutil.rmtree(self.home / "tmp", ignore_errors=True)

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S_MAX
        while _alive(self) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        # A process group outlives its leader: what is left of this one are workers.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def spawn(*, name: str, ports: Ports, home: Path, staged: bool = False) -> Emulator:
    """Start an emulator that keeps everything it writes under `home`, and wait until it is ready.

    It inherits nothing of this environment: handlers would inherit it in turn. A staged one lets a
    test name callers' addresses (`arrival.SOURCE_HEADER`) and move the handlers' clock.

    Raises:
        EmulatorError: it ended, or was not ready after `READY_S_MAX` seconds.
    """
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    log = emulator_log(home)
    with log.open("wb") as output:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", MODULE, "--stack", name, "--state", str(home / "state")),
                *("--port", str(ports.aws), "--public-port", str(ports.public)),
                *("--internal-port", str(ports.internal)),
                *(_staging(home) if staged else ()),
            ],
            cwd=ROOT,
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "HOME": str(home),
                "TMPDIR": str(temporary),
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    _pid_file(home).write_text(f"{child.pid}\n")
    emulator = Emulator(pid=child.pid, ports=ports, home=home, staged=staged)
    try:
        await_ready(emulator)
    except BaseException:
        emulator.stop()
        raise
    return emulator


def await_ready(emulator: Emulator) -> None:
    """Wait until the emulator answers.

    Raises:
        EmulatorError: it ended, or was not ready after `READY_S_MAX` seconds.
    """
    deadline = time.monotonic() + READY_S_MAX
    while time.monotonic() < deadline:
        if not _alive(emulator):
            raise EmulatorError(_complaint(emulator.home, "ended while it started"))
        if _ready(emulator.ports.aws):
            return
        time.sleep(POLL_S)
    raise EmulatorError(_complaint(emulator.home, f"was not ready after {READY_S_MAX} s"))


def find(home: Path) -> Emulator | None:
    """Return the emulator that runs from `home`, or None.

    A process number in a file proves nothing: it counts only if that process is an emulator with
    this folder's state.
    """
    pid = _recorded_pid(home)
    if pid is None:
        return None
    command = _command(pid)
    ports = re.search(r"--port (\d+) --public-port (\d+) --internal-port (\d+)", command)
    if MODULE not in command or f"--state {home / 'state'} " not in command or ports is None:
        return None
    aws, public, internal = (int(port) for port in ports.groups())
    return Emulator(
        pid=pid,
        ports=Ports(public=public, internal=internal, aws=aws),
        home=home,
        staged=any(f"{flag} " in command for flag in (TRUST_SOURCE, CLOCK_FILE)),
    )


def started_at(home: Path) -> float:
    """Return when the emulator was started, in seconds since the epoch."""
    return _pid_file(home).stat().st_mtime


def emulator_log(home: Path) -> Path:
    """Return where an emulator's own output goes."""
    return home / "emulator.log"


def _pid_file(home: Path) -> Path:
    return home / "emulator.pid"


def _clock_file(home: Path) -> Path:
    return home / "clock"


def _staging(home: Path) -> tuple[str, ...]:
    return (TRUST_SOURCE, CLOCK_FILE, str(_clock_file(home)))


def _recorded_pid(home: Path) -> int | None:
    try:
        return int(_pid_file(home).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _command(pid: int) -> str:
    """Return a process's command line; empty if there is none, or it only waits to be collected."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _alive(emulator: Emulator) -> bool:
    if child := _children.get(emulator.pid):
        return child.poll() is None
    return MODULE in _command(emulator.pid)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_S_MAX)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _complaint(home: Path, what: str) -> str:
    log = emulator_log(home)
    return f"The local AWS {what} ({log})\n{last_lines(log)}"
