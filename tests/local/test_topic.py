"""A topic, and the queue that stands for whoever is to hear of it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulators import Emulator, client

WAIT_SECONDS = 3


def arrived(emulator: Emulator) -> list[str]:
    """Take everything out of the inbox."""
    sqs, queue = emulator.root("sqs"), emulator.outputs["Inbox"]
    reply = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS
    )
    for message in reply.get("Messages", []):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in reply.get("Messages", [])]


@pytest.fixture(scope="module")
def publisher(ours: Emulator) -> Any:
    """A client of the role that the topic's policy names, and that may publish to it."""
    statement = {"Effect": "Allow", "Action": "sns:Publish", "Resource": ours.outputs["Topic"]}
    return client(ours.port, "sns", ours.credentials(statement, name="publisher"))


def test_a_notice_arrives_as_it_was_published(publisher: Any, ours: Emulator) -> None:
    """The publisher's words are in the queue, without an envelope."""
    publisher.publish(TopicArn=ours.outputs["Topic"], Message='{"number": 1}')
    assert arrived(ours) == ['{"number": 1}']


def test_another_role_publishes_nothing(ours: Emulator) -> None:
    """A role that its own policy lets publish is stopped by the topic's."""
    statement = {"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"}
    with pytest.raises(ClientError, match="AuthorizationError"):
        ours.acting("sns", statement).publish(TopicArn=ours.outputs["Topic"], Message="forged")


def test_the_publisher_publishes_nowhere_else(publisher: Any, ours: Emulator) -> None:
    """Its right is for one topic."""
    other = ours.root("sns").create_topic(Name="other")["TopicArn"]
    with pytest.raises(ClientError, match="AuthorizationError"):
        publisher.publish(TopicArn=other, Message="astray")


def test_another_topic_does_not_reach_the_inbox(ours: Emulator) -> None:
    """The queue's policy lets one topic in."""
    sns, sqs = ours.root("sns"), ours.root("sqs")
    queue = ours.outputs["Inbox"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    other = sns.create_topic(Name="stranger")["TopicArn"]
    sns.subscribe(TopicArn=other, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])
    sns.publish(TopicArn=other, Message="from a stranger")
    assert arrived(ours) == []
