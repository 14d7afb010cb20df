"""Each item and each statement of a DynamoDB request is authorised for what it does, with its key.

AWS: `dynamodb:LeadingKeys` is the partition key of every item a request names; a transaction is
authorised item by item as the single operation; a PartiQL statement as `dynamodb:PartiQLSelect`,
`Insert`, `Update` or `Delete` on its own table, all statements of a request or none (developer
guide, "Using IAM policy conditions for fine-grained access control" and "IAM security policies with
PartiQL"). Stock: no leading keys, so that `ForAllValues` allows everything; PartiQL under actions
that do not exist on AWS. Here: one check per item or statement, each with its own leading keys.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import dynamodb

from infra.local.stock import require, take

LEADING_KEYS = "dynamodb:LeadingKeys"
FULL_TABLE_SCAN = "dynamodb:FullTableScan"
ENCLOSING_OPERATION = "dynamodb:EnclosingOperation"
TRANSACTIONS = frozenset({"TransactWriteItems", "TransactGetItems", "ExecuteTransaction"})
ITEM_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "ConditionCheck": "ConditionCheckItem",
}
STATEMENT_ACTIONS = {
    "SELECT": "PartiQLSelect",
    "EXISTS": "PartiQLSelect",
    "INSERT": "PartiQLInsert",
    "UPDATE": "PartiQLUpdate",
    "DELETE": "PartiQLDelete",
}
# A key that could not be read must not look like a request without one.
UNREADABLE = ""

type Key = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Access:
    """What one item or one statement does: an operation on a table or index, by leading keys."""

    operation: str
    table: str
    leading_keys: tuple[str, ...] | None
    index: str | None = None


class _AccessArn(str):
    """A resource ARN that carries the condition keys of its own check to the evaluator."""

    __slots__ = ("context",)
    context: dict[str, Any]


def close() -> None:
    """Authorise DynamoDB requests access by access."""
    require(dynamodb, "_tables", "_parse_partiql")
    require(iam_actions, "_dynamodb_table_arn")
    take(iam_actions, "dynamodb_transaction_checks")
    stock_enforce = take(iam_evaluator, "enforce")

    def checks(action: str, body: bytes, region: str, account: str) -> list[tuple[str, str]]:
        operation = action.removeprefix("dynamodb:")
        found: list[tuple[str, str]] = []
        for access in _accesses(operation, body):
            arn = iam_actions._dynamodb_table_arn(access.table, region, account)
            resource = _AccessArn(f"{arn}/index/{access.index}" if access.index else arn)
            resource.context = _context(operation, access)
            found.append((f"dynamodb:{access.operation}", resource))
        return found

    def enforce(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        if isinstance(resource_arn, _AccessArn):
            service_context = {**(service_context or {}), **resource_arn.context}
        return stock_enforce(
            access_key, action, service, region, str(resource_arn), service_context
        )

    iam_actions.dynamodb_transaction_checks = checks
    iam_evaluator.enforce = enforce


def _context(operation: str, access: Access) -> dict[str, Any]:
    keys = None if access.leading_keys is None else list(access.leading_keys)
    context: dict[str, Any] = {LEADING_KEYS: keys}
    if access.operation == STATEMENT_ACTIONS["SELECT"]:
        context[FULL_TABLE_SCAN] = "true" if keys is None else "false"
    if operation not in TRANSACTIONS:
        context[ENCLOSING_OPERATION] = None
    return context


def _accesses(operation: str, body: bytes) -> list[Access]:
    """Return every access of a request; none for an operation that names no items.

    What cannot be read is an access to no table by no key, which no narrow policy allows.
    """
    read = _READERS.get(operation)
    if read is None:
        return []
    try:
        return list(read(operation, json.loads(body or b"{}")))
    except (ValueError, TypeError, AttributeError, KeyError):
        return [Access(operation, "", (UNREADABLE,))]


def _single(operation: str, request: dict[str, Any]) -> Iterator[Access]:
    table = request["TableName"]
    yield Access(operation, table, (_leading_key(table, request.get("Item") or request["Key"]),))


def _query(operation: str, request: dict[str, Any]) -> Iterator[Access]:
    table, index = request["TableName"], request.get("IndexName")
    yield Access(operation, table, (_queried_key(table, index, request),), index)


def _batch(operation: str, request: dict[str, Any]) -> Iterator[Access]:
    for table, wanted in request["RequestItems"].items():
        if operation == "BatchGetItem":
            keys = wanted["Keys"]
        else:
            writes = [write for item in wanted for write in item.values()]
            keys = [write.get("Item") or write["Key"] for write in writes]
        yield Access(operation, table, tuple(_leading_key(table, key) for key in keys))


def _transaction(_: str, request: dict[str, Any]) -> Iterator[Access]:
    for item in request["TransactItems"]:
        for member, detail in item.items():
            yield from _single(ITEM_ACTIONS[member], detail)


def _statements(_: str, request: dict[str, Any]) -> Iterator[Access]:
    for item in request.get("TransactStatements") or request.get("Statements") or [request]:
        parsed = dynamodb._parse_partiql(item["Statement"], item.get("Parameters", []))
        yield _statement(STATEMENT_ACTIONS[parsed["op"]], parsed.get("select") or parsed)


_READERS: dict[str, Callable[[str, dict[str, Any]], Iterator[Access]]] = {
    "GetItem": _single,
    "PutItem": _single,
    "UpdateItem": _single,
    "DeleteItem": _single,
    "Query": _query,
    "BatchGetItem": _batch,
    "BatchWriteItem": _batch,
    "TransactGetItems": _transaction,
    "TransactWriteItems": _transaction,
    "ExecuteStatement": _statements,
    "BatchExecuteStatement": _statements,
    "ExecuteTransaction": _statements,
}


def _statement(operation: str, parsed: dict[str, Any]) -> Access:
    table, index = parsed["table"], parsed.get("index")
    if operation == STATEMENT_ACTIONS["INSERT"]:
        item = parsed["item"].get("M", parsed["item"])
        return Access(operation, table, (_leading_key(table, item),))
    name = _hash_name(table, index)
    named = [
        value
        for attribute, operator, wanted in parsed["conditions"]
        if attribute == name and operator in {"=", "IN"}
        for value in (wanted if operator == "IN" else [wanted])
    ]
    keys = tuple(_text(value) for value in named)
    return Access(operation, table, keys or None, index)


def _queried_key(table: str, index: str | None, request: dict[str, Any]) -> str:
    """Return the partition key a Query names: exactly one equality on the hash attribute."""
    name = _hash_name(table, index)
    if "KeyConditions" in request:
        values = request["KeyConditions"].get(name, {}).get("AttributeValueList", [])
        return _text(values[0]) if len(values) == 1 else UNREADABLE
    expression = request["KeyConditionExpression"]
    spoken_names = request.get("ExpressionAttributeNames", {})
    values = [
        request["ExpressionAttributeValues"][left if left.startswith(":") else right]
        for left, right in re.findall(r"([#:\w.-]+)\s*=\s*([#:\w.-]+)", expression)
        for attribute in (right if left.startswith(":") else left,)
        if spoken_names.get(attribute, attribute) == name
    ]
    return _text(values[0]) if len(values) == 1 else UNREADABLE


def _leading_key(table: str, item: Key) -> str:
    name = _hash_name(table, None)
    return UNREADABLE if name is None or name not in item else _text(item[name])


def _hash_name(table: str, index: str | None) -> str | None:
    record = dynamodb._tables.get(table.rsplit("/", 1)[-1])
    if record is None:
        return None
    schema = record["KeySchema"]
    if index is not None:
        indexes = [
            *(record.get("GlobalSecondaryIndexes") or []),
            *(record.get("LocalSecondaryIndexes") or []),
        ]
        schema = next((each["KeySchema"] for each in indexes if each["IndexName"] == index), [])
    return next((key["AttributeName"] for key in schema if key["KeyType"] == "HASH"), None)


def _text(value: dict[str, Any]) -> str:
    ((kind, text),) = value.items()
    if isinstance(text, bytes):
        return base64.b64encode(text).decode()
    return str(text) if kind in {"S", "N", "B"} else UNREADABLE
