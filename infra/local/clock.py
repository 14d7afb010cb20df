"""The handlers' clock, moved by hand: a file holds how many seconds it is ahead of this machine's.

For tests of what takes hours. AWS's own clock, the emulator's, stays right, and so does whatever is
signed for AWS.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Clock:
    """The file that moves the clock. Without it, nothing is moved."""

    file: Path

    def ahead_s(self) -> int:
        """Return how many seconds the clock is ahead.

        Raises:
            ValueError: the file holds anything but a whole number.
        """
        try:
            return int(self.file.read_text())
        except FileNotFoundError:
            return 0

    def put_ahead(self, seconds: int) -> None:
        """Move the clock; every call that begins from now on sees it."""
        fresh = self.file.with_name(f"{self.file.name}.new")
        fresh.write_text(f"{seconds}\n")
        fresh.replace(self.file)  # A call in this moment reads the old number, never half a one.
