"""What must be seen at once is heard: from a kill, by bus, rule and topic, to a queue.

The emulator asks no topic's policy whether a rule may publish: that this wall lets them through is
shown by `tests/template` and by the first deployment.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from tests.support import inside
from tests.support.stack import ACCOUNT, REGION, Stack
from tests.support.stage import Stage, stolen, within
from tests.support.story import refused
from tests.system.test_notices import setting

HOME, AWAY = "82.30.20.20", "188.24.20.20"
"""In London and in Bucharest."""
ARRIVED_S = 10
SOURCE = "portcullis"


class Queue:
    """A queue that hears every alarm of a stack, and what has been taken out of it so far."""

    def __init__(self, stack: Stack, url: str) -> None:
        self._sqs = inside.root(stack, "sqs")
        self._url = url
        self._heard: list[dict[str, Any]] = []

    def of(self, account: str) -> list[dict[str, Any]]:
        """Return the alarms about an account that have arrived, without waiting for one."""
        while page := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            self._heard += [json.loads(one["Body"]) for one in page]
            for one in page:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=one["ReceiptHandle"])
        return [one for one in self._heard if one["detail"]["account"] == account]


@pytest.fixture(scope="module")
def alarms(stack: Stack) -> Iterator[Queue]:
    """A queue that is subscribed to the topic of alarms."""
    sqs, sns = inside.root(stack, "sqs"), inside.root(stack, "sns")
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{stack.name}-alarms"
    name = f"{stack.name}-alarms-{uuid4().hex}"
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    heard = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [heard]})
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    subscribed = sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=queue,
        Attributes={"RawMessageDelivery": "true"},
        ReturnSubscriptionArn=True,
    )
    yield Queue(stack, url)
    sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)


def put(stack: Stack, kind: str, facts: Mapping[str, object]) -> str:
    """Put an event on the bus as the publisher would, and return the account that it is about."""
    account = uuid4().hex
    answer = inside.root(stack, "events").put_events(
        Entries=[
            {
                "EventBusName": setting(stack, "EVENT_BUS"),
                "Source": SOURCE,
                "DetailType": kind,
                "Detail": json.dumps({"account": account, "kind": kind, "facts": facts}),
            }
        ]
    )
    assert answer["FailedEntryCount"] == 0
    return account


def test_a_kill_is_heard(stage: Stage, alarms: Queue) -> None:
    """Once the thief is refused, the alarm says whose account it was and why, and no place."""
    person = stage.customer(address=HOME)
    account = str(person.account)
    refused(stolen(person, AWAY).wallets(), 401, "session-terminated")
    (heard,) = within(ARRIVED_S, lambda: alarms.of(account))
    assert (heard["source"], heard["detail-type"]) == (SOURCE, "account-quarantined")
    assert heard["detail"]["facts"]["reasons"] == ["impossible-travel"]
    for hidden in (HOME, AWAY, "GB", "RO"):
        assert f'"{hidden}"' not in json.dumps(heard)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("account-released", {}),
        ("locked-down", {}),
        ("lockdown-lifted", {}),
        ("money-frozen", {}),
        ("passkey-counter-regressed", {}),
        ("session-ended", {"reason": "refresh-token-reused"}),
        ("quarantine-lifted", {"by": "operators"}),
    ],
)
def test_every_urgent_event_is_heard_once(
    stack: Stack, alarms: Queue, kind: str, facts: dict[str, object]
) -> None:
    """Each kind that a rule names is one message."""
    account = put(stack, kind, facts)
    assert [one["detail-type"] for one in within(ARRIVED_S, lambda: alarms.of(account))] == [kind]


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("session-started", {}),
        ("session-ended", {"reason": "signed-out"}),
        ("quarantine-lifted", {"by": "passkey"}),
    ],
)
def test_what_owners_do_every_day_is_no_alarm(
    stack: Stack, alarms: Queue, kind: str, facts: dict[str, object]
) -> None:
    """Nobody is called for it: an alarm that was put on the bus after it is there, alone."""
    quiet, loud = put(stack, kind, facts), put(stack, "locked-down", {})
    assert within(ARRIVED_S, lambda: alarms.of(loud))
    assert alarms.of(quiet) == []
