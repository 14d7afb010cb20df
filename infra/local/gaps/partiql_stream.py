"""What PartiQL writes is in the table's stream.

AWS: a stream captures every change of the table's items, by whichever operation (developer guide,
"Change data capture for DynamoDB Streams"). Stock: PartiQL statements write no record, so whatever
listens to the table never hears of them. Here: each statement that stands writes one. What expires
still writes none.
"""

from collections.abc import Callable
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from ministack.services import dynamodb

from infra.local.stock import require, take

OPERATIONS = ("_execute_statement", "_batch_execute_statement", "_execute_transaction")

type Record = tuple[str, str, Any, Any]

_pending: ContextVar[list[Record] | None] = ContextVar("pending", default=None)
"""The records of the statements that run now; None outside of PartiQL."""


def close() -> None:
    """Write the records of PartiQL statements once it is known that they stand."""
    require(dynamodb, "_emit_stream_event")
    stock_set, stock_remove = take(dynamodb, "_set_item"), take(dynamodb, "_remove_item")

    def set_item(table: dict[str, Any], pk: Any, sk: Any, item: Any) -> Any:
        old = stock_set(table, pk, sk, item)
        pending = _pending.get()
        if pending is not None:
            pending.append((table["TableName"], "MODIFY" if old else "INSERT", old, item))
        return old

    def remove_item(table: dict[str, Any], pk: Any, sk: Any) -> Any:
        old = stock_remove(table, pk, sk)
        pending = _pending.get()
        if pending is not None and old:
            pending.append((table["TableName"], "REMOVE", old, None))
        return old

    dynamodb._set_item, dynamodb._remove_item = set_item, remove_item
    for name in OPERATIONS:
        setattr(dynamodb, name, _recording(take(dynamodb, name)))


def _recording(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def operation(request: Any) -> Any:
        records: list[Record] = []
        token = _pending.set(records)
        try:
            answer = stock(request)
        finally:
            _pending.reset(token)
        # A transaction that failed half-way has been rolled back.
        if answer[0] == HTTPStatus.OK:
            for record in records:
                dynamodb._emit_stream_event(*record)
        return answer

    return operation
