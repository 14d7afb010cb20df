"""A function's reserved concurrency is applied, to every version and alias of it.

AWS: `ReservedConcurrentExecutions` of AWS::Lambda::Function limits how many calls of the function
run at once, whichever version they name; 0 stops them all (developer guide, "Configuring reserved
concurrency"). Stock: drops it from a template, and asks only the version that is called. Here: it
is kept, and the function is asked.
"""

from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

from infra.local.stock import require, take

FUNCTION = "AWS::Lambda::Function"
PROPERTY = "ReservedConcurrentExecutions"


def close() -> None:
    """Keep the limit that a template gives, and find it from every version."""
    require(lambda_svc, "_functions")
    stock_reserved = take(lambda_svc, "_reserved_concurrency")
    handlers = take(provisioners, "_RESOURCE_HANDLERS")[FUNCTION]
    stock_create, stock_update = handlers["create"], handlers["update"]

    def reserved(called: dict[str, Any], config: dict[str, Any]) -> int | None:
        limit: int | None = stock_reserved(
            lambda_svc._functions.get(config["FunctionName"]) or called, config
        )
        return limit

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        name, attributes = stock_create(logical_id, properties, stack_name)
        _apply(name, properties)
        return name, attributes

    def update(
        function: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        name, attributes = stock_update(function, old, new, stack_name, logical_id)
        _apply(name, new)
        return name, attributes

    lambda_svc._reserved_concurrency = reserved
    handlers["create"], handlers["update"] = create, update


def _apply(name: str, properties: dict[str, Any]) -> None:
    limit = properties.get(PROPERTY)
    lambda_svc._functions[name]["concurrency"] = None if limit is None else int(limit)
