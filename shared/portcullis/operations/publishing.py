"""Publish an account's events: in the audit trail once, to bus and owner at least once.

The stream calls this and so does the reconciler; any number of them may run at once or stop
anywhere. The pending note goes last, so that whatever was not done is done again.

No object is believed because it is there, and no number because it was noted: what others may have
written is compared with the table's events, which no publisher can write (docs/decisions/0025).
"""

from collections.abc import Sequence

from portcullis.aws import bus, topic
from portcullis.aws.bus import Entry
from portcullis.errors import InfrastructureError
from portcullis.operations import events, outboxes, segments
from portcullis.operations.events import Event
from portcullis.operations.notices import Notice
from portcullis.operations.outboxes import Progress
from portcullis.operations.segments import SegmentError
from portcullis.settings import setting

SEGMENTS_MAX = 20
"""In one publication; the notes of what is left stay, and the next one goes on."""
SOURCE = "portcullis"


class LostEventError(InfrastructureError):
    """An event is neither in the table nor in the audit trail: it expired unpublished."""


class MarkError(InfrastructureError):
    """A mark is beyond what there is, so nobody of ours set it."""


def publish(account: str) -> None:
    """Publish what an account's outbox holds and is not published yet.

    Raises:
        LostEventError: an event is missing for good.
        SegmentError: the audit trail holds something else than the table.
        MarkError: the mark names no object, or more is given up than ever happened.
        UnreadableEventError: the table holds something else than events.
        InfrastructureError: something did not answer. What is not done is pending still.
    """
    progress = outboxes.progress(account)
    published = _published(account, progress)
    for _ in range(SEGMENTS_MAX):
        if published >= progress.last:
            break
        segment = _segment(account, after=published, last=progress.last)
        _tell(segment)
        published = segment[-1].number
        outboxes.advance(account, to=segment[0].number)
    outboxes.clear(account, up_to=published)


def _published(account: str, progress: Progress) -> int:
    """Return the number of the last event that is published, as the trail itself says."""
    if progress.given_up >= progress.segment:
        if progress.given_up > progress.last:
            raise MarkError("more is given up than happened")
        return progress.given_up
    segment = segments.read(account, first=progress.segment)
    if segment is None:
        raise MarkError("no object where the mark is")
    _compare(account, segment, last=progress.last)
    return segment[-1].number


def _segment(account: str, *, after: int, last: int) -> Sequence[Event]:
    """Return the next events, which are in the audit trail from now on."""
    first = after + 1
    stored = outboxes.events(account, first=first, last=min(last, after + segments.EVENTS_MAX))
    # Where some have expired they were published, and it is the mark that was lost.
    found = [one for at, one in enumerate(stored, start=first) if one.number == at]
    if found and segments.write(account, found):
        return found
    segment = segments.read(account, first=first)
    if segment is None:
        raise LostEventError("lost event")
    _compare(account, segment, last=last)
    return segment


def _compare(account: str, segment: Sequence[Event], *, last: int) -> None:
    """Demand that a segment which others may have written tells what the table holds.

    It was read before the table is. So it may hold what is new since *last* was read, and may lack
    nothing but what has expired.
    """
    end = segment[-1].number
    if end > last and end > outboxes.last(account):
        raise SegmentError("segment of events that did not happen")
    told = {one.number: one.body() for one in segment}
    for one in outboxes.events(account, first=segment[0].number, last=end):
        if events.to_json(told[one.number]) != events.to_json(one.body()):
            raise SegmentError("segment of other events")


def _tell(segment: Sequence[Event]) -> None:
    bus.put(
        setting("EVENT_BUS"),
        [Entry(source=SOURCE, kind=one.kind, detail=events.to_json(one.body())) for one in segment],
    )
    for one in segment:
        notice = Notice.of(one)
        if notice is not None:
            topic.publish(setting("NOTICES_TOPIC"), notice.to_json())
