"""What a runbook tells an operator to type, the tools understand."""

import argparse
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from infra import operate, replay, timeline
from infra.operate import ACTS

MAKES = {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
PAGES = sorted([*Path("docs").rglob("*.md"), *Path().glob("*.md")])
TOOLS: Mapping[str, Callable[[list[str]], object]] = {
    "infra.operate": lambda given: operate.operate(given, now_s=0),
    "infra.replay": lambda given: list(replay.replay(given)),
    "infra.timeline": timeline.main,
}
TYPED = re.compile(r"make (?:operate|replay|timeline)\b[^`]*")
EXAMPLES = {"<InternalOrigin>": "https://internal.example.test", "...": ""}
"""What a reader puts in place of what stands there."""


class Understood(Exception):  # noqa: N818 it is what a tool is stopped with
    """A command line was parsed."""


def typed(page: Path) -> Iterator[str]:
    """Yield each call of a tool on a page, in a block of commands or in a sentence."""
    text = page.read_text().replace("\\\n", " ")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (found[0] for line in block.splitlines() if (found := TYPED.match(line)))
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (code for code in re.findall(r"`([^`\n]+)`", prose) if re.match(r"make \w+ ", code))


def run(line: str) -> tuple[str, list[str]]:
    """Return the tool that `make` would run for a line, and what it would give it."""
    for example, value in EXAMPLES.items():
        line = line.replace(example, value)
    words = shlex.split(line, comments=True)
    # What `make test` itself was given is no part of the line.
    own = {name: value for name, value in os.environ.items() if name not in MAKES}
    dry = subprocess.run(
        ["make", "-n", *words[1:]], capture_output=True, check=True, text=True, env=own
    )
    ran = shlex.split(dry.stdout.replace("\\\n", " ").splitlines()[-1])
    at = ran.index("-m")
    return ran[at + 1], ran[at + 2 :]


LINES = [
    pytest.param(line, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, line in enumerate(typed(page))
    if TYPED.match(line)
]


@pytest.fixture
def _stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tool parses what it is given, and does nothing then."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, given: list[str]) -> None:
        parse(parser, given)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)


@pytest.mark.usefixtures("_stopped")
@pytest.mark.parametrize("line", LINES)
def test_a_command_on_a_page_is_one_that_the_tool_has(line: str) -> None:
    """Act and options are spelt as the tool spells them, and none that it needs is left out."""
    tool, given = run(line)
    with pytest.raises(Understood):
        TOOLS[tool](given)


def test_every_act_of_operators_is_in_a_runbook() -> None:
    """Nobody has to sign by hand what the tool signs."""
    lines = [line for page in Path("docs/runbooks").glob("*.md") for line in typed(page)]
    acts = {run(line)[1][0] for line in lines if line.startswith("make operate ")}
    assert acts == set(ACTS)


@pytest.mark.usefixtures("_stopped")
@pytest.mark.parametrize(
    "line", ['make operate ARGS="lock-up"', 'make timeline ACCOUNT=a ARGS="--pail b"']
)
def test_the_comparison_sees_a_slip(line: str) -> None:
    """A tool that lacks the act, or the option, says so."""
    tool, given = run(line)
    with pytest.raises(SystemExit):
        TOOLS[tool](given)
