"""The audit trail: an account's events in objects that are written once (docs/decisions/0020).

An object is called after its first event and begins where the one before it ended. Who finds one
written goes on behind it, if it says what the table says (docs/decisions/0025). So no event is in
two objects and none between two, whoever writes, at once or again.
"""

from collections.abc import Sequence
from typing import Any

from portcullis import strict_json
from portcullis.aws import bucket
from portcullis.aws.bucket import ObjectExistsError
from portcullis.errors import InfrastructureError
from portcullis.operations import events
from portcullis.operations.events import Event, UnreadableEventError, Version
from portcullis.schema import Strict
from portcullis.settings import setting

EVENTS_MAX = 50
"""In one object. It may grow, and never shrink: an object of more is no segment."""


class SegmentError(InfrastructureError):
    """An object of the audit trail is not what it should be: somebody else wrote it."""


class _Document(Strict):
    version: Version
    account: str
    events: list[dict[str, Any]]


def write(account: str, found: Sequence[Event]) -> bool:
    """Write the object of these events; return False if there is one under its name already.

    Raises:
        BucketError: it is not known whether they are written.
    """
    key = key_of(account, found[0].number)
    try:
        bucket.create(setting("AUDIT_BUCKET"), key, _to_bytes(account, found))
    except ObjectExistsError:
        return False
    return True


def read(account: str, *, first: int) -> Sequence[Event] | None:
    """Return the events of the object that begins at number *first*, or None if there is none.

    Raises:
        SegmentError: it is not a segment that begins there.
        BucketError: it could not be read.
    """
    written = bucket.read(setting("AUDIT_BUCKET"), key_of(account, first))
    return None if written is None else parse(written, account=account, first=first)


def key_of(account: str, first: int) -> str:
    """Return the key of the object that begins with event *first*."""
    return f"events/{account}/{first:012d}.json"


def parse(raw: bytes, *, account: str, first: int) -> list[Event]:
    """Return the events of an object's bytes.

    Raises:
        SegmentError: they are not this account's, from *first* on, without a gap, and few enough.
    """
    try:
        document = _Document.model_validate(strict_json.parse(raw))
        found = [Event.from_body(body) for body in document.events]
    except (ValueError, UnreadableEventError):
        raise SegmentError("unreadable segment") from None
    numbers = [one.number for one in found]
    if {document.account, *(one.account for one in found)} != {account}:
        raise SegmentError("segment of other events")
    if not 1 <= len(found) <= EVENTS_MAX or numbers != list(range(first, first + len(found))):
        raise SegmentError("segment of other events")
    return found


def _to_bytes(account: str, found: Sequence[Event]) -> bytes:
    document = {
        "version": events.VERSION,
        "account": account,
        "events": [one.body() for one in found],
    }
    return events.to_json(document).encode()
