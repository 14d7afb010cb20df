"""What the identity zone's tables hold, read around the product."""

from typing import Any

from portcullis.aws import dynamodb
from portcullis.identity import tables as names
from tests.support.tables import Tables

EVENTS_MAX = 5_000


def everything(tables: Tables) -> dict[str, list[str]]:
    """Return all items of the identity zone, so that two looks can be compared."""
    return {
        table: sorted(repr(sorted(item.items())) for item in _scan(tables, table))
        for table in (tables.identity, tables.standing, tables.once)
    }


def events(account: str) -> list[dict[str, Any]]:
    """Return an account's events, oldest first, which must be numbered from 1 without a gap."""
    pk = str(names.event_key(account, 1)["pk"])
    found = dynamodb.query(
        names.identity(), pk, newest_first=False, before_sk=None, limit=EVENTS_MAX
    )
    numbers = [int(event["sk"]) for event in found]
    head = dynamodb.get(names.identity(), names.outbox_key(account))
    assert numbers == list(range(1, len(found) + 1))
    assert head is not None
    assert head["last"] == len(found)
    return [dict(event) for event in found]


def ends(account: str, sid: str) -> list[str]:
    """Return the reasons of all ends of one session."""
    return [
        event["reason"]
        for event in events(account)
        if event["kind"] == "session-ended" and event["sid"] == sid
    ]


def _scan(tables: Tables, table: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        page = tables.call("scan", TableName=table, ConsistentRead=True, **start)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
