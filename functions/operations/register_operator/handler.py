"""Register an operator: invoked directly by an administrator, never through an API."""

from typing import Any

from portcullis.edge.operation import operation
from portcullis.operations import registry
from portcullis.operations.registry import OperatorRegistration


@operation(OperatorRegistration)
def handler(registration: OperatorRegistration) -> dict[str, Any]:
    return registry.register_operator(registration)
