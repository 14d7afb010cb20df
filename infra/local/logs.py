"""Follow what a running stack says: the emulator's own log, and every function's."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from infra.local.aws import client
from infra.local.process import emulator_log
from infra.steps import last_lines

HISTORY_S = 300
POLL_S = 1
SETTLE_MS = 500
"""An event is read only when it is this old, so that none arrives in a window already read."""


def follow(*, name: str, endpoint: str, home: Path) -> None:
    """Print the recent past, then what comes, until interrupted."""
    print(last_lines(emulator_log(home)))
    with emulator_log(home).open(errors="replace") as emulator:
        emulator.seek(0, 2)
        since = _now_ms() - HISTORY_S * 1000
        while True:
            print(emulator.read(), end="")
            until = _now_ms() - SETTLE_MS
            for line in function_events(name=name, endpoint=endpoint, since=since, until=until):
                print(line, flush=True)
            since = until
            time.sleep(POLL_S)


def function_events(*, name: str, endpoint: str, since: int, until: int) -> Iterator[str]:
    """Yield, oldest first, what the functions of a stack logged between two times in ms."""
    logs = client("logs", endpoint=endpoint)
    events = [
        (event["timestamp"], group["logGroupName"], event["message"].rstrip())
        for page in logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=f"/{name}/"
        )
        for group in page["logGroups"]
        for found in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"], startTime=since, endTime=until - 1
        )
        for event in found["events"]
    ]
    for timestamp, group, message in sorted(events, key=lambda event: event[0]):
        at = datetime.fromtimestamp(timestamp / 1000, UTC)
        yield f"{at:%H:%M:%S} {group.removeprefix(f'/{name}/')}  {message}"


def _now_ms() -> int:
    return int(time.time() * 1000)
