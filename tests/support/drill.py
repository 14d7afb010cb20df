"""The drill, `make drill`: a session is stolen across Europe, on a stack of its own.

It deploys a staged stack, whose clock it moves and whose callers' addresses it chooses, tells the
story against it, and removes it. Exits 0 when every step went as promised, 1 at the first that did
not, 2 when the stack did not come up.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.local.stack import StackError
from tests.support import drill_history, drill_money, drill_theft
from tests.support.drill_people import Players
from tests.support.stage import Stage
from tests.support.story import Acts, tell

NAME = "portcullis-drill"
ACTS: Acts[Players] = (*drill_theft.ACTS, *drill_money.ACTS, *drill_history.ACTS)


def main() -> int:
    """Tell the story against a stack of its own and return the exit status."""
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    try:
        with (
            TemporaryDirectory(prefix=f"{NAME}-") as folder,
            Stage.opened(NAME, local=Path(folder)) as stage,
        ):
            return tell(ACTS, Players(stage), coloured=coloured)
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; the stack is removed.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
