"""``@schedule``: a function that a clock calls, again and again, with nothing to say."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from portcullis import log
from portcullis.edge.endpoint import failure_fields

type Remaining = Callable[[], float]
"""Tells how many seconds are left before Lambda ends the run."""
type Work = Callable[[Remaining], None]


class RunFailedError(Exception):
    """The run failed, so that the invocation does; why is in the log, in allow-listed fields."""


def schedule(work: Work) -> Callable[[Mapping[str, Any], Any], None]:
    """Make a Lambda handler of a function that is told how much time is left.

    A failure is raised, without its text: the next run is the retry that counts.
    """

    @functools.wraps(work)
    def handler(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001 it says nothing
        function = getattr(context, "function_name", "")
        try:
            work(lambda: context.get_remaining_time_in_millis() / 1000)
        except Exception as error:  # noqa: BLE001 its text may say too much for a log
            log.request("failed", {**failure_fields(error), "function": function})
            raise RunFailedError from None
        log.request("done", {"function": function})

    return handler
