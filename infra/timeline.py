"""Print what happened to an account, from the audit trail alone, and whether the trail is whole.

    python -m infra.timeline ACCOUNT [--bucket NAME]

Without `--bucket` it reads the running local stack; with it the bucket of that name, as whoever the
AWS SDK finds. The oldest version of each object counts: a newer one, a deletion, a gap, an overlap
or an object that is no segment is said loudly, and the exit status is 1.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.aws import client
from infra.local.inbox import running
from infra.local.stack import StackError, chosen_name
from portcullis.operations import segments
from portcullis.operations.events import Event
from portcullis.operations.segments import SegmentError

WHOLE, BROKEN, UNREAD = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or the mark that it was deleted; *raw* is None for a mark."""

    key: str
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """An account's events in order, and what is wrong with the trail; nothing wrong: whole."""

    events: Sequence[Event]
    findings: Sequence[str]


def of(account: str, versions: Iterable[Version]) -> Timeline:
    """Return the timeline of an account; *versions* are in the order of keys, then oldest first."""
    events: list[Event] = []
    findings: list[str] = []
    seen: set[str] = set()
    for version in versions:
        if version.key in seen or version.raw is None:
            findings.append(f"{version.key} was {_touched(version)} after it was written")
            continue
        seen.add(version.key)
        due = events[-1].number + 1 if events else 1
        try:
            found = _segment(account, version)
        except (SegmentError, ValueError):
            findings.append(f"{version.key} is not a segment of this account")
            continue
        first = found[0].number
        if first > due:
            findings.append(f"GAP: {_range(due, first - 1)} missing")
        if first < due:
            overlap = min(due - 1, found[-1].number)
            findings.append(f"OVERLAP: {_range(first, overlap)} in two objects")
        events += [one for one in found if one.number >= due]
    return Timeline(events=events, findings=findings)


def _segment(account: str, version: Version) -> Sequence[Event]:
    first = int(version.key.rpartition("/")[2].removesuffix(".json"))
    if version.key != segments.key_of(account, first):
        raise ValueError
    return segments.parse(version.raw or b"", account=account, first=first)


def _touched(version: Version) -> str:
    return "deleted" if version.raw is None else "overwritten"


def _range(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"


def line(event: Event) -> str:
    """Return an event as one line to read; nothing in it can move the cursor."""
    at = event.body()["at"]
    facts = "  ".join(
        f"{json.dumps(name)[1:-1]}={json.dumps(value)}" for name, value in event.facts.items()
    )
    return f"{at}  {event.number:>5}  {json.dumps(event.kind)[1:-1]:<26} {facts}".rstrip()


def stored(s3: Any, bucket: str, account: str) -> Iterator[Version]:
    """Yield every version of every object of an account's trail."""
    found: list[Mapping[str, Any]] = []
    pages = s3.get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=bucket, Prefix=f"events/{account}/"):
        found += page.get("Versions", [])
        found += page.get("DeleteMarkers", [])
    # A mark has no ETag. Of one second's versions the first listed is the newest (S3 API).
    found.reverse()
    found.sort(key=lambda one: (one["Key"], one["LastModified"]))
    for one in found:
        raw = None
        if "ETag" in one:
            named = {"Bucket": bucket, "Key": one["Key"], "VersionId": one["VersionId"]}
            raw = s3.get_object(**named)["Body"].read()
        yield Version(key=one["Key"], raw=raw)


def _place(bucket: str | None) -> tuple[Any, str]:
    """Return a client of S3, and the bucket to read."""
    if bucket is not None:
        return botocore.session.get_session().create_client("s3"), bucket
    stack = running(chosen_name(os.environ))
    cloudformation = client("cloudformation", endpoint=stack.endpoint)
    (described,) = cloudformation.describe_stacks(StackName=stack.stack)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}
    return client("s3", endpoint=stack.endpoint), outputs["AuditBucket"]


def main(arguments: Sequence[str]) -> int:
    """Print the timeline and return the exit status; an error is a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m infra.timeline", description=__doc__)
    parser.add_argument("account", help="an account's id, or LOCKDOWN")
    parser.add_argument("--bucket", help="the audit bucket; without it, the running stack's")
    options = parser.parse_args(arguments)
    try:
        s3, bucket = _place(options.bucket)
        timeline = of(options.account, stored(s3, bucket, options.account))
    except (StackError, BotoCoreError, ClientError) as error:
        print(f"\n{error}", file=sys.stderr)
        return UNREAD
    for event in timeline.events:
        print(line(event))
    for finding in timeline.findings:
        print(f"\n!! {finding}", file=sys.stderr)
    if timeline.findings:
        return BROKEN
    if not timeline.events:
        print("There is no such account in the audit trail, or nothing of it is published yet.")
        return UNREAD
    print(f"\nWhole up to event {timeline.events[-1].number}; nothing is known of what came after.")
    return WHOLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
