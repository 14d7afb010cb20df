"""The stack on a laptop: run it, stop it, look at it.

    python -m infra.local.stack run [--detach] | stop | status | logs | clean

The environment chooses: STACK, PUBLIC_PORT, INTERNAL_PORT, AWS_PORT.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from infra.build import ROOT
from infra.local import deployment, logs, process, sandbox
from infra.local.deployment import DeploymentError
from infra.local.ports import PortError, chosen_ports, require_free
from infra.local.process import Emulator, EmulatorError, Ports
from infra.local.sandbox import SandboxError

USUAL_NAME = "portcullis"
NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
"""Names of functions and roles begin with it, and those have at most 64 characters."""


class StackError(Exception):
    """The stack cannot do what was asked; its text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A deployed stack, as its `stack.json` describes it."""

    stack: str
    public_origin: str
    internal_origin: str
    endpoint: str
    """AWS's own APIs: loopback, and not reachable through the two origins."""
    partner_key: str
    release: str
    pid: int

    @classmethod
    def read(cls, home: Path) -> "Stack":
        """Return the stack that was last deployed from `home`.

        Raises:
            StackError: none was.
        """
        try:
            return cls(**json.loads((home / "stack.json").read_text()))
        except FileNotFoundError:
            raise StackError(f"No stack was deployed from {home}: make run") from None

    def write(self, home: Path) -> None:
        """Describe the stack in `home`."""
        (home / "stack.json").write_text(json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True, kw_only=True)
class Running:
    """A deployed stack and the emulator under it."""

    stack: Stack
    emulator: Emulator
    joined: bool
    """It was running before."""

    def stop(self) -> None:
        """Stop it; its state is kept."""
        self.emulator.stop()


def chosen_name(environment: Mapping[str, str]) -> str:
    """Return the name that the environment chooses, or the usual one.

    Raises:
        StackError: it does not match `NAME`.
    """
    name = environment.get("STACK") or USUAL_NAME
    if not NAME.fullmatch(name):
        raise StackError(f"STACK must match {NAME.pattern}, not {name!r}")
    return name


def home_of(name: str) -> Path:
    """Return the folder of the stack `name`: its state, its logs, its partner's key."""
    return ROOT / ".local" / name


def start(
    *, name: str, ports: Ports, home: Path, project: Path = ROOT, staged: bool = False
) -> Running:
    """Build `project` and deploy it as the stack `name`, onto its running emulator or a new one.

    An emulator that this call started is stopped again if the stack does not come up. A staged one
    (`process.spawn`) is for tests and the drill: `run` starts none, and joins none.

    Raises:
        StackError: it did not come up.
    """
    if platform.system() != "Linux":
        raise StackError("The functions' libraries are built for Linux: use Linux, WSL or a VM.")
    try:
        found = _find(name=name, ports=ports, home=home, staged=staged)
        emulator = found or process.spawn(name=name, ports=ports, home=home, staged=staged)
        try:
            stack = _bring_up(name=name, emulator=emulator, project=project)
        except BaseException:
            if not found:
                emulator.stop()
            raise
    except (PortError, EmulatorError, DeploymentError, SandboxError) as error:
        raise StackError(str(error)) from error
    return Running(stack=stack, emulator=emulator, joined=found is not None)


def _find(*, name: str, ports: Ports, home: Path, staged: bool) -> Emulator | None:
    running = process.find(home)
    if running is None:
        require_free(ports)
        return None
    if running.ports != ports:
        other = running.ports
        raise StackError(
            f"{name} is running on other ports ({other.public}, {other.internal}, {other.aws}): "
            "make stop first, or choose another STACK"
        )
    if running.staged != staged:
        raise StackError(
            f"{name} {'is' if running.staged else 'is not'} staged for tests, which may move its "
            "clock: make stop first"
        )
    print(f"{name} is already running (pid {running.pid}): deploying onto it")
    process.await_ready(running)
    return running


def _bring_up(*, name: str, emulator: Emulator, project: Path) -> Stack:
    home, ports = emulator.home, emulator.ports
    stack = Stack(
        stack=name,
        public_origin=f"http://localhost:{ports.public}",
        internal_origin=f"http://127.0.0.1:{ports.internal}",
        endpoint=f"http://127.0.0.1:{ports.aws}",
        partner_key=str(sandbox.partner_key(home)),
        release="",
        pid=emulator.pid,
    )
    release = deployment.deploy(
        project=project,
        name=name,
        endpoint=stack.endpoint,
        origins={"PublicOrigin": stack.public_origin, "InternalOrigin": stack.internal_origin},
        log=home / "deploy.log",
    )
    sandbox.register_partner(name=name, endpoint=stack.endpoint, key=Path(stack.partner_key))
    stack = replace(stack, release=release)
    stack.write(home)
    return stack


def run(name: str, *, detach: bool) -> None:
    """Start the stack and, unless detached, stay until Ctrl-C or SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    running = start(name=name, ports=chosen_ports(os.environ), home=home_of(name))
    stack = running.stack
    print(
        f"\nPortcullis is running, release {stack.release}\n"
        f"  public API    {stack.public_origin}\n"
        f"  internal API  {stack.internal_origin}\n"
        f"  AWS endpoint  {stack.endpoint}\n"
        "Try next: make demo | make status | make logs\n"
        f"          curl {stack.public_origin}/.well-known/jwks.json",
        flush=True,
    )
    if detach or running.joined:
        print("Stop it with: make stop", flush=True)
        return
    print("Ctrl-C stops it.", flush=True)
    try:
        status = running.emulator.wait()
    except KeyboardInterrupt:
        # From here it ends by itself; a second Ctrl-C must not lose what it is saving.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        status = 0
        print("\nStopping", flush=True)
    running.stop()
    if status not in {0, -signal.SIGTERM}:
        raise StackError(f"The local AWS ended by itself: {process.emulator_log(home_of(name))}")
    print(f"Stopped. State is kept in {home_of(name)}")


def stop(name: str) -> None:
    """Stop the stack; its state is kept."""
    emulator = process.find(home_of(name))
    if emulator is None:
        print(f"{name} is not running")
        return
    emulator.stop()
    print(f"{name} is stopped. State is kept in {home_of(name)}")


def status(name: str) -> None:
    """Say whether the stack runs, where, since when and which release."""
    home = home_of(name)
    emulator = process.find(home)
    if emulator is None:
        print(f"{name} is not running")
        return
    uptime_s = int(time.time() - process.started_at(home))
    stack = Stack.read(home)
    print(
        f"{name} is running (pid {emulator.pid}, {uptime_s // 60} min {uptime_s % 60} s), "
        f"release {stack.release}\n"
        f"  public API    {stack.public_origin}\n"
        f"  internal API  {stack.internal_origin}\n"
        f"  AWS endpoint  {stack.endpoint}"
    )


def show_logs(name: str) -> None:
    """Print what the stack says, until Ctrl-C."""
    home = home_of(name)
    if process.find(home) is None:
        raise StackError(f"{name} is not running: make run")
    try:
        logs.follow(name=name, endpoint=Stack.read(home).endpoint, home=home)
    except KeyboardInterrupt:
        return


def clean(name: str) -> None:
    """Stop the stack and remove its state and every build."""
    stop(name)
    for folder in (home_of(name), ROOT / ".aws-sam"):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # Another stack's folder is still there, or nothing was.
        home_of(name).parent.rmdir()
    print(f"Removed {home_of(name)} and {ROOT / '.aws-sam'}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Do what the command line says; an error is a sentence on stderr, not a stack trace."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.stack", description=__doc__)
    parser.add_argument("command", choices=["run", "stop", "status", "logs", "clean"])
    parser.add_argument("--detach", action="store_true", help="return when the stack is ready")
    arguments = parser.parse_args()
    try:
        name = chosen_name(os.environ)
        match arguments.command:
            case "run":
                run(name, detach=arguments.detach)
            case "stop":
                stop(name)
            case "status":
                status(name)
            case "logs":
                show_logs(name)
            case "clean":
                clean(name)
    except (StackError, PortError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
