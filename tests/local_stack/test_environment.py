"""Finding a Python 3.13: one that runs, or a message that says what to install."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "environment.sh"


def find(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Ask which Python would be used, with `path` before the system's commands."""
    return subprocess.run(
        ["/bin/sh", str(SCRIPT), "python"],
        env={"PATH": str(path), "HOME": str(path), **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def a_command(at: Path, script: str) -> Path:
    """Write an executable and return its path."""
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_text(f"#!/bin/sh\n{script}\n")
    at.chmod(0o755)
    return at


def commands(at: Path) -> Path:
    """Return a folder with the few system commands that the script needs, and no Python."""
    a_command(at / "dirname", 'exec /usr/bin/dirname "$@"')
    a_command(at / "cat", 'exec /bin/cat "$@"')
    return at


def test_no_python_is_a_message_that_says_what_to_install(tmp_path: Path) -> None:
    """Without a Python 3.13 the answer is how to get one, and a failure."""
    found = find(commands(tmp_path))
    assert found.returncode != 0
    assert found.stdout == ""
    for way in ("Python 3.13", "apt install", "pyenv install", "uv python install", "PYTHON="):
        assert way in found.stderr


def test_a_shim_that_fails_is_passed_over(tmp_path: Path) -> None:
    """A `python3.13` that is there but does not run is not picked."""
    a_command(commands(tmp_path) / "python3.13", "echo 'command not found' >&2; exit 127")
    real = a_command(tmp_path / "python3", f'exec {sys.executable} "$@"')
    found = find(tmp_path)
    assert (found.returncode, found.stdout.strip()) == (0, real.name)


def test_another_version_is_passed_over(tmp_path: Path) -> None:
    """A Python that runs but is not 3.13 is not picked."""
    a_command(commands(tmp_path) / "python3", "exit 1")
    assert find(tmp_path).returncode != 0


def test_a_version_managers_python_is_found(tmp_path: Path) -> None:
    """A 3.13 under pyenv is found although nothing on PATH leads to it."""
    below = Path("versions") / "3.13.9" / "bin" / "python"
    real = a_command(commands(tmp_path) / ".pyenv" / below, f'exec {sys.executable} "$@"')
    assert find(tmp_path).stdout.strip() == str(real)
    moved = a_command(tmp_path / "elsewhere" / below, f'exec {sys.executable} "$@"')
    assert find(tmp_path, PYENV_ROOT=str(tmp_path / "elsewhere")).stdout.strip() == str(moved)


def test_a_chosen_python_that_does_not_serve_is_refused(tmp_path: Path) -> None:
    """PYTHON is taken at its word: if it is wrong, no other is picked instead."""
    a_command(commands(tmp_path) / "python3.13", f'exec {sys.executable} "$@"')
    found = find(tmp_path, PYTHON="/nowhere/python")
    assert found.returncode != 0
    assert "/nowhere/python" in found.stderr
