"""Publish the events of accounts that have some pending: called with the outbox's stream."""

from portcullis.aws.dynamodb import Key
from portcullis.edge.stream import stream
from portcullis.operations import outboxes, publishing


@stream
def handler(pending: Key) -> None:
    publishing.publish(outboxes.account_of(pending))
