"""What carries events out: the locked bucket, the stream's mapping, the clock, and the alarms."""

import json
from typing import Any, get_args

import pytest

from portcullis import log
from portcullis.operations import publishing
from tests.template import policies
from tests.template.test_rights import PUBLISHERS
from tests.template.transformed import (
    data,
    functions,
    parent,
    readable,
    resources,
    short,
    watch,
)
from tests.unit.architecture import written_events

BUCKETS = resources("AWS::S3::Bucket", data())
LAST = "events-left"
"""What a run of the reconciler measures when it comes to its end."""
ALARMS = resources("AWS::CloudWatch::Alarm", watch())
RULES = resources("AWS::Events::Rule", watch())
OPEN_EVENTS = {
    "account-opened",
    "approval-demand-lifted",
    "approval-demanded",
    "password-set",
    "session-started",
}


def statements(bucket: str) -> dict[str, dict[str, Any]]:
    """Return the statements of a bucket's policy, by their Sid."""
    (policy,) = (
        one["Properties"]["PolicyDocument"]["Statement"]
        for one in resources("AWS::S3::BucketPolicy", data()).values()
        if one["Properties"]["Bucket"] == {"Ref": bucket}
    )
    return {one["Sid"]: readable(one) for one in policy}


def test_the_audit_trail_is_locked_from_its_first_object_on() -> None:
    """Object Lock with a default retention, which the deployer chooses, and versions."""
    audit = BUCKETS["AuditBucket"]["Properties"]
    assert audit["ObjectLockEnabled"] is True
    assert readable(audit["ObjectLockConfiguration"]) == {
        "ObjectLockEnabled": "Enabled",
        "Rule": {
            "DefaultRetention": {"Mode": "{AuditRetentionMode}", "Days": "{AuditRetentionDays}"}
        },
    }
    assert audit["VersioningConfiguration"] == {"Status": "Enabled"}
    assert parent()["Parameters"]["AuditRetentionDays"]["Default"] == 365


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_no_bucket_is_public_or_goes_with_its_stack(bucket: str) -> None:
    """Public access is blocked in all four ways, ACLs are off, and the bucket is retained."""
    properties = BUCKETS[bucket]["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"] == {
        "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
    }
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        assert BUCKETS[bucket][policy] == "Retain"


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_no_bucket_speaks_in_the_clear(bucket: str) -> None:
    """Whatever a role's policy allows, it is denied without TLS."""
    assert statements(bucket)["NeverInTheClear"] == {
        "Sid": "NeverInTheClear",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:*"],
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_the_audit_trail_is_written_by_its_publishers_once_and_never_again() -> None:
    """Denied to all: an unconditional write, a removal, a shorter lock; to others: any write."""
    found = statements("AuditBucket")
    assert set(found) == {"NeverInTheClear", "NeverRemoved", "PublishersAlone", "WrittenOnce"}
    for one in found.values():
        assert (one["Effect"], one["Principal"]) == ("Deny", "*")
    for sid in ("NeverRemoved", "PublishersAlone", "WrittenOnce"):
        assert found[sid]["Resource"] == "AuditBucket/*"
    assert found["WrittenOnce"]["Action"] == ["s3:PutObject"]
    assert found["WrittenOnce"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}
    assert found["PublishersAlone"]["Action"] == ["s3:PutObject"]
    assert found["PublishersAlone"]["Condition"] == {
        "ArnNotEquals": {
            "aws:PrincipalArn": [f"{policies.ROLE_ARN}{role}" for role in sorted(PUBLISHERS)]
        }
    }
    assert set(found["NeverRemoved"]["Action"]) == {
        "s3:BypassGovernanceRetention",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutObjectLegalHold",
        "s3:PutObjectRetention",
    }
    assert "Condition" not in found["NeverRemoved"]


def test_the_stream_s_retries_are_bounded_and_what_fails_is_kept() -> None:
    """Five retries of ever smaller batches; then the record goes to a bucket, and the shard on."""
    ((_, mapping),) = resources("AWS::Lambda::EventSourceMapping").items()
    properties = readable(mapping["Properties"])
    assert properties["MaximumRetryAttempts"] == 5
    assert properties["BisectBatchOnFunctionError"] is True
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["DestinationConfig"] == {"OnFailure": {"Destination": "FailuresBucket"}}
    (only,) = properties["FilterCriteria"]["Filters"]
    assert json.loads(only["Pattern"]) == {
        "eventName": ["INSERT"],
        "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "PENDING#"}]}}},
    }


def test_the_reconciler_is_called_every_five_minutes_and_ends_before() -> None:
    """Two runs do not overlap: none begins late, and none is tried again beside the next."""
    (rule,) = resources("AWS::Events::Rule").values()
    assert rule["Properties"]["ScheduleExpression"] == "rate(5 minutes)"
    (target,) = rule["Properties"]["Targets"]
    assert target["Arn"] == {"Ref": "ReconcileFunctionAliaslive"}
    (invocation,) = resources("AWS::Lambda::EventInvokeConfig").values()
    asynchronous = invocation["Properties"]
    assert asynchronous["FunctionName"] == {"Ref": "ReconcileFunction"}
    # The schedule invokes the alias: a configuration of the function itself would not bind it.
    assert asynchronous["Qualifier"] == "live"
    assert asynchronous["MaximumRetryAttempts"] == 0
    late_s = asynchronous["MaximumEventAgeInSeconds"]
    assert late_s + functions()["operations-reconcile"]["Timeout"] <= 300


def test_every_alarm_and_rule_reaches_the_one_topic() -> None:
    """An alarm that nobody hears is none."""
    for name, alarm in ALARMS.items():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert "ActionsEnabled" not in alarm["Properties"], name
    for name, rule in RULES.items():
        (target,) = rule["Properties"]["Targets"]
        assert target["Arn"] == {"Ref": "AlarmTopic"}, name
        assert "RoleArn" not in target, name
        assert "State" not in rule["Properties"], name


def test_two_services_may_publish_alarms_and_rules_without_a_condition() -> None:
    """EventBridge names no source to SNS, so a condition would drop its events in silence.

    EventBridge user guide, "Amazon SNS permissions": no `Condition` in a topic's policy.
    """
    (policy,) = resources("AWS::SNS::TopicPolicy", watch()).values()
    found = [readable(one) for one in policy["Properties"]["PolicyDocument"]["Statement"]]
    allowed = {"Effect": "Allow", "Action": "sns:Publish", "Resource": "{AlarmTopic}"}
    assert found == [
        {"Sid": "Rules", "Principal": {"Service": "events.amazonaws.com"}, **allowed},
        {
            "Sid": "Alarms",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Condition": {"StringEquals": {"aws:SourceAccount": "000000000000"}},
            **allowed,
        },
    ]


def test_a_rule_that_cannot_publish_is_an_alarm() -> None:
    """For each rule the invocations that failed are counted, under its name on its bus.

    EventBridge user guide, "Monitoring": a rule of the default bus has no dimension of the bus,
    and the metric is sent only if it is not zero.
    """
    watched = {
        frozenset((one["Name"], str(one["Value"])) for one in alarm["Properties"]["Dimensions"])
        for alarm in ALARMS.values()
        if alarm["Properties"]["Namespace"] == "AWS/Events"
    }
    assert watched == {
        frozenset(
            {("RuleName", str(rule["Properties"]["Name"]))}
            | {
                ("EventBusName", str(rule["Properties"][member]))
                for member in rule["Properties"].keys() & {"EventBusName"}
            }
        )
        for rule in RULES.values()
    }


def watching(function: str) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Return the alarms over a function by namespace and metric: when, how much, and silence."""
    return {
        (one["Namespace"], one["MetricName"]): (
            one["ComparisonOperator"],
            f"{one['Statistic']} {one['Threshold']} in {one['Period']} s",
            one["TreatMissingData"],
        )
        for one in (alarm["Properties"] for alarm in ALARMS.values())
        if any(short(dimension["Value"]) == function for dimension in readable(one["Dimensions"]))
    }


@pytest.mark.parametrize("function", sorted(PUBLISHERS))
def test_a_publisher_that_ends_without_a_word_is_an_alarm(function: str) -> None:
    """A time-out, no memory and a failed import are counted by Lambda alone, which logs no line."""
    once = ("GreaterThanOrEqualToThreshold", "Sum 1 in 300 s", "notBreaching")
    assert watching(function)["AWS/Lambda", "Errors"] == once
    assert watching(function)["Portcullis", "failed"] == once


def test_a_reconciler_whose_runs_come_to_no_end_is_an_alarm() -> None:
    """Invocations count failures too: what is missed is the measure that ends each run."""
    assert watching(log.PLATFORM)["Portcullis", LAST] == (
        "LessThanThreshold",
        "SampleCount 1 in 900 s",
        "breaching",
    )
    assert ("AWS/Lambda", "Invocations") not in watching("operations-reconcile")


def test_an_alarm_watches_a_metric_that_there_is() -> None:
    """What the code logs or Lambda keeps, of a function that exists: no name is misspelt."""
    own = {"done", "refused", "failed", log.ALARMS, *get_args(log.Measure)}
    for name, alarm in ALARMS.items():
        properties = alarm["Properties"]
        if properties["Namespace"] == "AWS/Events":
            assert properties["MetricName"] == "FailedInvocations", name
            continue
        (dimension,) = readable(properties["Dimensions"])
        watched = short(dimension["Value"])
        if properties["Namespace"] == "AWS/Lambda":
            assert properties["MetricName"] in {"Errors", "IteratorAge"}, name
            assert dimension["Name"] == "FunctionName", name
        else:
            assert properties["Namespace"] == "Portcullis", name
            assert dimension["Name"] == "service", name
            assert properties["MetricName"] in own, name
        assert watched == log.PLATFORM or watched in functions(), name


def test_a_rule_waits_for_an_event_that_there_is() -> None:
    """Every kind that a rule names is written by the identity zone, and comes from us."""
    kinds: set[str] = set()
    for name, rule in RULES.items():
        pattern = rule["Properties"]["EventPattern"]
        if name == "FailedRecords":
            assert "EventBusName" not in rule["Properties"]
            continue
        assert pattern["source"] == [publishing.SOURCE]
        assert rule["Properties"]["EventBusName"] == {"Ref": "EventBus"}
        kinds |= set(pattern["detail-type"])
    assert kinds <= set(written_events.facts())
    assert kinds & OPEN_EVENTS == set()
