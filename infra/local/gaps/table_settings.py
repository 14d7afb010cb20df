"""A table's expiry, recovery and encryption settings are applied.

AWS: `TimeToLiveSpecification`, `PointInTimeRecoverySpecification` and `SSESpecification` of
AWS::DynamoDB::Table take effect (CloudFormation template reference). Stock: drops them when the
table is made, and the first two when it changes. Here: applied both times.
"""

from typing import Any

from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from infra.local.stock import accept, require, take

TABLE = "AWS::DynamoDB::Table"


def close() -> None:
    """Apply the dropped properties after each create and update."""
    require(
        dynamodb,
        "_tables",
        "_update_ttl",
        "_update_continuous_backups",
        "_sse_description_from_spec",
    )
    handlers = take(provisioners, "_RESOURCE_HANDLERS")[TABLE]
    stock_create, stock_update = handlers["create"], handlers["update"]

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        name, attributes = stock_create(logical_id, properties, stack_name)
        _apply(name, properties)
        return name, attributes

    def update(
        table: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        name, attributes = stock_update(table, old, new, stack_name, logical_id)
        _apply(name, new)
        return name, attributes

    handlers["create"], handlers["update"] = create, update


def _apply(table: str, properties: dict[str, Any]) -> None:
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        expiry = {**expiry, "Enabled": _is_true(expiry["Enabled"])}
        accept(dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": expiry}))
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery:
        wanted = {"PointInTimeRecoveryEnabled": _is_true(recovery["PointInTimeRecoveryEnabled"])}
        request = {"TableName": table, "PointInTimeRecoverySpecification": wanted}
        accept(dynamodb._update_continuous_backups(request))
    encryption = properties.get("SSESpecification")
    if encryption:
        # CloudFormation says SSEEnabled where the API says Enabled.
        wanted = {**encryption, "Enabled": _is_true(encryption["SSEEnabled"])}
        description = dynamodb._sse_description_from_spec(wanted)
        dynamodb._tables[table]["SSEDescription"] = description


def _is_true(value: object) -> bool:
    # CloudFormation passes a template's true as a boolean or as its text.
    return str(value).lower() == "true"
