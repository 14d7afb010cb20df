"""Publish an account's events: in the audit trail once, to bus and owner at least once.

The stream calls this and so does the reconciler; any number of them may run at once or stop
anywhere. The pending note goes last, so that whatever was not done is done again.
"""

from collections.abc import Sequence

from portcullis.aws import bus, topic
from portcullis.aws.bus import Entry
from portcullis.errors import InfrastructureError
from portcullis.operations import events, outboxes, segments
from portcullis.operations.events import Event
from portcullis.operations.notices import Notice
from portcullis.settings import setting

SEGMENTS_MAX = 20
"""In one publication; the notes of what is left stay, and the next one goes on."""
SOURCE = "portcullis"


class LostEventError(InfrastructureError):
    """An event is neither in the table nor in the audit trail: it expired unpublished."""


def publish(account: str) -> None:
    """Publish what an account's outbox holds and is not published yet.

    Raises:
        LostEventError: an event is missing for good.
        SegmentError: the audit trail holds something else.
        InfrastructureError: something did not answer. What is not done is pending still.
    """
    progress = outboxes.progress(account)
    published = progress.published
    for _ in range(SEGMENTS_MAX):
        if published >= progress.last:
            break
        segment = _segment(account, after=published, last=progress.last)
        _tell(segment)
        published = segment[-1].number
        outboxes.advance(account, to=published)
    outboxes.clear(account, up_to=published)


def _segment(account: str, *, after: int, last: int) -> Sequence[Event]:
    """Return the next events, which are in the audit trail."""
    first = after + 1
    stored = outboxes.events(account, first=first, last=min(last, after + segments.EVENTS_MAX))
    # Where some have expired they were published, and it is the cursor that was lost.
    found = [one for at, one in enumerate(stored, start=first) if one.number == at]
    segment = segments.append(account, found, first=first)
    if not segment:
        raise LostEventError("lost event")
    return segment


def _tell(segment: Sequence[Event]) -> None:
    bus.put(
        setting("EVENT_BUS"),
        [Entry(source=SOURCE, kind=one.kind, detail=events.to_json(one.body())) for one in segment],
    )
    for one in segment:
        notice = Notice.of(one)
        if notice is not None:
            topic.publish(setting("NOTICES_TOPIC"), notice.to_json())
