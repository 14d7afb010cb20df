"""A handler runs in an environment that holds what Lambda gives it, and nothing else.

AWS: the process sees the documented variables, its role's credentials and its own variables
(developer guide, "Defined runtime environment variables"), imports from /var/task before /opt, and
survives a handler's exception. Stock: passes on the host's environment, runs on its own
interpreter with every package of its own, puts layers before the function, kills the process on an
exception, and waits up to 50 ms for a first log line. Here: one bare interpreter, a written list of
variables, one process per concurrent call, and a log file that is complete when the answer is. An
environment that does not come up fails its own call, and takes no other down; and as many come up
at once as there are processors, for on AWS each has its own.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
import venv
import zipfile
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from infra.local import bootstrap
from infra.local.clock import Clock
from infra.local.stock import require

RUNTIME = "python3.13"
# Init has ten seconds (developer guide, "Lambda execution environment lifecycle").
INIT_SECONDS = 10
# As the handler's guide documents; the emulator recognises a time-out by this sentence.
TIMED_OUT = "Task timed out after {seconds}.00 seconds"


_coming_up = threading.Semaphore(os.cpu_count() or 1)


class SandboxError(RuntimeError):
    """A function's execution environment could not be made."""

    def __init__(self, function: str, reason: str) -> None:
        super().__init__(f"{function}: {reason}")


class Sandbox:
    """One execution environment of one function version: a process that serves call after call.

    The emulator's pool leases it (`in_use`, `last_used`), starts it (`_spawn` under `_lock`) and
    ends it (`_proc`, `_discard_tmpdir`); those names are the pool's.
    """

    home: Path
    endpoint: str
    clock: Clock | None = None
    """What moves the handlers' clock, if anything does."""

    def __init__(self, func_name: str, config: dict[str, Any], code_zip: bytes) -> None:
        self.func_name = func_name
        self.config = config
        self.code_zip = code_zip
        self.in_use = False
        self.last_used = time.time()
        self._lock = threading.Lock()
        self._cold = True
        self._proc: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._log: io.FileIO | None = None

    def invoke(
        self,
        event: object,
        request_id: str,
        *,
        trace_id: str | None = None,
        invoked_function_arn: str | None = None,
        **_: object,
    ) -> dict[str, Any]:
        """Run one call; return the emulator's record of it, with the log written meanwhile."""
        with self._lock:
            cold = self._proc is None or self._proc.poll() is not None
            if cold:
                try:
                    self._spawn()
                except SandboxError as error:
                    # Raised, it would have the pool end every environment of the function.
                    return {"status": "error", "error": str(error), "cold_start": True, "log": ""}
                self._cold = False
            timeout_s = int(self.config.get("Timeout", 3))
            call = {
                "event": event,
                "request_id": request_id,
                "trace_id": trace_id,
                "invoked_function_arn": invoked_function_arn or self.config["FunctionArn"],
                "timeout_s": timeout_s,
            }
            if self.clock is not None:
                call["clock_ahead_s"] = self.clock.ahead_s()
            answer = self._exchange(json.dumps(call).encode(), timeout_s)
            return {**answer, "cold_start": cold, "log": self._drain_log()}

    def kill(self) -> None:
        """End the process."""
        lambda_runtime.kill_workers([self])

    def _spawn(self) -> None:
        self._hang_up()
        with _coming_up:
            self._come_up()

    def _come_up(self) -> None:
        layers = [self._unzipped(lambda_svc._resolve_layer_zip(layer)) for layer in self._layers()]
        code = self._unzipped(self.code_zip)
        ours, theirs = Pipe()
        self._connection = ours
        # Appending, so that what the process writes lands behind what it wrote, read or not.
        self._log = _log_file()
        self._proc = subprocess.Popen(
            [
                str(self.home / "python" / "bin" / "python"),
                # -P: the bootstrap's folder is not importable; -B: code is read-only on Lambda.
                "-PB",
                bootstrap.__file__,
                str(theirs.fileno()),
                *map(str, layers),
            ],
            cwd=code,
            env=self._environment(code),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        theirs.close()
        ready = self._exchange(None, INIT_SECONDS)
        if ready["status"] != "ready":
            log = self._drain_log()
            lambda_runtime.kill_workers([self])
            raise SandboxError(self.func_name, f"{ready['error']}\n{log}")

    def _exchange(self, call: bytes | None, timeout_s: int) -> dict[str, Any]:
        """Send *call*, if any, and wait for an answer; a silent process is ended."""
        connection = self._connection
        if connection is None:
            raise SandboxError(self.func_name, "the process is not running")
        try:
            if call is not None:
                connection.send_bytes(call)
            if connection.poll(timeout_s):
                answer: dict[str, Any] = json.loads(connection.recv_bytes())
                return answer
            error = TIMED_OUT.format(seconds=timeout_s)
        except (EOFError, OSError):
            error = "Runtime exited without providing a reason"
        if self._proc is not None:
            self._proc.kill()
            self._proc.wait()
        return {"status": "error", "error": error}

    def _environment(self, code: Path) -> dict[str, str]:
        config = self.config
        _, region = lambda_runtime._account_region_from_function_config(config)
        own: dict[str, str] = config.get("Environment", {}).get("Variables", {})
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            **own,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": self._log_group(),
            "AWS_LAMBDA_LOG_STREAM_NAME": uuid.uuid4().hex,
            "AWS_REGION": region,
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "LAMBDA_TASK_ROOT": str(code),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "TZ": ":UTC",
            "_HANDLER": config["Handler"],
            **lambda_runtime.execution_credentials(config),
        }

    def _log_group(self) -> str:
        usual = f"/aws/lambda/{self.config['FunctionName']}"
        chosen: str = self.config.get("LoggingConfig", {}).get("LogGroup", usual)
        return chosen

    def _layers(self) -> list[Any]:
        layers: list[Any] = self.config.get("Layers", [])
        return layers

    def _unzipped(self, archive: bytes | None) -> Path:
        """Return the folder with the archive's content, unzipped once per content."""
        if archive is None:
            raise SandboxError(self.func_name, "a layer does not exist")
        folder = self.home / "code" / hashlib.sha256(archive).hexdigest()
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=folder.parent))
            zipfile.ZipFile(io.BytesIO(archive)).extractall(fresh)
            try:
                fresh.rename(folder)
            except OSError:  # another call unzipped the same content first
                if not folder.is_dir():
                    raise
        return folder

    def _drain_log(self) -> str:
        if self._log is None:
            return ""
        log = self._log.fileno()
        written = os.pread(log, os.fstat(log).st_size, 0)
        os.ftruncate(log, 0)
        return written.decode(errors="replace").rstrip("\n")

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._log is not None:
            self._log.close()

    def _discard_tmpdir(self) -> None:
        self._hang_up()


def _log_file() -> io.FileIO:
    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    log = io.FileIO(os.open(name, os.O_RDWR | os.O_APPEND), "r+")
    Path(name).unlink()
    return log


def close() -> None:
    """Run every Python function in a `Sandbox`, and no function in anything else."""
    require(
        lambda_runtime,
        "_worker_class_for",
        "_account_region_from_function_config",
        "execution_credentials",
        "kill_workers",
    )
    require(lambda_svc, "_resolve_layer_zip")
    Sandbox.home = Path(os.environ["STATE_DIR"]).parent / "sandbox"
    if "CLOCK_FILE" in os.environ:
        Sandbox.clock = Clock(Path(os.environ["CLOCK_FILE"]))
    Sandbox.endpoint = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"
    if not (Sandbox.home / "python" / "bin" / "python").exists():
        venv.EnvBuilder(clear=True, symlinks=True).create(Sandbox.home / "python")
    # What earlier deployments unzipped would only grow.
    shutil.rmtree(Sandbox.home / "code", ignore_errors=True)

    def worker_class_for(config: dict[str, Any]) -> type[Sandbox]:
        if config.get("Runtime") != RUNTIME:
            raise SandboxError(config["FunctionName"], f"only {RUNTIME} runs here")
        return Sandbox

    lambda_runtime._worker_class_for = worker_class_for
