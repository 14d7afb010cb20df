"""The stack as a whole: its state outlives it, and a change of one line reaches the alias."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.build import ROOT
from infra.local.ports import free_ports
from infra.local.stack import Running, start
from tests.support.client import Client
from tests.support.stack import Stack
from tests.system.people import euros, with_money

NAME = "portcullis-again"
SECOND_RUN_S_MAX = 60
OLD, NEW = "The access token is not valid.", "The access token is not good."


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, to change a line in."""
    copy = tmp_path_factory.mktemp("project")
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "-z",
            "template.yaml",
            "samconfig.toml",
            "shared",
            "functions",
            "infra",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's stack keeps its state."""
    return tmp_path_factory.mktemp("local")


@pytest.fixture(scope="module")
def again(project: Path, local: Path) -> Iterator["Again"]:
    """A stack of this module alone, that is stopped, started and changed."""
    one = Again(project, local)
    one.start()
    yield one
    one.stop()


class Again:
    """A stack that can be started again."""

    def __init__(self, project: Path, local: Path) -> None:
        self.project, self.local, self.ports = project, local, free_ports()
        self.started: list[Running] = []

    def start(self) -> Stack:
        """Start or redeploy it, from the sources as they are now."""
        self.started.append(
            start(name=NAME, ports=self.ports, home=self.local / NAME, project=self.project)
        )
        return self.stack

    def stop(self) -> None:
        """Stop it; its state is kept."""
        for running in self.started:
            running.stop()
        self.started.clear()

    @property
    def stack(self) -> Stack:
        """Where it can be reached."""
        return Stack.load(NAME, local=self.local)


def test_a_stop_and_a_start_lose_no_account_and_no_cent(again: Again) -> None:
    """After a stop and a start the session, the passkey and the balance are what they were."""
    person = with_money(again.stack, "12.34")
    again.stop()
    began = time.monotonic()
    again.start()
    assert time.monotonic() - began < SECOND_RUN_S_MAX
    assert euros(person) == "12.34"
    assert person.refresh().status == 200
    assert person.sign_in().status == 200
    assert euros(person) == "12.34"


def test_a_changed_line_in_the_layer_is_served_by_the_alias(again: Again) -> None:
    """One changed line under shared/ is what callers meet after the next run, and not before."""
    module = again.project / "shared/portcullis/evidence/errors.py"
    source = module.read_text()
    assert source.count(OLD) == 1
    stranger = Client(again.stack.public_origin, access_token="a.b.c")
    assert OLD in stranger.wallets().json["title"]
    module.write_text(source.replace(OLD, NEW))
    assert OLD in stranger.wallets().json["title"]
    again.start()
    assert NEW in stranger.wallets().json["title"]


def test_a_changed_key_policy_keeps_every_table(again: Again) -> None:
    """The data stack is updated in place: what was stored before is there after."""
    person = with_money(again.stack, "5.00")
    data = again.project / "infra/data.yaml"
    source = data.read_text()
    assert "              - kms:TagResource\n" in source
    data.write_text(source.replace("              - kms:TagResource\n", "", 1))
    again.start()
    assert euros(person) == "5.00"
