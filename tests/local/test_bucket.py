"""A bucket whose objects are written once: its lock, and what its policy denies."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulators import Emulator, deploy

LANES = 16


def policy(bucket: str, action: str, condition: dict[str, Any]) -> dict[str, Any]:
    """Return a bucket policy that denies *action* to everybody under a condition."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": {"Fn::Sub": f"${{{bucket}.Arn}}/*"},
        "Condition": condition,
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    properties = {"Bucket": {"Ref": bucket}, "PolicyDocument": document}
    return {"Type": "AWS::S3::BucketPolicy", "Properties": properties}


def template(*, days: int) -> str:
    """Return a template of a locked bucket, one of conditional writes, and one of TLS."""
    retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": days}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": retention}
    names = ("Locked", "Once", "Secure")
    return json.dumps(
        {
            "Resources": {
                "Locked": {
                    "Type": "AWS::S3::Bucket",
                    "Properties": {
                        "ObjectLockEnabled": True,
                        "ObjectLockConfiguration": lock,
                        "VersioningConfiguration": {"Status": "Enabled"},
                    },
                },
                "Once": {"Type": "AWS::S3::Bucket"},
                "OncePolicy": policy(
                    "Once", "s3:PutObject", {"Null": {"s3:if-none-match": "true"}}
                ),
                "Secure": {"Type": "AWS::S3::Bucket"},
                "SecurePolicy": policy(
                    "Secure", "s3:*", {"Bool": {"aws:SecureTransport": "false"}}
                ),
            },
            "Outputs": {name: {"Value": {"Ref": name}} for name in names},
        }
    )


@pytest.fixture(scope="module")
def both(stock: Emulator, ours: Emulator) -> list[tuple[Any, dict[str, str]]]:
    """For each emulator, a role that may do everything with S3, and its buckets."""
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    return [
        (emulator.acting("s3", everything), deploy(emulator.port, template(days=1), "buckets"))
        for emulator in (stock, ours)
    ]


def outcome(call: Any, **arguments: Any) -> str:
    """Return "done", or the code of the refusal."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def test_what_a_template_locks_is_locked(both: list[tuple[Any, dict[str, str]]]) -> None:
    """A version of a bucket with a default retention is not deleted before its day."""

    def asked(s3: Any, buckets: dict[str, str]) -> str:
        named = {"Bucket": buckets["Locked"], "Key": "k"}
        version = s3.put_object(**named, Body=b"x")["VersionId"]
        return outcome(s3.delete_object, **named, VersionId=version)

    assert [asked(*one) for one in both] == ["done", "AccessDenied"]


def test_a_changed_retention_is_applied(
    ours: Emulator, both: list[tuple[Any, dict[str, str]]]
) -> None:
    """An update of the stack changes the lock of what is written from then on."""
    s3, bucket = ours.root("s3"), both[1][1]["Locked"]
    assert retention_days(s3, bucket) == 1
    deploy(ours.port, template(days=2), "buckets")
    assert retention_days(s3, bucket) == 2


def retention_days(s3: Any, bucket: str) -> int:
    """Return the days of a bucket's default retention."""
    found = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    days: int = found["Rule"]["DefaultRetention"]["Days"]
    return days


def test_a_policy_can_demand_a_conditional_write(both: list[tuple[Any, dict[str, str]]]) -> None:
    """Without `If-None-Match` a write is denied; with it, the first one stands."""

    def asked(s3: Any, buckets: dict[str, str]) -> list[str]:
        named = {"Bucket": buckets["Once"], "Key": "k", "Body": b"x"}
        return [
            outcome(s3.put_object, **named),
            outcome(s3.put_object, **named, IfNoneMatch="*"),
            outcome(s3.put_object, **named, IfNoneMatch="*"),
        ]

    stock, ours = (asked(*one) for one in both)
    assert stock == ["AccessDenied"] * 3
    assert ours == ["AccessDenied", "done", "PreconditionFailed"]


def test_one_of_many_conditional_writes_at_once_stands(
    both: list[tuple[Any, dict[str, str]]],
) -> None:
    """Whoever writes a key first wins, and everybody else is told."""
    s3, buckets = both[1]
    with ThreadPoolExecutor(LANES) as pool:
        outcomes = list(
            pool.map(
                lambda lane: outcome(
                    s3.put_object,
                    Bucket=buckets["Once"],
                    Key="race",
                    Body=str(lane).encode(),
                    IfNoneMatch="*",
                ),
                range(LANES),
            )
        )
    assert sorted(outcomes) == ["PreconditionFailed"] * (LANES - 1) + ["done"]
    written = s3.get_object(Bucket=buckets["Once"], Key="race")["Body"].read()
    assert int(written) == outcomes.index("done")


def test_loopback_counts_as_tls(both: list[tuple[Any, dict[str, str]]]) -> None:
    """A policy that denies plain HTTP denies nothing on this machine."""
    outcomes = [
        outcome(s3.put_object, Bucket=buckets["Secure"], Key="k", Body=b"x") for s3, buckets in both
    ]
    assert outcomes == ["AccessDenied", "done"]
