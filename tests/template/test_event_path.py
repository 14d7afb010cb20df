"""What carries events out: the locked bucket, the stream's mapping, the clock, and the alarms."""

import json
from typing import Any, get_args

import pytest

from portcullis import log
from portcullis.operations import publishing
from tests.template import policies
from tests.template.test_rights import PUBLISHERS
from tests.template.transformed import data, functions, parent, readable, resources, short, watch
from tests.unit.architecture import written_events

BUCKETS = resources("AWS::S3::Bucket", data())
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
    """Two runs do not overlap."""
    (rule,) = resources("AWS::Events::Rule").values()
    assert rule["Properties"]["ScheduleExpression"] == "rate(5 minutes)"
    (target,) = rule["Properties"]["Targets"]
    assert target["Arn"] == {"Ref": "ReconcileFunctionAliaslive"}
    assert functions()["operations-reconcile"]["Timeout"] < 300


def test_every_alarm_and_rule_reaches_the_one_topic() -> None:
    """An alarm that nobody hears is none; and only the two services may publish there."""
    for name, alarm in ALARMS.items():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert "ActionsEnabled" not in alarm["Properties"], name
    for name, rule in RULES.items():
        (target,) = rule["Properties"]["Targets"]
        assert target["Arn"] == {"Ref": "AlarmTopic"}, name
        assert "State" not in rule["Properties"], name
    (policy,) = resources("AWS::SNS::TopicPolicy", watch()).values()
    assert {
        one["Principal"]["Service"] for one in policy["Properties"]["PolicyDocument"]["Statement"]
    } == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}


def test_an_alarm_watches_a_metric_that_there_is() -> None:
    """What the code logs or Lambda keeps, of a function that exists: no name is misspelt."""
    own = {"done", "refused", "failed", log.ALARMS, *get_args(log.Measure)}
    for name, alarm in ALARMS.items():
        properties = alarm["Properties"]
        (dimension,) = readable(properties["Dimensions"])
        watched = short(dimension["Value"])
        if properties["Namespace"] == "AWS/Lambda":
            assert properties["MetricName"] in {"Errors", "Invocations", "IteratorAge"}, name
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
