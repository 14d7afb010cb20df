"""Sixty-four requests of one session at one moment, half of them from elsewhere."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from threading import Barrier, Event

import pytest

from tests.support import inside
from tests.support.drill_people import KILLED
from tests.support.http import Reply
from tests.support.owner import Owner
from tests.support.stage import Stage, stolen

HOME, AWAY = "86.1.1.1", "5.12.10.10"
CROWD = 64
AGAIN = 3
"""How often each asks: the later ones begin after the kill."""
WARMED = (8, 16, 32, *[CROWD] * 4)
"""As many environments as there will be requests, by and by: no cold start is part of this."""
NO_ANSWER = Reply(0, (), b"")
SEEN_S_MAX = 30
"""A kill that is not seen to stand by then has failed."""
TELLING = CROWD // 2
"""So many must have been told, after the commit, why they are refused. A machine with two cores
answers others by 5xx, which proves nothing."""


@dataclass(frozen=True)
class Asked:
    """One request: when it began and ended (monotonic seconds), and its reply."""

    began: float
    ended: float
    reply: Reply


def ask(person: Owner, start: Barrier | None = None, *, times: int = AGAIN) -> list[Asked]:
    """Read some times in a row, beginning together with the others."""
    if start is not None:
        start.wait()
    return [_asked(person) for _ in range(times)]


def _asked(person: Owner) -> Asked:
    began = time.monotonic()
    try:
        reply = person.sessions()
    except OSError:
        reply = NO_ANSWER
    return Asked(began, time.monotonic(), reply)


def passes(person: Owner) -> bool:
    """Return whether the person may read now."""
    return _asked(person).reply.status == 200


@contextmanager
def first_seen(stage: Stage, account: str) -> Iterator[Future[float]]:
    """Watch the account; the result is when its quarantine was first seen to stand.

    The commit is no later than that.
    """
    enough = Event()

    def look() -> float:
        while not enough.is_set():
            standing = inside.item(stage.stack, "Standing", account) or {}
            if standing["status"]["S"] == "QUARANTINED":
                return time.monotonic()
        raise AssertionError("no kill")

    with ThreadPoolExecutor(1) as watching:
        try:
            yield watching.submit(look)
        finally:
            enough.set()


def test_after_the_kill_nobody_passes(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """No request that begins after the kill's commit is allowed, and there is one kill."""
    owner = stage.customer(address=HOME)
    people = [stolen(owner, address) for _, address in zip(range(CROWD), cycle((HOME, AWAY)))]
    start = Barrier(CROWD)
    with ThreadPoolExecutor(CROWD) as crowd:
        for warm in WARMED:
            if all(crowd.map(lambda _: passes(stolen(owner, HOME)), range(warm))) and warm == CROWD:
                break
        with first_seen(stage, str(owner.account)) as seen:
            asked = [one for many in crowd.map(lambda one: ask(one, start), people) for one in many]
            committed = seen.result(SEEN_S_MAX)
    allowed = [one for one in asked if one.reply.status == 200]
    killed = [one for one in asked if one.reply.problem == "session-terminated"]
    after = [one for one in asked if one.began > committed]
    refused = [one for one in killed if one.began > committed]
    lost = len(asked) - len(allowed) - len(killed)
    last = max((one.ended for one in allowed), default=committed)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(asked)} requests: {len(allowed)} allowed, {len(killed)} terminated, {lost} "
            f"failed; {len(after)} began after the commit was seen. The last allowed answer came "
            f"{(last - committed) * 1000:+.0f} ms from then.\n"
        )
    assert len(refused) >= TELLING
    assert not [one for one in after if one.reply.status == 200]
    assert inside.events(stage.stack, str(owner.account)).count(KILLED) == 1
    standing = inside.item(stage.stack, "Standing", str(owner.account)) or {}
    assert standing["epoch"]["N"] == "2"
