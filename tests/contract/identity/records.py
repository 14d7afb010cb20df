"""What the identity zone's tables hold, read around the product."""

import json
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Key, Update, Value
from portcullis.identity import tables as names
from portcullis.identity.restraint import Judged
from portcullis.identity.standing import ACTIVE, QUARANTINED
from portcullis.operations.events import Event
from tests.support import event_schema
from tests.support.tables import Tables

EVENTS_MAX = 5_000
RESTRICTED = "CLOSED"
"""A standing that allows nothing."""


def everything(tables: Tables, *, but: Collection[str] = ()) -> dict[str, list[str]]:
    """Return all items of the identity zone, so that two looks can be compared.

    *but* are the types of items (such as ``BUCKET``) that are left out.
    """
    return {
        table: sorted(
            repr(sorted(item.items()))
            for item in _scan(tables, table)
            if item["pk"]["S"].partition("#")[0] not in but
        )
        for table in (tables.identity, tables.standing, tables.once)
    }


@contextmanager
def unchanged(tables: Tables, *, but: Collection[str] = ()) -> Iterator[None]:
    """Demand that nothing is written meanwhile, but for items of some types."""
    before = everything(tables, but=but)
    yield
    assert everything(tables, but=but) == before


def only_throttled(tables: Tables) -> AbstractContextManager[None]:
    """Demand that nothing is written meanwhile but that somebody came: nothing is used up."""
    return unchanged(tables, but={"BUCKET", "SIGHTINGS"})


def events(account: str) -> list[dict[str, Any]]:
    """Return an account's events, oldest first.

    They must be numbered from 1 without a gap, and each be what the published schema says.
    """
    pk = str(names.event_key(account, 1)["pk"])
    found = dynamodb.query(
        names.identity(), pk, newest_first=False, before_sk=None, limit=EVENTS_MAX
    )
    numbers = [int(event["sk"]) for event in found]
    head = dynamodb.get(names.identity(), names.outbox_key(account))
    assert numbers == list(range(1, len(found) + 1))
    assert head is not None
    assert head["last"] == len(found)
    for one in found:
        assert event_schema.faults(Event.from_item(one).body()) == [], one
    return [dict(event) for event in found]


def ends(account: str, sid: str) -> list[str]:
    """Return the reasons of all ends of one session."""
    return [
        event["reason"]
        for event in events(account)
        if event["kind"] == "session-ended" and event["sid"] == sid
    ]


def verdicts(account: str) -> dict[int, Judged]:
    """Return the records of an account's verdicts, by the numbers of their events."""
    pk = str(names.verdict_key(account, 1)["pk"])
    found = dynamodb.query(
        names.identity(), pk, newest_first=False, before_sk=None, limit=EVENTS_MAX
    )
    return {int(one["sk"]): Judged.model_validate_json(one["record"]) for one in found}


def forge(key: Key, **values: Value) -> None:
    """Change an item of the identity table around the product, as who can write it would."""
    dynamodb.update(
        Update(
            names.identity(),
            key,
            change="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            condition="attribute_exists(#pk)",
            values={f":{name}": value for name, value in values.items()},
        )
    )


def kill(tables: Tables, account: str, *, status: str = ACTIVE) -> None:
    """Raise an account's epoch, as a kill does; *status* is its standing from then on."""
    tables.call(
        "update_item",
        TableName=tables.standing,
        Key={"pk": {"S": account}},
        UpdateExpression="SET epoch = epoch + :one, #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":one": {"N": "1"}, ":status": {"S": status}},
    )


def restrict(tables: Tables, account: str, *, status: str = RESTRICTED) -> None:
    """Take an account's right to act, in the same epoch."""
    _set(tables, tables.standing, {"pk": {"S": account}}, status={"S": status})


def pardon(tables: Tables, account: str) -> None:
    """Let an account act, as if it had never been quarantined."""
    _set(
        tables,
        tables.standing,
        {"pk": {"S": account}},
        status={"S": ACTIVE},
        quarantined_at={"L": []},
    )


def quarantine(tables: Tables, account: str) -> None:
    """Kill every session of an account and quarantine it, as an anomaly does."""
    kill(tables, account, status=QUARANTINED)


def demand_approval(tables: Tables, account: str, *, since: int) -> None:
    """Demand an approval of what an account pays, as an anomaly does."""
    _set(
        tables,
        tables.standing,
        {"pk": {"S": account}},
        approval_required_since={"N": str(since)},
    )


def see(tables: Tables, sid: str, *, seen_at: int) -> None:
    """Record a sight of a session where it was, as another request's gate does."""
    key = {"pk": {"S": f"SIGHTINGS#{sid}"}, "sk": {"S": "SIGHTINGS"}}
    stored = tables.call("get_item", TableName=tables.identity, Key=key)["Item"]
    sights = [{**one, "at_s": seen_at} for one in json.loads(stored["sights"]["S"])["sights"]]
    _set(
        tables,
        tables.identity,
        key,
        placed_at={"N": str(seen_at)},
        sights={"S": json.dumps({"sights": sights})},
    )


def remember(tables: Tables, sid: str, **texts: str) -> None:
    """Change what is remembered of a session, as a stolen gate or another release would."""
    key = {"pk": {"S": f"SIGHTINGS#{sid}"}, "sk": {"S": "SIGHTINGS"}}
    _set(tables, tables.identity, key, **{name: {"S": text} for name, text in texts.items()})


def blobs(tables: Tables) -> set[bytes]:
    """Return every value of the zone's tables as bytes: what a dump gives its thief."""
    found: set[bytes] = set()
    for table in (tables.identity, tables.standing, tables.once):
        for item in _scan(tables, table):
            for typed in item.values():
                ((_, value),) = typed.items()
                found.add(value if isinstance(value, bytes) else str(value).encode())
    return found


def _set(
    tables: Tables, table: str, key: dict[str, dict[str, str]], **values: dict[str, Any]
) -> None:
    tables.call(
        "update_item",
        TableName=table,
        Key=key,
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
        ExpressionAttributeNames={f"#{name}": name for name in values},
        ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
    )


def _scan(tables: Tables, table: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        page = tables.call("scan", TableName=table, ConsistentRead=True, **start)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
