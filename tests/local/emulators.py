"""The stock emulator and ours, side by side: started, given one template, asked the same."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).parents[2]
TEMPLATE = Path(__file__).with_name("template.yaml")
STACK = "gaps"
REGION = "us-east-1"
READY_SECONDS = 15
POLL_SECONDS = 0.05
STOP_SECONDS = 15
# An unreserved key is the account's root to the emulator, whom no policy binds.
ROOT_KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

type HeaderLines = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Api:
    """Where one REST API answers, and what stands before its paths there."""

    port: int
    prefix: str = ""

    def send(
        self, method: str, path: str, headers: HeaderLines = (), body: bytes | None = None
    ) -> Answer:
        """Send one request with exactly these header lines."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest(method, self.prefix + path)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None and not any(n.lower() == "content-length" for n, _ in headers):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, fields, answer.read())


@dataclass(frozen=True)
class Emulator:
    """A running emulator with the template deployed."""

    port: int
    public: Api
    internal: Api
    outputs: dict[str, str]

    def root(self, service: str) -> Any:
        """Return a client of the account's root."""
        return client(self.port, service, ROOT_KEYS)

    def acting(self, service: str, *statements: dict[str, Any]) -> Any:
        """Return a client of a fresh role that holds exactly *statements*."""
        return client(self.port, service, self.credentials(*statements))

    def credentials(
        self, *statements: dict[str, Any], name: str | None = None, path: str = "/"
    ) -> dict[str, str]:
        """Return a session of a fresh role that holds exactly *statements*."""
        name = name or f"role-{uuid.uuid4().hex[:12]}"
        iam = self.root("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        role = iam.create_role(
            RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
        )["Role"]
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document)
        session = self.root("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")
        keys = session["Credentials"]
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }


def client(port: int, service: str, keys: dict[str, str]) -> Any:
    """Return a client of the emulator on *port* that never retries."""
    make: Any = boto3.client
    return make(
        service,
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{port}",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
        **keys,
    )


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def process(
    arguments: Sequence[str], port: int, log: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an emulator until its endpoint answers; end it, and see it end, on the way out."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_ready(running, port, log)
        yield running
    finally:
        running.terminate()
        running.wait(STOP_SECONDS)


def _await_ready(running: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert running.poll() is None, log.read_text()
        try:
            if Api(port).send("GET", "/_ministack/ready").status == 200:
                return
        except OSError:
            time.sleep(POLL_SECONDS)
    raise AssertionError(log.read_text())


@contextlib.contextmanager
def stock_emulator(folder: Path) -> Iterator[Emulator]:
    """Run the emulator as published, with IAM evaluation on."""
    port = free_port()
    environment = {
        **_host_environment(folder),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
    }
    with process(["-m", "ministack"], port, folder / "log", environment):
        outputs = deploy(port, TEMPLATE.read_text())
        yield Emulator(
            port=port,
            public=Api(port, f"/_aws/execute-api/{outputs['Public']}/v1"),
            internal=Api(port, f"/_aws/execute-api/{outputs['Internal']}/v1"),
            outputs=outputs,
        )


@contextlib.contextmanager
def our_emulator(folder: Path, *flags: str) -> Iterator[Emulator]:
    """Run our launcher of the same emulator."""
    port, public, internal = free_port(), free_port(), free_port()
    with our_process(folder, port, public, internal, *flags):
        outputs = deploy(port, TEMPLATE.read_text())
        yield Emulator(port=port, public=Api(public), internal=Api(internal), outputs=outputs)


def our_process(
    folder: Path, port: int, public: int, internal: int, *flags: str
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """Run our launcher, with nothing deployed but what its state holds."""
    return process(
        launch(folder, port, public, internal, *flags),
        port,
        folder / "log",
        _host_environment(folder),
    )


def launch(folder: Path, port: int, public: int, internal: int, *flags: str) -> list[str]:
    """Return the arguments that start our launcher."""
    ports = ["--port", port, "--public-port", public, "--internal-port", internal]
    where = ["--stack", STACK, "--state", folder / "state"]
    return ["-m", "infra.local.emulator", *map(str, [*ports, *where]), *flags]


def deploy(port: int, template: str, stack_name: str = STACK) -> dict[str, str]:
    """Create or update a stack and return its outputs."""
    cloudformation = client(port, "cloudformation", ROOT_KEYS)
    exists = any(s["StackName"] == stack_name for s in cloudformation.describe_stacks()["Stacks"])
    request = {
        "StackName": stack_name,
        "TemplateBody": template,
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    if exists:
        cloudformation.update_stack(**request)
    else:
        cloudformation.create_stack(**request)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(POLL_SECONDS)
    complete = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    assert stack["StackStatus"] in complete, cloudformation.describe_stack_events(
        StackName=stack_name
    )
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _host_environment(folder: Path) -> dict[str, str]:
    # HOST_SECRET stands for whatever a person's shell exports.
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "HOST_SECRET": "of the host",
    }
