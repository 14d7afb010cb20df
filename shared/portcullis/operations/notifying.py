"""Tell the owner: the fast path from an event of the outbox to the topic of notices.

A notice may come twice and late, and those of one account out of order: whoever receives it goes
by account and number. What this path loses is still in the outbox, for 35 days.
"""

from portcullis.aws import dynamodb, topic
from portcullis.aws.dynamodb import Key
from portcullis.operations.notices import Notice
from portcullis.settings import setting


def tell(event: Key) -> None:
    """Publish the notice of the event under this key, if its owner must hear of it.

    Raises:
        StoreError: the event could not be read.
        TopicError: the notice is not known to have been taken.
    """
    stored = dynamodb.get(setting("IDENTITY_TABLE"), event)
    notice = Notice.of(stored) if stored else None
    if notice is not None:
        topic.publish(setting("NOTICES_TOPIC"), notice.to_json())
