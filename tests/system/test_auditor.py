"""The auditor's role: enough for the operator's tools as on AWS, and a thief reads no more."""

import pytest

from infra import timeline, verdicts
from tests.support import inside
from tests.support.owner import Owner
from tests.support.stack import REGION, Stack
from tests.support.stage import Stage, stolen, within
from tests.support.story import refused
from tests.system.test_notices import setting
from tests.system.test_stolen_roles import denied, role

HOME, AWAY = "82.30.30.30", "188.24.30.30"
"""In London and in Bucharest."""
PUBLISHED_S = 10


@pytest.fixture
def robbed(stage: Stage) -> Owner:
    """Somebody whose stolen session was killed, once the audit trail knows it."""
    person = stage.customer(address=HOME)
    refused(stolen(person, AWAY).wallets(), 401, "session-terminated")
    account = str(person.account)
    assert within(PUBLISHED_S, lambda: "account-quarantined" in published(stage.stack, account))
    return person


@pytest.fixture
def acting(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools find the auditor's credentials where they find anybody's, and AWS here."""
    credentials = role(stack, "auditor").credentials
    for name, value in {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": str(credentials.token),
        "AWS_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)


def published(stack: Stack, account: str) -> list[str]:
    """Return the kinds of an account's events in the audit trail."""
    return [one["kind"] for one in inside.audited(stack, account)]


@pytest.mark.usefixtures("acting")
def test_the_role_is_enough_for_a_replay(stack: Stack, robbed: Owner) -> None:
    """Of one account, and of every account that the audit trail knows."""
    account = str(robbed.account)
    (own,) = verdicts.of_stack(stack.name, endpoint=None, account=account).verdicts
    assert (own.occasion, own.quarantined) == ("request", True)
    everybody = verdicts.of_stack(stack.name, endpoint=None)
    assert everybody.of(account).verdicts == [own]


@pytest.mark.usefixtures("acting")
def test_the_role_is_enough_for_a_timeline(stack: Stack, robbed: Owner) -> None:
    """Every version of every object of an account is read."""
    bucket = setting(stack, "AUDIT_BUCKET")
    assert timeline.main([str(robbed.account), "--bucket", bucket]) == timeline.WHOLE


def test_a_thief_of_it_reads_nothing_that_opens_an_account(stack: Stack, robbed: Owner) -> None:
    """No session, factor, credential, sighting or standing, and no table as a whole."""
    act, table, account = role(stack, "auditor"), setting(stack, "IDENTITY_TABLE"), robbed.account
    for pk in ("ACCOUNT", "FACTORS", "SESSION", "SESSIONS", "CREDENTIAL", "SIGHTINGS", "PENDING"):
        key = {"pk": {"S": f"{pk}#{account}"}, "sk": {"S": "0"}}
        by_key = {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": key["pk"]},
        }
        assert denied(act, "dynamodb", "query", TableName=table, **by_key)
        assert denied(act, "dynamodb", "get_item", TableName=table, Key=key)
    assert denied(act, "dynamodb", "scan", TableName=table)
    key = {"pk": {"S": str(account)}}
    standing = inside.table(stack, "Standing")
    assert denied(act, "dynamodb", "get_item", TableName=standing, Key=key)


def test_a_thief_of_it_changes_nothing(stack: Stack, robbed: Owner) -> None:
    """No verdict, no event and no object of the audit trail is its to write or to remove."""
    act, table = role(stack, "auditor"), setting(stack, "IDENTITY_TABLE")
    bucket, account = setting(stack, "AUDIT_BUCKET"), str(robbed.account)
    for pk in ("VERDICT", "EVENT"):
        key = {"pk": {"S": f"{pk}#{account}"}, "sk": {"S": "000000000001"}}
        assert denied(act, "dynamodb", "put_item", TableName=table, Item=key)
        assert denied(act, "dynamodb", "delete_item", TableName=table, Key=key)
    named = {"Bucket": bucket, "Key": f"events/{account}/000000000001.json"}
    assert denied(act, "s3", "put_object", **named, Body=b"{}", IfNoneMatch="*")
    assert denied(act, "s3", "delete_object", **named)
