"""Run AWS on this machine: `python -m infra.local.emulator --port N --public-port P ...`.

One process: the emulator's own endpoint, and a listener for each of the stack's two APIs. It serves
until SIGTERM or SIGINT, then saves what it holds; the next start on the same folder loads it.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import Framework

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
SERVICE_UNAVAILABLE = 69  # sysexits(3) EX_UNAVAILABLE: a port is taken
KEEP_ALIVE_SECONDS = 75


class PortTakenError(RuntimeError):
    """Another process listens where this one should."""

    def __init__(self, port: int, reason: str | None) -> None:
        super().__init__(f"port {port} on {LOOPBACK} is taken: {reason}")


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop; return the exit code."""
    options = _options(arguments)
    ports = (options.port, options.public_port, options.internal_port)
    try:
        sockets = [_claim(port) for port in ports]
    except PortTakenError as error:
        print(error, file=sys.stderr)
        return SERVICE_UNAVAILABLE
    _settle(options)
    asyncio.run(_serve(options, sockets))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the emulator's own endpoint")
    parser.add_argument("--public-port", type=int, required=True, help="<stack>-public")
    parser.add_argument("--internal-port", type=int, required=True, help="<stack>-internal")
    parser.add_argument("--stack", required=True, help="name of the stack whose APIs are served")
    parser.add_argument("--state", type=Path, required=True, help="folder of the saved state")
    parser.add_argument(
        "--trust-source-header",
        action="store_true",
        help="let a loopback test name the caller's address by x-local-source-ip",
    )
    parser.add_argument(
        "--clock-file",
        type=Path,
        help="let a loopback test move the handlers' clock: the file holds the seconds it is ahead",
    )
    return parser.parse_args(arguments)


def _claim(port: int) -> socket.socket:
    claimed = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        claimed.bind((LOOPBACK, port))
        claimed.listen()
    except OSError as error:
        claimed.close()
        raise PortTakenError(port, error.strerror) from None
    return claimed


def _settle(options: argparse.Namespace) -> None:
    """Leave nothing of the host's environment but a path; the emulator reads the rest at import."""
    state: Path = options.state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    settings = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(state),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 — the host's own choice stands
        "LANG": "C.UTF-8",
        "AUTH": "true",
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(options.port),
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        "LOG_LEVEL": "WARNING",
        # With a Docker engine the emulator would remove other emulators' containers at its start.
        "DOCKER_HOST": f"unix://{state}/no-docker",
    }
    if options.clock_file is not None:
        settings["CLOCK_FILE"] = str(options.clock_file.resolve())
    os.environ.clear()
    os.environ.update(settings)


async def _serve(options: argparse.Namespace, sockets: list[socket.socket]) -> None:
    # The emulator reads its settings when it is imported, so it is imported now.
    from infra.local import edge, gaps, saving  # noqa: PLC0415

    gaps.close_all()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    trust = options.trust_source_header
    apps = [
        edge.endpoint(trust_source_header=trust),
        edge.listener(f"{options.stack}-public", trust_source_header=trust),
        edge.listener(f"{options.stack}-internal", trust_source_header=trust),
    ]
    saver = saving.QuietSaver()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(saver.run(stop))
        for app, claimed in zip(apps, sockets, strict=True):
            serving = serve(
                cast("Framework", saver.watching(app)), _config(claimed), shutdown_trigger=stop.wait
            )
            tasks.create_task(serving)


def _config(claimed: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{claimed.detach()}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.h11_pass_raw_headers = True  # header names in the client's case
    config.loglevel = "WARNING"
    return config


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
