"""``@schedule``: a function that a clock calls, again and again, with nothing to say."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from portcullis import log
from portcullis.edge.endpoint import failure_fields

type Work = Callable[[], None]


class RunFailedError(Exception):
    """The run failed, so that the invocation does; why is in the log, in allow-listed fields."""


def schedule(work: Work) -> Callable[[Mapping[str, Any], Any], None]:
    """Make a Lambda handler of a function without arguments.

    A failure is raised, without its text: the next run is the retry that counts.
    """

    @functools.wraps(work)
    def handler(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001 it says nothing
        function = getattr(context, "function_name", "")
        try:
            work()
        except Exception as error:  # noqa: BLE001 its text may say too much for a log
            log.request("failed", {**failure_fields(error), "function": function})
            raise RunFailedError from None
        log.request("done", {"function": function})

    return handler
