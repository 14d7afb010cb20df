"""A table's stream, and the function that listens to it."""

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulators import (
    POLL_SECONDS,
    ROOT_KEYS,
    TEMPLATE,
    Emulator,
    client,
    deploy,
    free_port,
    our_process,
)

HEARD_SECONDS = 8
"""Longer than two rounds of the emulator's poller, with a rest after a failure between."""


def heard(logs: Any, prefix: str) -> list[str]:
    """Return what the listener said of keys that begin with *prefix*, in order."""
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/listener")["logGroups"]
    if not groups:
        return []
    lines = [
        line
        for event in logs.filter_log_events(logGroupName="/aws/lambda/listener")["events"]
        for line in event["message"].splitlines()
    ]
    return [line.removeprefix("heard ") for line in lines if f" {prefix}" in line]


def until(logs: Any, prefix: str, enough: Callable[[list[str]], bool]) -> list[str]:
    """Return what the listener said once it is *enough*, or when the time is up."""
    deadline = time.monotonic() + HEARD_SECONDS
    while not enough(found := heard(logs, prefix)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return found


def fresh() -> str:
    """Return the beginning of the keys of one test."""
    return f"EVENT#{uuid.uuid4().hex[:8]}"


def put(*keys: str) -> dict[str, Any]:
    """Return a transaction that puts items."""
    items = [{"Put": {"TableName": "events", "Item": {"pk": {"S": key}}}} for key in keys]
    return {"TransactItems": items}


def insert(*keys: str) -> dict[str, Any]:
    """Return a PartiQL transaction that inserts items."""
    text = "INSERT INTO \"events\" VALUE {'pk': ?}"
    statements = [{"Statement": text, "Parameters": [{"S": key}]} for key in keys]
    return {"TransactStatements": statements}


def test_a_partiql_write_is_heard(stock: Emulator, ours: Emulator) -> None:
    """What a PartiQL transaction inserts is in the stream, in its order."""

    def asked(emulator: Emulator) -> list[str]:
        prefix = fresh()
        dynamodb, logs = emulator.root("dynamodb"), emulator.root("logs")
        dynamodb.execute_transaction(**insert(f"{prefix}-1", f"{prefix}-2"))
        dynamodb.put_item(TableName="events", Item={"pk": {"S": f"{prefix}-3"}})
        found = until(logs, prefix, lambda lines: f"INSERT {prefix}-3" in lines)
        return [line.removeprefix(f"INSERT {prefix}") for line in found]

    assert asked(stock) == ["-3"]
    assert asked(ours) == ["-1", "-2", "-3"]


def test_a_partiql_write_that_failed_is_not_heard(ours: Emulator) -> None:
    """A cancelled transaction leaves no record, not even of the statement that would have stood."""
    prefix = fresh()
    dynamodb, logs = ours.root("dynamodb"), ours.root("logs")
    dynamodb.put_item(TableName="events", Item={"pk": {"S": f"{prefix}-1"}})
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.execute_transaction(**insert(f"{prefix}-2", f"{prefix}-1"))
    dynamodb.execute_statement(**insert(f"{prefix}-3")["TransactStatements"][0])
    found = until(logs, prefix, lambda lines: f"INSERT {prefix}-3" in lines)
    assert found == [f"INSERT {prefix}-1", f"INSERT {prefix}-3"]


def test_only_what_the_filter_names_is_heard(ours: Emulator) -> None:
    """Another type of item, a change and a removal do not call the function."""
    prefix = fresh()
    dynamodb, logs = ours.root("dynamodb"), ours.root("logs")
    dynamodb.execute_transaction(**insert(f"OTHER#{prefix}", f"{prefix}-1"))
    change = 'UPDATE "events" SET "n" = 1 WHERE "pk" = ?'
    dynamodb.execute_statement(Statement=change, Parameters=[{"S": f"{prefix}-1"}])
    dynamodb.delete_item(TableName="events", Key={"pk": {"S": f"{prefix}-1"}})
    dynamodb.execute_transaction(**insert(f"{prefix}-2"))
    found = until(logs, prefix, lambda lines: f"INSERT {prefix}-2" in lines)
    assert found == [f"INSERT {prefix}-1", f"INSERT {prefix}-2"]
    assert heard(logs, "OTHER#") == []


def test_a_batch_goes_on_from_its_first_failure(stock: Emulator, ours: Emulator) -> None:
    """A record that failed comes again, and so do those behind it; what is done does not."""

    def asked(emulator: Emulator) -> list[str]:
        prefix = fresh()
        keys = [f"{prefix}-1", f"{prefix}-late", f"{prefix}-3"]
        emulator.root("dynamodb").transact_write_items(**put(*keys))
        found = until(emulator.root("logs"), prefix, lambda lines: f"INSERT {prefix}-3" in lines)
        return [line.removeprefix(f"INSERT {prefix}") for line in found]

    assert asked(stock) == ["-1", "-late"]
    assert asked(ours) == ["-1", "-late", "-late", "-3"]


def deaf(stream: str, **mapping: object) -> str:
    """Return a template of a function that listens to *stream* with a role without rights."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    resources: dict[str, Any] = {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": {"Statement": [trust]}},
        },
        "Deaf": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": "def handler(event, context): return {}"},
            },
        },
        "Mapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "FunctionName": {"Ref": "Deaf"},
                "EventSourceArn": stream,
                "StartingPosition": "LATEST",
                **mapping,
            },
        },
    }
    output = {"Value": {"Ref": "Mapping"}}
    return json.dumps({"Resources": resources, "Outputs": {"Mapping": output}})


def test_a_role_that_may_not_read_the_stream_hears_nothing(stock: Emulator, ours: Emulator) -> None:
    """The mapping is refused when it is made, and the reason names the rights."""
    assert deploy(stock.port, deaf(stock.outputs["Events"]), "deaf")["Mapping"]
    with pytest.raises(AssertionError, match="may not DescribeStream, GetRecords"):
        deploy(ours.port, deaf(ours.outputs["Events"]), "deaf")


def test_a_mapping_that_would_be_misunderstood_is_refused(ours: Emulator) -> None:
    """A property that is not modelled stops the deployment instead of being dropped."""
    template = deaf(ours.outputs["Events"], ParallelizationFactor=3)
    with pytest.raises(AssertionError, match="not modelled for a stream: ParallelizationFactor"):
        deploy(ours.port, template, "misunderstood")


def tried(*, may_keep: bool) -> str:
    """Return a template of a table, a function that never does `poison`, and a bucket for it."""
    stream = {"Fn::GetAtt": ["Table", "StreamArn"]}
    bucket = {"Fn::GetAtt": ["Failures", "Arn"]}
    rights = [
        {
            "Effect": "Allow",
            "Action": [
                f"dynamodb:{action}"
                for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
            ],
            "Resource": stream,
        }
    ]
    if may_keep:
        kept = {"Fn::Sub": "${Failures.Arn}/*"}
        rights.append({"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": kept})
    template = json.loads(
        deaf(
            "",
            EventSourceArn=stream,
            StartingPosition="TRIM_HORIZON",
            BatchSize=10,
            MaximumRetryAttempts=1,
            BisectBatchOnFunctionError=True,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            DestinationConfig={"OnFailure": {"Destination": bucket}},
        )
    )
    made = template["Resources"]
    made["Table"] = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": "tried",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
        },
    }
    made["Failures"] = {"Type": "AWS::S3::Bucket"}
    document = {"Version": "2012-10-17", "Statement": rights}
    made["Role"]["Properties"]["Policies"] = [{"PolicyName": "all", "PolicyDocument": document}]
    made["Deaf"]["Properties"] |= {"FunctionName": "tried", "Code": {"ZipFile": PICKY}}
    template["Outputs"]["Failures"] = {"Value": {"Ref": "Failures"}}
    return json.dumps(template)


PICKY = """
def handler(event, context):
    for record in event["Records"]:
        print("heard", record["dynamodb"]["Keys"]["pk"]["S"])
        if record["dynamodb"]["Keys"]["pk"]["S"] == "poison":
            raise ValueError
    return {"batchItemFailures": []}
"""


def test_a_poison_record_is_put_aside_alone(stock: Emulator, ours: Emulator) -> None:
    """The batch is halved until it is alone, it is retried as often as asked for, then kept."""

    def asked(emulator: Emulator) -> tuple[int, bool, list[str]]:
        bucket = deploy(emulator.port, tried(may_keep=True), "tried")["Failures"]
        dynamodb, s3 = emulator.root("dynamodb"), emulator.root("s3")
        for key in ("first", "poison", "last"):
            dynamodb.put_item(TableName="tried", Item={"pk": {"S": key}})
        logs, deadline = emulator.root("logs"), time.monotonic() + 2 * HEARD_SECONDS
        while "last" not in (lines := spoken(logs)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        kept = [
            record["dynamodb"]["Keys"]["pk"]["S"]
            for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])
            for record in json.loads(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read())[
                "payload"
            ]["Records"]
        ]
        return lines.count("poison"), lines[-1:] == ["last"], kept

    assert asked(stock)[2] == []
    tries, goes_on, kept = asked(ours)
    assert 2 <= tries <= 4
    assert goes_on
    assert kept == ["poison"]


def spoken(logs: Any) -> list[str]:
    """Return the keys that the picky function was given, in order."""
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/tried")["logGroups"]
    if not groups:
        return []
    lines = [
        line
        for event in logs.filter_log_events(logGroupName="/aws/lambda/tried")["events"]
        for line in event["message"].splitlines()
    ]
    return [line.removeprefix("heard ") for line in lines if line.startswith("heard ")]


def test_a_role_that_may_not_keep_failures_gets_no_mapping(ours: Emulator) -> None:
    """A destination that the role may not write to is refused when the mapping is made."""
    with pytest.raises(AssertionError, match="may not s3:PutObject in the bucket"):
        deploy(ours.port, tried(may_keep=False).replace("tried", "untried"), "untried")


def test_a_right_that_is_taken_away_stops_the_listener(ours: Emulator) -> None:
    """Without its role's policy the listener waits; with it, it goes on where it was."""
    iam, dynamodb, logs = ours.root("iam"), ours.root("dynamodb"), ours.root("logs")
    role = ours.root("lambda").get_function(FunctionName="listener")["Configuration"]["Role"]
    named = {"RoleName": role.rpartition("/")[2], "PolicyName": "stream"}
    document = json.dumps(iam.get_role_policy(**named)["PolicyDocument"])
    prefix = fresh()
    iam.delete_role_policy(**named)
    dynamodb.execute_transaction(**insert(f"{prefix}-1"))
    time.sleep(2)
    assert heard(logs, prefix) == []
    iam.put_role_policy(**named, PolicyDocument=document)
    assert until(logs, prefix, bool) == [f"INSERT {prefix}-1"]


def test_a_restart_loses_no_listener(tmp_path: Path) -> None:
    """What is written first after a restart is heard, however much was before."""
    ports = free_port(), free_port(), free_port()
    before, after = fresh(), fresh()

    def write_and_hear(prefix: str, last: int) -> list[str]:
        keys = [f"{prefix}-{number}" for number in range(1, last + 1)]
        client(ports[0], "dynamodb", ROOT_KEYS).execute_transaction(**insert(*keys))
        logs = client(ports[0], "logs", ROOT_KEYS)
        return until(logs, prefix, lambda lines: len(lines) == last)

    with our_process(tmp_path, *ports) as running:
        deploy(ports[0], TEMPLATE.read_text())
        assert len(write_and_hear(before, 5)) == 5
        running.terminate()
        assert running.wait(15) == 0
    with our_process(tmp_path, *ports):
        assert write_and_hear(after, 1) == [f"INSERT {after}-1"]
