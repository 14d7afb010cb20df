"""Publish what the stream left behind: called every few minutes by a schedule."""

from portcullis import clock
from portcullis.edge.schedule import Remaining, schedule
from portcullis.operations import reconciling


@schedule
def handler(remaining_s: Remaining) -> None:
    reconciling.reconcile(now_s=clock.now_s(), remaining_s=remaining_s)
