"""The same database, key service and people as in the contract tests."""

# Fixtures are found by their names in this module.
from tests.contract.conftest import (
    dynamodb_endpoint,
    functions_fixture,
    keys,
    product,
    tables,
)
from tests.contract.identity.conftest import person, proxy

__all__ = [
    "dynamodb_endpoint",
    "functions_fixture",
    "keys",
    "person",
    "product",
    "proxy",
    "tables",
]
