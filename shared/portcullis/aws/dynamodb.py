"""DynamoDB on plain values: the few operations that the domain needs, and what they raise.

Values are str, int, bytes, bool, list and dict. In an expression ``#name`` stands for the
attribute *name* (most good names are reserved words), ``:value`` for a bound value. Expressions
are constants of the calling module: nothing from outside is ever part of one.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from portcullis import entropy
from portcullis.aws.clients import client
from portcullis.errors import InfrastructureError

type Value = str | int | bytes | bool | list[Value] | dict[str, Value]
type Item = Mapping[str, Any]
type Key = Mapping[str, str]

CONTENTION_ROUNDS_MAX = 6
CONTENTION_PAUSE_S = 0.01

_CONTENTION = {
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ThrottlingError",
    "ThrottlingException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
}
_CANCELED = "TransactionCanceledException"
_NO_REASON = {"None", ""}
_NAME = re.compile(r"#([a-z_]+)")


class StoreError(InfrastructureError):
    """The store did not answer, or not usefully: nothing is known about the write."""


class ContentionError(StoreError):
    """Others write the same items; every bounded retry met them again. Nothing was written."""


class ConditionFailedError(Exception):
    """A condition did not hold, so nothing was written.

    ``reasons`` has one entry for each write of the transaction, in order.
    """

    def __init__(self, reasons: Sequence["Reason"]) -> None:
        super().__init__("condition failed")
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one write of a transaction failed, and the item that it met (where DynamoDB tells)."""

    failed: bool
    item: Item | None


@dataclass(frozen=True, slots=True)
class Put:
    """Create an item; the condition that none is there is part of it."""

    table: str
    item: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Update:
    """Change an item under a condition."""

    table: str
    key: Key
    change: str
    condition: str
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """Demand a condition of an item that is not changed."""

    table: str
    key: Key
    condition: str
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """One PartiQL statement with positional values."""

    text: str
    values: Sequence[Value]


type Write = Put | Update | Check


def insert(table: str, item: Mapping[str, Value]) -> Statement:
    """Return the statement that creates an item: unlike PutItem it never replaces one.

    It has an IAM action of its own, ``dynamodb:PartiQLInsert``.
    """
    members = ", ".join(f"'{name}': ?" for name in item)
    return Statement(f'INSERT INTO "{table}" VALUE {{{members}}}', tuple(item.values()))


def change(
    table: str, key: Key, values: Mapping[str, Value], *, where: str, given: Sequence[Value]
) -> Statement:
    """Return the statement that sets *values* of an existing item, if *where* holds.

    Unlike UpdateItem it creates nothing. *where* is a constant with a ``?`` for each value given.
    """
    sets = " ".join(f'SET "{name}" = ?' for name in values)
    keys = " AND ".join(f'"{name}" = ?' for name in key)
    text = f'UPDATE "{table}" {sets} WHERE {keys} AND {where}'
    return Statement(text, (*values.values(), *key.values(), *given))


def demand(table: str, key: Key, *, where: str, given: Sequence[Value]) -> Statement:
    """Return the statement that demands *where* of an item that is not changed."""
    keys = " AND ".join(f'"{name}" = ?' for name in key)
    text = f'EXISTS(SELECT * FROM "{table}" WHERE {keys} AND {where})'  # noqa: S608 names are ours
    return Statement(text, (*key.values(), *given))


def get(table: str, key: Key) -> Item | None:
    """Return an item, read consistently, or None.

    Raises:
        StoreError: the read failed.
    """
    reply = _call("get_item", TableName=table, Key=_encode_item(key), ConsistentRead=True)
    return _decode_item(reply["Item"]) if "Item" in reply else None


def batch_get(*wanted: tuple[str, Key]) -> list[Item | None]:
    """Return items in the order asked for, None where there is none: one consistent round trip.

    Raises:
        StoreError: the read failed, or DynamoDB left a key unprocessed: half an answer is none.
    """
    by_table: dict[str, list[Key]] = {}
    for table, key in wanted:
        if key not in by_table.setdefault(table, []):
            by_table[table].append(key)
    reply = _call(
        "batch_get_item",
        RequestItems={
            table: {"Keys": [_encode_item(key) for key in keys], "ConsistentRead": True}
            for table, keys in by_table.items()
        },
    )
    if reply.get("UnprocessedKeys"):
        raise StoreError("unprocessed keys")
    found = {
        table: [_decode_item(item) for item in items] for table, items in reply["Responses"].items()
    }
    return [
        next(
            (item for item in found.get(table, []) if all(item[k] == v for k, v in key.items())),
            None,
        )
        for table, key in wanted
    ]


def query(
    table: str, pk: str, *, newest_first: bool, before_sk: str | None, limit: int
) -> list[Item]:
    """Return at most *limit* items of one partition, read consistently, ordered by ``sk``.

    Raises:
        StoreError: the read failed.
    """
    condition, values = "#pk = :pk", {":pk": pk}
    if before_sk is not None:
        condition, values = "#pk = :pk AND #sk < :sk", {":pk": pk, ":sk": before_sk}
    return _query(table, condition, values, newest_first=newest_first, limit=limit)


def query_between(table: str, pk: str, *, first_sk: str, last_sk: str, limit: int) -> list[Item]:
    """Return at most *limit* items of one partition from *first_sk* to *last_sk*, both included.

    Read consistently, in ascending order.

    Raises:
        StoreError: the read failed.
    """
    condition = "#pk = :pk AND #sk BETWEEN :first AND :last"
    values = {":pk": pk, ":first": first_sk, ":last": last_sk}
    return _query(table, condition, values, newest_first=False, limit=limit)


def _query(
    table: str, condition: str, values: Mapping[str, str], *, newest_first: bool, limit: int
) -> list[Item]:
    reply = _call(
        "query",
        TableName=table,
        KeyConditionExpression=condition,
        ExpressionAttributeNames=_names(condition),
        ExpressionAttributeValues=_encode_item(values),
        ConsistentRead=True,
        ScanIndexForward=not newest_first,
        Limit=limit,
    )
    return [_decode_item(item) for item in reply["Items"]]


def put(write: Put) -> None:
    """Create an item.

    Raises:
        ConditionFailedError: there is one already; its reason holds it.
        StoreError: the write failed.
    """
    try:
        _call("put_item", **_put(write), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    except ClientError as error:
        raise _single_failure(error) from None


def update(write: Update) -> None:
    """Change one item.

    Raises:
        ConditionFailedError: the condition does not hold.
        StoreError: the write failed.
    """
    try:
        _call("update_item", **_update(write), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    except ClientError as error:
        raise _single_failure(error) from None


def delete(table: str, key: Key) -> None:
    """Remove an item; there need be none.

    Raises:
        StoreError: it is not known whether it is gone.
    """
    try:
        _call("delete_item", TableName=table, Key=_encode_item(key))
    except ClientError as error:
        raise StoreError(_code(error)) from None


def transact(*writes: Write) -> None:
    """Do all the writes or none; contention alone is retried, a bounded number of times.

    Raises:
        ConditionFailedError: a condition does not hold.
        ContentionError: others kept writing the same items.
        StoreError: the outcome is not known.
    """
    actions = [_action(write) for write in writes]
    _contended("transact_write_items", TransactItems=actions, ClientRequestToken=_token())


def execute(*statements: Statement) -> None:
    """Execute PartiQL writes, all or none; contention alone is retried, a bounded number of times.

    Raises:
        ConditionFailedError: a condition does not hold or an inserted item is there already;
            PartiQL returns no item, so the caller classifies by reading again.
        ContentionError: others kept writing the same items.
        StoreError: the outcome is not known.
    """
    _contended(
        "execute_transaction",
        TransactStatements=[
            {"Statement": one.text, "Parameters": [_encode(value) for value in one.values]}
            for one in statements
        ],
        ClientRequestToken=_token(),
    )


def _token() -> str:
    # Makes the SDK's own retry of a committed transaction a success, for ten minutes.
    return entropy.new_id()


def _contended(operation: str, **arguments: Any) -> None:
    for attempt in range(1, CONTENTION_ROUNDS_MAX + 1):
        try:
            _call(operation, **arguments)
        except ClientError as error:
            failure = _transaction_failure(error)
            # Throttling of the request itself has been retried by the SDK.
            again = _code(error) == _CANCELED and isinstance(failure, ContentionError)
            if not again or attempt == CONTENTION_ROUNDS_MAX:
                raise failure from None
            time.sleep(entropy.jitter_s(CONTENTION_PAUSE_S * 2**attempt))
        else:
            return


def _call(operation: str, **arguments: Any) -> Any:
    try:
        return getattr(client("dynamodb"), operation)(**arguments)
    except BotoCoreError as error:
        raise StoreError(type(error).__name__) from None
    except ClientError as error:
        code = _code(error)
        if operation in {"get_item", "batch_get_item", "query"}:
            raise StoreError(code) from None
        raise


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _single_failure(error: ClientError) -> Exception:
    code = _code(error)
    if code != "ConditionalCheckFailedException":
        return ContentionError(code) if code in _CONTENTION else StoreError(code)
    met: Any = error.response.get("Item")
    return ConditionFailedError([Reason(failed=True, item=_decode_item(met) if met else None)])


def _transaction_failure(error: ClientError) -> Exception:
    code = _code(error)
    if code != _CANCELED:
        return ContentionError(code) if code in _CONTENTION else StoreError(code)
    reasons = error.response.get("CancellationReasons") or []
    codes = {reason.get("Code") or "None" for reason in reasons} - _NO_REASON
    if not codes:
        return StoreError(code)
    if codes <= _CONTENTION:
        return ContentionError(",".join(sorted(codes)))
    if not codes - _CONTENTION <= _REFUSALS:
        return StoreError(",".join(sorted(codes)))
    return ConditionFailedError(
        [
            Reason(
                failed=reason.get("Code") in _REFUSALS,
                item=_decode_item(reason["Item"]) if reason.get("Item") else None,
            )
            for reason in reasons
        ]
    )


_REFUSALS = {
    "ConditionalCheckFailed",
    "ConditionalCheckFailedException",
    # A PartiQL INSERT on an existing key: AWS, one emulator, and DynamoDB Local, in that order.
    "DuplicateItem",
    "DuplicateItemException",
    "ValidationError",
}


def _action(write: Write) -> dict[str, Any]:
    match write:
        case Put():
            return {"Put": {**_put(write), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}
        case Update():
            return {"Update": {**_update(write), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}
        case Check():
            return {
                "ConditionCheck": {
                    **_conditional(write.table, write.condition, write.values),
                    "Key": _encode_item(write.key),
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }


def _put(write: Put) -> dict[str, Any]:
    return {
        **_conditional(write.table, "attribute_not_exists(#pk)", {}),
        "Item": _encode_item(write.item),
    }


def _update(write: Update) -> dict[str, Any]:
    return {
        **_conditional(write.table, write.condition, write.values),
        "ExpressionAttributeNames": _names(write.condition + write.change),
        "Key": _encode_item(write.key),
        "UpdateExpression": write.change,
    }


def _conditional(table: str, condition: str, values: Mapping[str, Value]) -> dict[str, Any]:
    bound = {"ExpressionAttributeValues": _encode_item(values)} if values else {}
    return {
        "TableName": table,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": _names(condition),
        **bound,
    }


def _names(expression: str) -> dict[str, str]:
    return {f"#{name}": name for name in _NAME.findall(expression)}


def _encode_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _encode(value) for name, value in item.items()}


def _encode(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case list():
            return {"L": [_encode(one) for one in value]}
        case dict():
            return {"M": _encode_item(value)}
    raise TypeError(type(value).__name__)


def _decode_item(item: Mapping[str, Any]) -> Item:
    return {name: _decode(value) for name, value in item.items()}


def _decode(typed: Mapping[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    match kind:
        case "N":
            # A fraction is none of ours: as text nobody takes it for a number, and its item can
            # still be read among others.
            return int(value) if value.lstrip("-").isdecimal() else value
        case "L":
            return [_decode(one) for one in value]
        case "M":
            return _decode_item(value)
    return value
