"""The emulator's process: never mistaken for another, never in this environment."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local import process, stack
from infra.local.ports import VARIABLES, free_ports
from infra.local.process import Emulator, EmulatorError, Ports
from infra.local.stack import StackError


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Ports:
    """Free ports, which the environment chooses."""
    free = free_ports()
    for variable, port in zip(VARIABLES, (free.public, free.internal, free.aws), strict=True):
        monkeypatch.setenv(variable, str(port))
    return free


@pytest.fixture
def signals_restored() -> Iterator[None]:
    """`run` handles signals; afterwards this process does again what it did."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


def test_a_process_number_alone_proves_nothing(tmp_path: Path) -> None:
    """A stale pid file that now names some other process is not taken for the stack."""
    (tmp_path / "emulator.pid").write_text(f"{os.getpid()}\n")
    assert process.find(tmp_path) is None


@pytest.mark.parametrize("content", ["", "not a number", "999999999"])
def test_a_broken_pid_file_is_no_stack(tmp_path: Path, content: str) -> None:
    """What names no process is answered by 'not running'."""
    (tmp_path / "emulator.pid").write_text(content)
    assert process.find(tmp_path) is None


def test_an_emulator_is_found_again_and_stopped(tmp_path: Path) -> None:
    """Another process finds it by its folder, with its ports, and leaves nothing running."""
    ports = free_ports()
    started = process.spawn(name="found", ports=ports, home=tmp_path)
    found = process.find(tmp_path)
    assert found is not None
    assert (found.pid, found.ports) == (started.pid, ports)
    assert process.find(tmp_path / "elsewhere") is None

    found.stop()

    assert process.find(tmp_path) is None
    assert not Path(f"/proc/{started.pid}").exists()
    assert not (tmp_path / "tmp").exists()


def test_an_old_handle_leaves_a_later_emulator_alone(tmp_path: Path) -> None:
    """Stopping what was stopped before does not stop, or forget, what was started since."""
    ports = free_ports()
    old = process.spawn(name="old", ports=ports, home=tmp_path)
    old.stop()
    new = process.spawn(name="new", ports=ports, home=tmp_path)
    try:
        old.stop()
        assert process.find(tmp_path) == new
    finally:
        new.stop()


def test_what_has_ended_is_not_signalled(tmp_path: Path) -> None:
    """Stopping twice never reaches a process that got the same number since."""
    started = process.spawn(name="twice", ports=free_ports(), home=tmp_path)
    started.stop()
    bystander = replace(started, pid=os.getpid())

    bystander.stop()  # Nothing happens: this very process would have been ended.

    assert process.find(tmp_path) is None


def test_the_emulator_inherits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of the caller's environment reaches neither the emulator nor, so, any handler."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-real-secret")
    started = process.spawn(name="bare", ports=free_ports(), home=tmp_path)
    try:
        environment = Path(f"/proc/{started.pid}/environ").read_bytes()
    finally:
        started.stop()
    assert b"a-real-secret" not in environment


def test_an_emulator_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message holds what the process itself said, and its log's place."""
    monkeypatch.setattr(process, "MODULE", "infra.local.no_such_module")
    with pytest.raises(EmulatorError, match="no_such_module") as refused:
        process.spawn(name="broken", ports=free_ports(), home=tmp_path)
    assert str(tmp_path / "emulator.log") in str(refused.value)
    assert process.find(tmp_path) is None


@pytest.mark.parametrize("name", ["Upper", "9lives", "../up", "a" * 25, "under_score"])
def test_a_name_that_aws_would_refuse_is_refused_first(name: str) -> None:
    """A stack's name begins those of its roles and functions, and is a folder's name."""
    with pytest.raises(StackError, match="STACK"):
        stack.chosen_name({"STACK": name})


def test_a_stack_that_was_never_deployed_is_a_sentence(tmp_path: Path) -> None:
    """Asking about a stack that is not there says how to have one."""
    with pytest.raises(StackError, match="make run"):
        stack.Stack.read(tmp_path)


def test_a_staged_emulator_is_found_as_one(tmp_path: Path, ports: Ports) -> None:
    """Whoever finds it knows that its clock may be moved."""
    started = process.spawn(name="staged", ports=ports, home=tmp_path, staged=True)
    try:
        assert process.find(tmp_path) == started
        assert started.staged
    finally:
        started.stop()


@pytest.mark.usefixtures("signals_restored", "ports")
def test_make_run_is_never_staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person runs believes nobody about the clock or a caller's address."""
    seen: list[str] = []

    def look_instead(*, emulator: Emulator, **_: object) -> None:
        seen.extend(Path(f"/proc/{emulator.pid}/cmdline").read_text().split("\0"))
        raise StackError("seen enough")

    monkeypatch.setattr(stack, "home_of", lambda _: tmp_path)
    monkeypatch.setattr(stack, "_bring_up", look_instead)
    with pytest.raises(StackError, match="seen enough"):
        stack.run("plain", detach=True)
    assert process.MODULE in seen
    assert not {"--trust-source-header", "--clock-file"} & set(seen)


@pytest.mark.usefixtures("signals_restored")
def test_make_run_joins_no_staged_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ports: Ports
) -> None:
    """Nothing is deployed for a person onto an emulator whose clock a test may move."""
    monkeypatch.setattr(stack, "home_of", lambda _: tmp_path)
    staged = process.spawn(name="staged", ports=ports, home=tmp_path, staged=True)
    try:
        with pytest.raises(StackError, match="staged"):
            stack.run("staged", detach=True)
        assert process.find(tmp_path) == staged
    finally:
        staged.stop()


def test_a_failed_start_leaves_no_emulator(tmp_path: Path) -> None:
    """If the sources do not build, the emulator that was started for them is stopped."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "samconfig.toml").write_text("version = 0.1\n")
    with pytest.raises(StackError, match=r"samconfig\.toml"):
        stack.start(name="broken", ports=free_ports(), home=tmp_path / "home", project=project)
    assert process.find(tmp_path / "home") is None
