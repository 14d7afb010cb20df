"""Publish what the stream's path left behind: a list of notes, not a search for gaps."""

from portcullis import log
from portcullis.errors import InfrastructureError
from portcullis.operations import outboxes, publishing

OVERDUE_S = 120
"""The stream's path is done by then, or has failed."""
NOTES_MAX = 50
"""Of each half of a shard in one run."""
ACCOUNTS_MAX = 200


class BacklogError(InfrastructureError):
    """Some accounts could not be published; they are pending still."""


def reconcile(*, now_s: int) -> None:
    """Publish the accounts whose notes are overdue, and count them as a metric.

    One account that fails holds up no other.

    Raises:
        BacklogError: some of them failed.
        InfrastructureError: the notes could not be listed.
    """
    overdue = {
        note.account: note
        for note in outboxes.pending(limit=NOTES_MAX)
        if now_s - note.at_s >= OVERDUE_S
    }
    log.measure("events-overdue", len(overdue))
    failures = []
    for account in list(overdue)[:ACCOUNTS_MAX]:
        try:
            publishing.publish(account)
        except InfrastructureError as error:
            failures.append(error)
    if failures:
        raise BacklogError(str(failures[0])) from failures[0]
