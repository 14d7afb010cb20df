"""What the product writes while a test runs: its log lines and metrics."""

import json
import logging
import sys
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Written:
    """What went to standard output and error since it was last read."""

    capture: pytest.CaptureFixture[str]

    def text(self) -> str:
        """Return all of it."""
        captured = self.capture.readouterr()
        return captured.out + captured.err

    def entries(self) -> list[dict[str, Any]]:
        """Return its lines, each of which must be one JSON object."""
        return [json.loads(line) for line in self.text().splitlines()]


class _StandardOutput:
    """Standard output as it is when something is written: pytest exchanges it between phases."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Written:
    """Everything that the product prints, the logger's lines included."""
    for handler in logging.getLogger("portcullis").handlers:
        monkeypatch.setattr(handler, "stream", _StandardOutput())
    return Written(capsys)
