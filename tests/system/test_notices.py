"""What happens to an account reaches its owner and the audit trail, from its transaction on."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import timeline
from infra.local.inbox import messages
from infra.timeline import Timeline
from tests.support import iam, inside
from tests.support.iam import ROOT
from tests.support.stack import ACCOUNT, REGION, Stack
from tests.system.people import signed_in
from tests.system.test_stolen_roles import denied, role

ARRIVED_SECONDS = 10


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


def test_a_publisher_reads_events_and_nothing_else(stack: Stack) -> None:
    """A thief of its role reads what was told anyway: no session, no factor, no passkey."""
    table = setting(stack, "IDENTITY_TABLE")
    person, act = signed_in(stack), role(stack, "operations-publish")

    def items(pk: str) -> dict[str, object]:
        return {
            "TableName": table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": f"{pk}#{person.account}"}},
        }

    kinds = [one["kind"]["S"] for one in act.aws("dynamodb", "query", **items("EVENT"))["Items"]]
    assert kinds[0] == "account-opened"
    for pk in ("ACCOUNT", "FACTORS", "SESSION", "CREDENTIAL", "SESSIONS"):
        assert denied(act, "dynamodb", "query", **items(pk))
    key = {"pk": {"S": f"EVENT#{person.account}"}, "sk": {"S": f"{1:012d}"}}
    assert denied(act, "dynamodb", "scan", TableName=table)
    assert denied(act, "dynamodb", "put_item", TableName=table, Item=key)
    assert denied(act, "dynamodb", "delete_item", TableName=table, Key=key)


def trail(stack: Stack, account: str, *, last: int) -> Timeline:
    """Return an account's audit trail once it holds event *last*, or when time is up."""
    s3, bucket = inside.root(stack, "s3"), setting(stack, "AUDIT_BUCKET")
    deadline = time.monotonic() + ARRIVED_SECONDS
    while True:
        found = timeline.of(account, timeline.stored(s3, bucket, account))
        if (found.events and found.events[-1].number >= last) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_the_audit_trail_holds_what_happened(stack: Stack) -> None:
    """Opening and first session are in the trail, whole, and nothing is pending any more."""
    person = signed_in(stack)
    found = trail(stack, str(person.account), last=2)
    assert [one.kind for one in found.events] == ["account-opened", "session-started"]
    assert found.findings == []


@pytest.mark.parametrize("thief", ["operations-publish", "operations-reconcile", "identity-gate"])
def test_nobody_rewrites_the_audit_trail(stack: Stack, thief: str) -> None:
    """Not even who writes it: no object is replaced, removed or put there unconditionally."""
    person, act = signed_in(stack), role(stack, thief)
    assert trail(stack, str(person.account), last=1).events
    bucket = setting(stack, "AUDIT_BUCKET")
    named = {"Bucket": bucket, "Key": f"events/{person.account}/{1:012d}.json"}
    new = {**named, "Key": f"events/{person.account}/{9:012d}.json"}
    for key in (named, new):
        with pytest.raises(ClientError, match="AccessDenied"):
            act.aws("s3", "put_object", **key, Body=b"forged")
    with pytest.raises(ClientError, match=r"PreconditionFailed|AccessDenied"):
        act.aws("s3", "put_object", **named, Body=b"forged", IfNoneMatch="*")
    with pytest.raises(ClientError, match="AccessDenied"):
        act.aws("s3", "delete_object", **named)


def setting(stack: Stack, name: str) -> str:
    """Return a setting of the publisher."""
    function = f"{stack.name}-operations-publish"
    configured = iam.aws(
        stack.endpoint, ROOT, "lambda", "get_function_configuration", FunctionName=function
    )
    return str(configured["Environment"]["Variables"][name])


def test_the_stream_tells_which_items_changed_and_not_how(stack: Stack) -> None:
    """A thief of the publisher's role who reads the stream sees no image of any item."""
    function = f"{stack.name}-operations-publish"
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
