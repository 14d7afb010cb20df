"""The listeners: one API each, and nothing else."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.local.emulators import (
    ROOT,
    Api,
    Emulator,
    free_port,
    launch,
)

MAY_POST = {
    "Effect": "Allow",
    "Action": "execute-api:Invoke",
    "Resource": "arn:aws:execute-api:us-east-1:000000000000:*/v1/POST/postings",
}
MAY_READ = {**MAY_POST, "Resource": "arn:aws:execute-api:us-east-1:000000000000:*/v1/GET/*"}


def signed(
    api: Api, keys: dict[str, str], path: str = "/postings", body: bytes = b"{}"
) -> list[tuple[str, str]]:
    """Return the headers of a request signed for the listener's own host and path."""
    credentials = Credentials(
        keys["aws_access_key_id"], keys["aws_secret_access_key"], keys.get("aws_session_token")
    )
    request = AWSRequest("POST", f"http://127.0.0.1:{api.port}{path}", data=body)
    SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
    return [(name, value) for name, value in request.headers.items() if name != "Host"]


def test_signature_over_the_clients_own_path_verifies(ours: Emulator) -> None:
    """A request signed over this host and a path without a stage is served."""
    keys = ours.credentials(MAY_POST)
    answer = ours.internal.send("POST", "/postings", signed(ours.internal, keys), b"{}")
    assert answer.status == 200
    identity = answer.json()["event"]["requestContext"]["identity"]
    assert ":assumed-role/" in identity["userArn"]


def test_role_without_the_method_is_refused_in_the_apis_words(
    stock: Emulator, ours: Emulator
) -> None:
    """A role that may not invoke the method gets the API's ACCESS_DENIED response."""

    def refused(emulator: Emulator) -> tuple[int, bytes]:
        path = f"{emulator.internal.prefix}/postings"
        headers = signed(emulator.internal, emulator.credentials(MAY_READ), path)
        answer = emulator.internal.send("POST", "/postings", headers, b"{}")
        return answer.status, answer.body

    status, body = refused(stock)
    assert status == 403
    assert b"forbidden" not in body
    assert refused(ours) == (403, b'{"type": "forbidden"}')


@pytest.mark.parametrize(
    ("path", "body"),
    [("/postings?x=1", b"{}"), ("/elsewhere", b"{}"), ("/postings", b'{"other": 1}')],
    ids=["another query", "another path", "another body"],
)
def test_signature_is_for_what_it_covers(path: str, body: bytes, ours: Emulator) -> None:
    """A signature over another query, path or body does not serve this request."""
    headers = signed(ours.internal, ours.credentials(MAY_POST), path, body)
    answer = ours.internal.send("POST", "/postings", headers, b"{}")
    assert (answer.status, answer.json()) == (403, {"type": "invalid-signature"})


def test_second_authorization_line_is_no_identity(ours: Emulator) -> None:
    """A second Authorization line neither serves nor lends another caller's name."""
    mine, theirs = ours.credentials(MAY_READ), ours.credentials(MAY_POST)
    forged = [
        (name, value)
        for name, value in signed(ours.internal, theirs)
        if name in {"Authorization", "X-Amz-Security-Token"}
    ]
    for lines in (signed(ours.internal, mine) + forged, forged + signed(ours.internal, mine)):
        assert ours.internal.send("POST", "/postings", lines, b"{}").status == 403


def test_repeated_content_type_is_the_functions_business(ours: Emulator) -> None:
    """A repeated Content-Type reaches the function as two entries."""
    lines = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    answer = ours.public.send("POST", "/echo", lines, b"{}")
    entries = answer.json()["event"]["multiValueHeaders"]["Content-Type"]
    assert entries == ["application/json", "text/plain"]


def test_head_has_no_body(ours: Emulator) -> None:
    """A HEAD request is answered without a body."""
    answer = ours.public.send("HEAD", "/no/such/path")
    assert (answer.status, answer.body) == (404, b"")


def test_unsigned_call_is_refused(ours: Emulator) -> None:
    """A call without a signature is refused by the API."""
    answer = ours.internal.send("POST", "/postings", body=b"{}")
    assert (answer.status, answer.json()) == (403, {"type": "not-signed"})


@pytest.mark.parametrize(
    "path",
    [
        "/_ministack/health",
        "/_ministack/reset",
        "/health",
        "/_aws/execute-api/{Internal}/v1/postings",
        "/restapis/{Internal}/v1/_user_request_/postings",
        "/2015-03-31/functions",
    ],
)
def test_nothing_of_aws_is_reachable(path: str, ours: Emulator) -> None:
    """Every path of a listener is a path of its API, and unknown to it."""
    answer = ours.public.send("POST", path.format(**ours.outputs))
    assert answer.json()["type"] == "not-found"


def test_host_and_target_choose_no_other_service(ours: Emulator) -> None:
    """Neither a Host of AWS nor a target header leaves the API."""
    lines = [
        ("X-Amz-Target", "DynamoDB_20120810.ListTables"),
        ("Content-Type", "application/x-amz-json-1.0"),
    ]
    assert "TableNames" not in ours.public.send("POST", "/", lines, b"{}").body.decode()
    connection = socket.create_connection(("127.0.0.1", ours.public.port), timeout=5)
    host = f"{ours.outputs['Internal']}.execute-api.localhost"
    connection.sendall(
        f"GET /v1/postings HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    )
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    connection.close()
    assert b"404" in received.split(b"\r\n", 1)[0]


def test_body_over_the_limit_is_413(ours: Emulator) -> None:
    """A body of more than 10 MB gets the API's REQUEST_TOO_LARGE response."""
    answer = ours.public.send("POST", "/echo", body=bytes(10 * 1024 * 1024 + 1))
    assert (answer.status, answer.json()) == (413, {"type": "too-large"})


def test_taken_port_is_a_clear_refusal(ours: Emulator, tmp_path: Path) -> None:
    """A second launcher on a taken port says so and exits with its own code."""
    arguments = launch(tmp_path, ours.port, free_port(), free_port())
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 69
    assert (
        done.stderr.decode() == f"port {ours.port} on 127.0.0.1 is taken: Address already in use\n"
    )
