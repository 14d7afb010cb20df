"""The audit trail: an account's events in objects that are written once (docs/decisions/0020).

An object is called after its first event and begins where the one before it ended. Who finds one
written goes on behind it. So no event is in two objects and none between two, whoever writes, at
once or again.
"""

import json
from collections.abc import Sequence

from portcullis.aws import bucket
from portcullis.aws.bucket import ObjectExistsError
from portcullis.errors import InfrastructureError
from portcullis.operations import events
from portcullis.operations.events import Event
from portcullis.settings import setting

EVENTS_MAX = 50


class SegmentError(InfrastructureError):
    """An object of the audit trail is not what its name says: somebody else wrote it."""


def append(account: str, found: Sequence[Event], *, first: int) -> Sequence[Event]:
    """Return the events of the object that begins at number *first*, which stands from now on.

    They are those that were *found*, or those that somebody else has written before; none, if
    nothing was found and nothing is written.

    Raises:
        SegmentError: what is written is not a segment that begins there.
        BucketError: it is not known whether they are written.
    """
    key = key_of(account, first)
    if found:
        try:
            bucket.create(setting("AUDIT_BUCKET"), key, _to_bytes(account, found))
        except ObjectExistsError:
            pass
        else:
            return found
    written = bucket.read(setting("AUDIT_BUCKET"), key)
    return [] if written is None else parse(written, account=account, first=first)


def key_of(account: str, first: int) -> str:
    """Return the key of the object that begins with event *first*."""
    return f"events/{account}/{first:012d}.json"


def parse(raw: bytes, *, account: str, first: int) -> list[Event]:
    """Return the events of an object's bytes.

    Raises:
        SegmentError: they are not this account's, from *first* on, without a gap.
    """
    try:
        found = [Event.from_body(body) for body in json.loads(raw)["events"]]
    except (KeyError, TypeError, ValueError):
        raise SegmentError("unreadable segment") from None
    numbers = [one.number for one in found if one.account == account]
    if not found or numbers != list(range(first, first + len(found))):
        raise SegmentError("segment of other events")
    return found


def _to_bytes(account: str, found: Sequence[Event]) -> bytes:
    document = {
        "version": events.VERSION,
        "account": account,
        "events": [one.body() for one in found],
    }
    return events.to_json(document).encode()
