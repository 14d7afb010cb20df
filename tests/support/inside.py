"""What the account's root sees behind the API of a running stack: for looking, and for planting."""

import json
from functools import cache
from typing import Any

from botocore.session import get_session

from tests.support import iam
from tests.support.iam import NO_RETRY, ROOT
from tests.support.stack import REGION, Stack


@cache
def outputs(stack: Stack) -> dict[str, str]:
    """Return the physical names of tables and keys, by their names in the data template."""
    outer = iam.aws(
        stack.endpoint, ROOT, "cloudformation", "describe_stack_resources", StackName=stack.name
    )
    (nested,) = [
        one["PhysicalResourceId"]
        for one in outer["StackResources"]
        if one["LogicalResourceId"] == "Data"
    ]
    described = iam.aws(stack.endpoint, ROOT, "cloudformation", "describe_stacks", StackName=nested)
    return {one["OutputKey"]: one["OutputValue"] for one in described["Stacks"][0]["Outputs"]}


@cache
def root(stack: Stack, service: str) -> Any:
    """Return a client of the account's root, whom no policy binds: for looking, and for planting.

    One for each service: to make a client costs more than what it is asked.
    """
    return get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=stack.endpoint,
        aws_access_key_id=ROOT.access_key,
        aws_secret_access_key=ROOT.secret_key,
        config=NO_RETRY,
    )


def table(stack: Stack, name: str) -> str:
    """Return the physical name of a table of the data template: ``Identity``, ``Once`` ..."""
    return outputs(stack)[f"{name}Table"]


def item(stack: Stack, name: str, pk: str, sk: str | None = None) -> dict[str, Any] | None:
    """Return one item of a table as it is stored, or None."""
    key = {"pk": {"S": pk}} | ({} if sk is None else {"sk": {"S": sk}})
    found: dict[str, Any] | None = (
        root(stack, "dynamodb")
        .get_item(TableName=table(stack, name), Key=key, ConsistentRead=True)
        .get("Item")
    )
    return found


def events(stack: Stack, account: str) -> list[str]:
    """Return the kinds of an account's events, in order."""
    found = root(stack, "dynamodb").query(
        TableName=table(stack, "Identity"),
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"EVENT#{account}"}},
        ConsistentRead=True,
    )
    return [one["kind"]["S"] for one in found["Items"]]


def audited(stack: Stack, account: str) -> list[dict[str, Any]]:
    """Return an account's events in the audit bucket, in order of their objects' names."""
    s3, bucket = root(stack, "s3"), outputs(stack)["AuditBucket"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"events/{account}/").get("Contents", [])
    segments = [s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed]
    return [event for segment in segments for event in json.loads(segment)["events"]]
