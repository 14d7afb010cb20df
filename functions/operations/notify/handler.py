"""Tell the owners of accounts what happened to them: called with the outbox's stream."""

from portcullis.aws.dynamodb import Key
from portcullis.edge.stream import stream
from portcullis.operations import notifying


@stream
def handler(event: Key) -> None:
    notifying.tell(event)
