"""Publish what the stream's path left behind: a list of notes, not a search for gaps."""

from collections.abc import Callable, Iterator

from portcullis import entropy, log
from portcullis.errors import InfrastructureError
from portcullis.operations import outboxes, publishing
from portcullis.operations.outboxes import UnreadableNoteError

OVERDUE_S = 120
"""The stream's path is done by then, or has failed."""
NOTES_MAX = 50
"""Of each half of a shard in one run."""
ACCOUNTS_MAX = 200
ACCOUNT_S_MAX = 60
"""What one account may take: with less left, none is begun, so that a run ends by itself."""


class BacklogError(InfrastructureError):
    """Some accounts could not be published; they are pending still."""


def reconcile(*, now_s: int, remaining_s: Callable[[], float]) -> None:
    """Publish the accounts whose notes are overdue, in a random order, while there is time.

    Whatever one account or note is like holds up no other; each that fails is an alarm with the
    account's id. How many were overdue, and how many of them this run left alone, are metrics.

    Raises:
        BacklogError: some of them failed.
        InfrastructureError: the notes could not be listed.
    """
    overdue = entropy.shuffled(set(_overdue(now_s=now_s)))
    log.measure("events-overdue", len(overdue))
    tried, failed = 0, 0
    for account in overdue[:ACCOUNTS_MAX]:
        if remaining_s() < ACCOUNT_S_MAX:
            break
        tried += 1
        try:
            publishing.publish(account)
        except Exception as error:  # noqa: BLE001 a defect of one account is not the others'
            failed += 1
            _report(account, error)
    log.measure("events-left", len(overdue) - tried)
    if failed:
        raise BacklogError("accounts not published")


def _overdue(*, now_s: int) -> Iterator[str]:
    for item in outboxes.pending(limit=NOTES_MAX):
        try:
            note = outboxes.note(item)
        except UnreadableNoteError:
            log.alarm("note-unreadable", {})
            continue
        if now_s - note.at_s >= OVERDUE_S:
            yield note.account


def _report(account: str, error: Exception) -> None:
    fields: log.Fields = {"account": account, "exception": type(error).__name__}
    if isinstance(error, InfrastructureError):
        fields["code"] = str(error)  # ours, or a service's error code
    log.alarm("account-not-published", fields)
