"""``@stream``: a function that hears which items of a table changed, in their order."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from portcullis import log
from portcullis.edge.endpoint import failure_fields

type Key = Mapping[str, str]
type Work = Callable[[Key], None]


def stream(work: Work) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Make a Lambda handler, for a stream of keys, of a function of one key.

    The first failure ends the batch. It is reported by its place (``ReportBatchItemFailures``), so
    that Lambda comes back with that change and those behind it, and not with those before.
    """

    @functools.wraps(work)
    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        function = getattr(context, "function_name", "")
        for record in event["Records"]:
            change = record["dynamodb"]
            try:
                work({name: value["S"] for name, value in change["Keys"].items()})
            except Exception as error:  # noqa: BLE001 whatever it is, this change is not done
                log.request("failed", {**failure_fields(error), "function": function})
                return {"batchItemFailures": [{"itemIdentifier": change["SequenceNumber"]}]}
        log.request("done", {"function": function})
        return {"batchItemFailures": []}

    return handler
