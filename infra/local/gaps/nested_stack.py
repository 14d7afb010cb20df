"""An unchanged resource of a changed nested stack keeps its attributes.

AWS: an update touches what changed; the attributes of the rest are what they were. Stock: forgets
the attributes of every unchanged resource of a nested stack, so that an output made of one fails
the update. Here: they are taken from the stack as it stands.
"""

from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import provisioners

from infra.local.stock import require, take


def close() -> None:
    """Tell an update what the resource's attributes were, where the caller does not."""
    require(cloudformation, "_stacks")
    stock_update = take(provisioners, "_update_resource")

    def update(
        resource_type: str,
        physical_id: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> Any:
        if attributes is None:
            resources = cloudformation._stacks.get(stack_name, {}).get("_resources", {})
            attributes = resources.get(logical_id, {}).get("Attributes")
        return stock_update(
            resource_type, physical_id, old, new, stack_name, logical_id, attributes
        )

    provisioners._update_resource = update
