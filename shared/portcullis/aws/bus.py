"""Put events on an EventBridge bus."""

import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from portcullis import entropy
from portcullis.aws.clients import client
from portcullis.errors import InfrastructureError

ENTRIES_MAX = 10
"""In one PutEvents (EventBridge API reference)."""
ROUNDS_MAX = 4
PAUSE_S = 0.05


class BusError(InfrastructureError):
    """The bus did not take every entry, or its answer was lost: some may arrive all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event for the bus; *detail* is its JSON."""

    source: str
    kind: str
    detail: str


def put(bus: str, entries: Iterable[Entry]) -> None:
    """Put all *entries* on the bus with the ARN *bus*, each at least once.

    PutEvents can take some entries of a request and refuse others: those are sent again, behind
    the rest of their request, a bounded number of times. The bus promises no order anyway.

    Raises:
        BusError: it is not known of every entry that it was taken.
    """
    for batch in itertools.batched(entries, ENTRIES_MAX, strict=False):
        _put([_request(bus, entry) for entry in batch])


def _put(waiting: Sequence[dict[str, Any]]) -> None:
    code = ""
    for round_ in range(ROUNDS_MAX):
        answers = _call(waiting)
        refused = [
            (entry, answer["ErrorCode"])
            for entry, answer in zip(waiting, answers, strict=True)
            if "ErrorCode" in answer
        ]
        if not refused:
            return
        waiting, code = [entry for entry, _ in refused], refused[0][1]
        time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
    raise BusError(code)


def _call(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        answers: list[dict[str, Any]] = client("events").put_events(Entries=entries)["Entries"]
    except ClientError as error:
        raise BusError(error.response["Error"]["Code"]) from None
    except BotoCoreError as error:
        raise BusError(type(error).__name__) from None
    return answers


def _request(bus: str, entry: Entry) -> dict[str, Any]:
    return {
        "EventBusName": bus,
        "Source": entry.source,
        "DetailType": entry.kind,
        "Detail": entry.detail,
    }
