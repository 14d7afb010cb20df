"""Publish what the stream left behind: called every few minutes by a schedule."""

from portcullis import clock
from portcullis.edge.schedule import schedule
from portcullis.operations import reconciling


@schedule
def handler() -> None:
    reconciling.reconcile(now_s=clock.now_s())
