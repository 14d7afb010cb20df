"""Every order in which operations can reach the store, one call at a time.

Each operation runs in a thread of its own, which stops before every call to DynamoDB. One thread
at a time is let go: for one call, and for what it does until it stops again. So the order of the
calls is the whole schedule, and the same choices give the same run. All orders are found depth
first: a run is repeated up to its last choice that could have fallen otherwise, which then does
(stateless exploration; P. Godefroid, "Model checking for programming languages using VeriSoft",
POPL 1997).

Of orders that nobody can tell apart one is run. Reads between the same two writes commute, so they
are taken in the order of the operations; and of operations of one name, which differ in nothing
but their ids, the first one begins first.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from portcullis import entropy
from portcullis.aws import dynamodb

READS = frozenset({"get_item", "batch_get_item", "query"})
STEP_TIMEOUT_S = 60.0
"""No call takes this long: an operation that does waits for another one."""

type Deed = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Step:
    """One call to the store, and the number of the operation that made it."""

    lane: int
    call: str

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.call in READS


@dataclass(frozen=True, slots=True)
class Run:
    """One schedule: its calls in their order, and what each operation returned or raised."""

    steps: tuple[Step, ...]
    outcomes: tuple[object, ...]

    def of(self, lane: int) -> list[int]:
        """Return when an operation called the store, as positions among all steps."""
        return [at for at, step in enumerate(self.steps) if step.lane == lane]


def install(
    monkeypatch: pytest.MonkeyPatch, *, unscheduled: Callable[[Mapping[str, Any]], bool]
) -> None:
    """Let operations stop before the product's calls, but for those that are *unscheduled*.

    Pauses between rounds are no time at all: whose turn it is, the schedule says.
    """
    call = dynamodb._call

    def stopping(operation: str, **arguments: Any) -> Any:
        if not unscheduled(arguments):
            stop_before(operation)
        return call(operation, **arguments)

    monkeypatch.setattr(dynamodb, "_call", stopping)
    monkeypatch.setattr(entropy, "jitter_s", lambda _: 0.0)


def stop_before(call: str) -> None:
    """Wait for one's turn to call the store; who is no operation of a schedule never waits."""
    lane = threading.current_thread()
    if isinstance(lane, _Lane):
        lane.stop(call)


def every(names: Sequence[str], begin: Callable[[], Sequence[Deed]]) -> Iterator[Run]:
    """Run the operations in every order of their calls to the store.

    Args:
        names: what the operations are; those of one name are the same.
        begin: called before each schedule; returns the operations, on a state of their own.
    """
    path: list[_Choice] = []
    while True:
        run = _play(names, begin(), path)
        if run is not None:
            yield run
        while path and path[-1].is_last:
            path.pop()
        if not path:
            return
        path[-1] = _Choice(path[-1].options, path[-1].taken + 1)


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[int, ...]
    taken: int = 0

    @property
    def lane(self) -> int:
        return self.options[self.taken]

    @property
    def is_last(self) -> bool:
        return self.taken == len(self.options) - 1


class _Lane(threading.Thread):
    """The thread of one operation. ``pending``: the call that it waits to make, until it ends."""

    def __init__(self, deed: Deed) -> None:
        super().__init__(daemon=True)
        self.pending: str | None = None
        self.outcome: object = None
        self._deed = deed
        self._turn, self._stopped = threading.Semaphore(0), threading.Semaphore(0)

    def run(self) -> None:
        try:
            self.outcome = self._deed()
        except Exception as refusal:  # noqa: BLE001 each outcome is judged by the test
            self.outcome = refusal
        self.pending = None
        self._stopped.release()

    def stop(self, call: str) -> None:
        """Wait, as this thread, for its turn."""
        self.pending = call
        self._stopped.release()
        self._turn.acquire()

    def begin(self) -> None:
        """Let it go up to its first call."""
        self.start()
        self._wait()

    def proceed(self) -> None:
        """Let it make its call and go on up to the next one."""
        self._turn.release()
        self._wait()

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=STEP_TIMEOUT_S), "an operation does not go on"


def _play(names: Sequence[str], deeds: Sequence[Deed], path: list[_Choice]) -> Run | None:
    """Run one schedule: along *path*, then by first choices, which are added to it.

    Return None if it turns out to be one that was run before in another order of reads.
    """
    lanes, steps, is_new = [_Lane(deed) for deed in deeds], list[Step](), True
    for lane in lanes:
        lane.begin()
    while waiting := {
        number: lane.pending for number, lane in enumerate(lanes) if lane.pending is not None
    }:
        options = _options(names, waiting, steps)
        is_new = is_new and bool(options)
        if not is_new:  # let it end
            chosen = min(waiting)
        else:
            if len(path) == len(steps):
                path.append(_Choice(options))
            came_of_it = [lane.outcome for lane in lanes]
            assert path[len(steps)].options == options, f"another way this time: {came_of_it}"
            chosen = path[len(steps)].lane
        steps.append(Step(chosen, waiting[chosen]))
        lanes[chosen].proceed()
    for lane in lanes:
        lane.join()
    return Run(tuple(steps), tuple(lane.outcome for lane in lanes)) if is_new else None


def _options(
    names: Sequence[str], waiting: Mapping[int, str], steps: Sequence[Step]
) -> tuple[int, ...]:
    begun = {step.lane for step in steps}

    def repeats(lane: int) -> bool:
        twins = [one for one in waiting if one < lane and names[one] == names[lane]]
        if lane not in begun and any(twin not in begun for twin in twins):
            return True
        last = steps[-1] if steps else None
        return last is not None and last.reads and waiting[lane] in READS and lane < last.lane

    return tuple(lane for lane in waiting if not repeats(lane))
