"""Register a partner: invoked directly by an operator, never through an API."""

from typing import Any

from portcullis.edge.operation import operation
from portcullis.operations import registry
from portcullis.operations.registry import Registration


@operation(Registration)
def handler(registration: Registration) -> dict[str, Any]:
    return registry.register(registration)
