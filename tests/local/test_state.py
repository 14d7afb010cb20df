"""What a stopped, and what a killed emulator still holds when it starts again."""

import signal
import time
from pathlib import Path

import pytest

from tests.local.emulators import (
    POLL_SECONDS,
    ROOT_KEYS,
    TEMPLATE,
    Api,
    client,
    deploy,
    free_port,
    our_process,
)

# One quiet second brings a save; the rest is the save itself on a slow machine.
SAVED_SECONDS = 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_state_survives_a_stop(number: signal.Signals, tmp_path: Path) -> None:
    """After a stop and a start, tables, objects, keys, functions and APIs are as they were."""
    ports = free_port(), free_port(), free_port()
    endpoint, public = ports[0], Api(ports[1])
    with our_process(tmp_path, *ports) as running:
        assert public.send("GET", "/echo").status == 503
        outputs = deploy(endpoint, TEMPLATE.read_text())
        client(endpoint, "dynamodb", ROOT_KEYS).put_item(
            TableName="journal", Item={"pk": {"S": "kept"}}
        )
        s3 = client(endpoint, "s3", ROOT_KEYS)
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="kept", Body=b"kept")
        sealed = client(endpoint, "kms", ROOT_KEYS).encrypt(
            KeyId=outputs["Seal"], Plaintext=b"kept"
        )
        running.send_signal(number)
        assert running.wait(15) == 0
    with our_process(tmp_path, *ports):
        table = client(endpoint, "dynamodb", ROOT_KEYS)
        assert "Item" in table.get_item(TableName="journal", Key={"pk": {"S": "kept"}})
        kept = client(endpoint, "s3", ROOT_KEYS).get_object(Bucket="kept", Key="kept")
        assert kept["Body"].read() == b"kept"
        opened = client(endpoint, "kms", ROOT_KEYS).decrypt(CiphertextBlob=sealed["CiphertextBlob"])
        assert opened["Plaintext"] == b"kept"
        assert public.send("GET", "/guarded/x", [("Verdict", "allow")]).status == 200
        assert public.send("GET", "/guarded/x", [("Verdict", "replayed")]).status == 401
        (stack,) = client(endpoint, "cloudformation", ROOT_KEYS).describe_stacks()["Stacks"]
        assert {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]} == outputs


def test_quiet_moment_is_enough(tmp_path: Path) -> None:
    """What was written before a quiet moment survives a kill."""
    ports = free_port(), free_port(), free_port()
    with our_process(tmp_path, *ports) as running:
        client(ports[0], "s3", ROOT_KEYS).create_bucket(Bucket="kept")
        client(ports[0], "ssm", ROOT_KEYS).put_parameter(Name="kept", Value="kept", Type="String")
        time.sleep(SAVED_SECONDS)
        running.kill()
        running.wait(15)
    with our_process(tmp_path, *ports):
        kept = client(ports[0], "ssm", ROOT_KEYS).get_parameter(Name="kept")
        assert kept["Parameter"]["Value"] == "kept"
        client(ports[0], "s3", ROOT_KEYS).head_bucket(Bucket="kept")


def test_no_sandbox_outlives_the_emulator(tmp_path: Path) -> None:
    """A killed emulator leaves no function's process behind."""
    ports = free_port(), free_port(), free_port()
    with our_process(tmp_path, *ports) as running:
        deploy(ports[0], TEMPLATE.read_text())
        pid = Api(ports[1]).send("GET", "/echo").json()["pid"]
        running.kill()
        running.wait(15)
        deadline = time.monotonic() + SAVED_SECONDS
        while _is_running(pid) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
