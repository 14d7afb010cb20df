"""From the stored event to the topic, against DynamoDB Local and a topic that can fail."""

import json
from collections.abc import Iterator

import pytest

from portcullis.aws import clients, dynamodb
from portcullis.aws.dynamodb import Value
from portcullis.aws.topic import TopicError
from portcullis.operations import notifying
from portcullis.settings import setting
from tests.support import topic_service
from tests.support.topic_service import TopicService

TOPIC = "arn:aws:sns:us-east-1:000000000000:notices"
KEY = {"pk": "EVENT#acct1", "sk": "000000000003"}


@pytest.fixture
def topic(product: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[TopicService]:
    """The topic of notices, for one test alone."""
    assert product
    with topic_service.running() as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", service.endpoint)
        monkeypatch.setenv("NOTICES_TOPIC", TOPIC)
        yield service
        clients.client("sns").close()


def store(kind: str) -> None:
    """Store an event of this kind."""
    event: dict[str, Value] = {**KEY, "kind": kind, "at": 1_700_000_000}
    dynamodb.execute(dynamodb.insert(setting("IDENTITY_TABLE"), event))


def test_the_owner_is_told_once(topic: TopicService) -> None:
    """The notice of a stored event is published to the configured topic."""
    store("recovery-started")
    notifying.tell(KEY)
    ((where, message),) = topic.published
    assert where == TOPIC
    assert json.loads(message)["number"] == 3


def test_the_same_event_makes_the_same_notice(topic: TopicService) -> None:
    """A repetition of the stream's is recognised by account and number."""
    store("recovery-started")
    notifying.tell(KEY)
    notifying.tell(KEY)
    assert topic.published[0] == topic.published[1]


@pytest.mark.parametrize("kind", ["passkey-renamed", "session-ended"])
def test_nothing_is_published_of_what_needs_no_notice(topic: TopicService, kind: str) -> None:
    """An event that its owner need not hear of does not reach the topic."""
    store(kind)
    notifying.tell(KEY)
    assert topic.published == []


def test_an_event_that_is_gone_is_no_failure(topic: TopicService) -> None:
    """An event that expired before it was told does not hold up those behind it."""
    notifying.tell(KEY)
    assert topic.published == []


def test_a_topic_that_fails_is_a_failure(topic: TopicService) -> None:
    """The stream hears of it, so that the event comes again."""
    store("recovery-started")
    topic.failing = True
    with pytest.raises(TopicError, match="InternalError"):
        notifying.tell(KEY)
