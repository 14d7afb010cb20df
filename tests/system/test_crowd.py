"""Sixty-four requests of one session at one moment, half of them from elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
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


def read(person: Owner) -> Reply:
    """Come to the gate with what uses up no proof."""
    return person.sessions()


def write(person: Owner) -> Reply:
    """Come to the gate with what uses its proof up."""
    return person.send("POST", "/passkeys/options", {})


def renew(person: Owner) -> Reply:
    """Come with the refresh token, past the gate."""
    return person.refresh()


type Way = Callable[[Owner], Reply]
AT_HOME: tuple[Way, ...] = (read, read, read, write)
"""Whoever renews at home while others hold the same token ends the session by that alone."""
ABROAD: tuple[Way, ...] = (read, write, renew)


@dataclass(frozen=True)
class Asked:
    """One request: from where, when it began and ended (monotonic seconds), and its reply."""

    address: str | None
    began: float
    ended: float
    reply: Reply

    @property
    def is_told(self) -> bool:
        """Whether it was refused because the session is dead."""
        reply = self.reply
        return reply.problem == "session-terminated" or reply.json.get("error") == "invalid_grant"


def ask(person: Owner, way: Way, start: Barrier) -> list[Asked]:
    """Come some times in a row, beginning together with the others."""
    start.wait()
    return [_asked(person, way) for _ in range(AGAIN)]


def _asked(person: Owner, way: Way) -> Asked:
    began = time.monotonic()
    try:
        reply = way(person)
    except OSError:
        reply = NO_ANSWER
    return Asked(person.address, began, time.monotonic(), reply)


def passes(person: Owner, way: Way) -> bool:
    """Return whether the person passes now."""
    return _asked(person, way).reply.status == 200


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
    """Nobody passes from elsewhere, nor from anywhere after the kill's commit; there is one kill.

    By reads, by writes, and by the refresh token.
    """
    owner = stage.customer(address=HOME)
    homely, foreign = cycle(AT_HOME), cycle(ABROAD)
    comers = [
        (stolen(owner, address), next(homely if address == HOME else foreign))
        for _, address in zip(range(CROWD), cycle((HOME, AWAY)))
    ]
    start = Barrier(CROWD)
    with ThreadPoolExecutor(CROWD) as crowd:
        for warm in WARMED:
            ways = [way for _, way in zip(range(warm), cycle(AT_HOME))]
            if all(crowd.map(lambda way: passes(stolen(owner, HOME), way), ways)) and warm == CROWD:
                break
        with first_seen(stage, str(owner.account)) as seen:
            asked = [
                one
                for many in crowd.map(lambda comer: ask(comer[0], comer[1], start), comers)
                for one in many
            ]
            committed = seen.result(SEEN_S_MAX)
    allowed = [one for one in asked if one.reply.status == 200]
    told = [one for one in asked if one.is_told]
    after = [one for one in asked if one.began > committed]
    refused = [one for one in told if one.began > committed]
    lost = len(asked) - len(allowed) - len(told)
    last = max((one.ended for one in allowed), default=committed)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(asked)} requests: {len(allowed)} allowed, {len(told)} told, {lost} "
            f"failed; {len(after)} began after the commit was seen. The last allowed answer came "
            f"{(last - committed) * 1000:+.0f} ms from then.\n"
        )
    assert len(refused) >= TELLING
    assert not [one for one in allowed if one.address == AWAY]
    assert not [one for one in after if one.reply.status == 200]
    assert inside.events(stage.stack, str(owner.account)).count(KILLED) == 1
    standing = inside.item(stage.stack, "Standing", str(owner.account)) or {}
    assert standing["epoch"]["N"] == "2"
