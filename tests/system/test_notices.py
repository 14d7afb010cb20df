"""What happens to an account reaches its owner: from the transaction to the inbox."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.inbox import messages
from tests.support import iam
from tests.support.iam import ROOT
from tests.support.stack import ACCOUNT, REGION, Stack
from tests.system.people import signed_in
from tests.system.test_stolen_roles import denied, role

ARRIVED_SECONDS = 10
QUERY = {
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "SESSION#x"}},
}


class Inbox:
    """What has been taken out of the stack's inbox so far."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._notices: list[dict[str, Any]] = []

    def of(self, account: str, *, at_least: int) -> list[dict[str, Any]]:
        """Return an account's notices in order, once there are so many, or when time is up."""
        deadline = time.monotonic() + ARRIVED_SECONDS
        while True:
            arrived = messages(name=self._stack.name, endpoint=self._stack.endpoint)
            self._notices += map(json.loads, arrived)
            found = [one for one in self._notices if one["account"] == account]
            if len(found) >= at_least or time.monotonic() > deadline:
                return sorted(found, key=lambda one: int(one["number"]))
            time.sleep(0.1)


@pytest.fixture(scope="module")
def inbox(stack: Stack) -> Inbox:
    """The inbox of the stack."""
    return Inbox(stack)


def test_a_new_account_and_its_first_session_are_told(stack: Stack, inbox: Inbox) -> None:
    """Both arrive, numbered without a gap, with ids and codes alone."""
    person = signed_in(stack)
    notices = inbox.of(str(person.account), at_least=2)
    assert [(one["number"], one["kind"]) for one in notices] == [
        (1, "account-opened"),
        (2, "session-started"),
    ]
    assert all(set(one) == {"account", "number", "kind", "at"} for one in notices)


@pytest.mark.parametrize("thief", ["identity-sign-in", "identity-gate", "ledger-post"])
def test_no_other_role_can_forge_a_notice(stack: Stack, thief: str) -> None:
    """A stolen role tells no owner anything."""
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{stack.name}-notices"
    with pytest.raises(ClientError, match="AuthorizationError"):
        role(stack, thief).aws("sns", "publish", TopicArn=topic, Message="{}")


def test_the_notifier_reads_events_and_nothing_else(stack: Stack) -> None:
    """A thief of its role reads what was told anyway: no session, no factor, no passkey."""
    function = f"{stack.name}-operations-notify"
    configured = iam.aws(
        stack.endpoint, ROOT, "lambda", "get_function_configuration", FunctionName=function
    )
    table = configured["Environment"]["Variables"]["IDENTITY_TABLE"]
    person, act = signed_in(stack), role(stack, "operations-notify")

    def key(pk: str, sk: str) -> dict[str, object]:
        return {"TableName": table, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}}

    event = key(f"EVENT#{person.account}", f"{1:012d}")
    assert act.aws("dynamodb", "get_item", **event)["Item"]["kind"] == {"S": "account-opened"}
    for pk in ("ACCOUNT", "FACTORS", "SESSION", "CREDENTIAL", "OUTBOX"):
        other = key(f"{pk}#{person.account}", pk)
        assert denied(act, "dynamodb", "get_item", **other)
    assert denied(act, "dynamodb", "scan", TableName=table)
    assert denied(act, "dynamodb", "query", TableName=table, **QUERY)
    assert denied(act, "dynamodb", "put_item", TableName=table, Item=event["Key"])


def test_the_stream_tells_which_items_changed_and_not_how(stack: Stack) -> None:
    """A thief of the notifier's role who reads the stream sees no image of any item."""
    function = f"{stack.name}-operations-notify"
    (mapping,) = iam.aws(
        stack.endpoint, ROOT, "lambda", "list_event_source_mappings", FunctionName=function
    )["EventSourceMappings"]
    described = iam.aws(
        stack.endpoint,
        ROOT,
        "dynamodbstreams",
        "describe_stream",
        StreamArn=mapping["EventSourceArn"],
    )["StreamDescription"]
    assert described["StreamViewType"] == "KEYS_ONLY"
