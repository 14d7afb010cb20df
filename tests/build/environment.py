"""A function in a fresh interpreter that has what Lambda gives it, and nothing of this machine's.

Its path holds the standard library, the function's folder and its layers; its environment what the
template sets and what Lambda itself adds. AWS is at a port where nobody listens.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.events import Event
from tests.support.sample_evidence import INTERNAL_ORIGIN, PUBLIC_ORIGIN
from tests.template.transformed import REGION, STACK, functions, readable, references, resources

INVOCATION_S_MAX = 60

NOWHERE = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""

RUNNER = """
import importlib.util, json, sys, time

path, probes = json.loads(sys.argv[1]), json.loads(sys.argv[2])
event = json.load(sys.stdin)
sys.path[:0] = path
connected = []

def watch(name, arguments):
    if name in ("socket.connect", "socket.getaddrinfo"):
        connected.append(str(arguments[-1] if name == "socket.connect" else arguments[:2]))

sys.addaudithook(watch)
started = time.process_time()
import handler
import_cpu_s = time.process_time() - started

class Context:
    function_name = "sample"

answer, raised = None, None
try:
    answer = handler.handler(event, Context())
except Exception as error:
    raised = type(error).__name__
print()
print(json.dumps({
    "answer": answer,
    "raised": raised,
    "connected": connected,
    "import_cpu_s": import_cpu_s,
    "importable": [name for name in probes if importlib.util.find_spec(name)],
    "path": sys.path,
}))
"""


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What one invocation did.

    Attributes:
        answer: What the function returned.
        raised: The class of the error that it ended with instead.
        connected: Every address that it tried to reach.
        import_cpu_s: The processor time that its imports took.
        importable: Those of the asked-for modules that it could import.
        path: Where it looks for modules.
        log: The lines that it logged.
    """

    answer: dict[str, Any] | None
    raised: str | None
    connected: list[str]
    import_cpu_s: float
    importable: list[str]
    path: list[str]
    log: list[dict[str, Any]]

    @property
    def check(self) -> str | None:
        """The check of evidence that failed, as the function logged it."""
        return next((line["check"] for line in self.log if "check" in line), None)


def invoke(
    built: Path, name: str, event: Event, *, kms: str = NOWHERE, probes: tuple[str, ...] = ()
) -> Invocation:
    """Invoke one built function, `<zone>/<endpoint>`, in an interpreter of its own."""
    deployed = name.replace("/", "-").replace("_", "-")
    folders = [
        built / _logical_id(deployed),
        *(built / layer / "python" for layer in _layers(deployed)),
    ]
    run = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-B", "-c", RUNNER),
            json.dumps([str(folder) for folder in folders]),
            json.dumps(probes),
        ],
        input=json.dumps(event),
        env=_environment(deployed, kms=kms),
        capture_output=True,
        text=True,
        timeout=INVOCATION_S_MAX,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    *log, result = [line for line in run.stdout.splitlines() if line]
    return Invocation(**json.loads(result), log=[json.loads(line) for line in log])


def _environment(deployed: str, *, kms: str) -> dict[str, str]:
    told: dict[str, str] = readable(functions()[deployed]["Environment"]["Variables"])
    origins = {"PUBLIC_ORIGIN": PUBLIC_ORIGIN, "INTERNAL_ORIGIN": INTERNAL_ORIGIN}
    return {
        **told,
        **origins,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "sample",
        "AWS_SECRET_ACCESS_KEY": "sample",
        "AWS_LAMBDA_FUNCTION_NAME": f"{STACK}-{deployed}",
        "AWS_ENDPOINT_URL": NOWHERE,
        "AWS_ENDPOINT_URL_KMS": kms,
    }


def _logical_id(deployed: str) -> str:
    (name,) = (
        name
        for name, function in resources("AWS::Lambda::Function").items()
        if readable(function["Properties"]["FunctionName"]) == f"{STACK}-{deployed}"
    )
    return name


def _layers(deployed: str) -> list[str]:
    attached = (one for layer in functions()[deployed]["Layers"] for one in references(layer))
    # A layer that is a parameter is somebody's own, and here there is none.
    ours = (layer for layer in attached if layer.startswith(("CoreLayer", "PasskeysLayer")))
    return [layer[: layer.index("Layer") + len("Layer")] for layer in ours]
