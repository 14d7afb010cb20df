"""Amazon DynamoDB Local for the contract tests: one a process, new tables for each test."""

from collections.abc import Iterator

import pytest

from tests.support import dynamodb_local
from tests.support.tables import Tables, created


@pytest.fixture(scope="session")
def dynamodb_endpoint() -> Iterator[str]:
    """The endpoint of this process's DynamoDB Local, started when the first test needs it."""
    if dynamodb_local.opted_out():
        pytest.skip(f"{dynamodb_local.OPT_OUT}=1: races and contracts stay unproven")
    try:
        with dynamodb_local.running(dynamodb_local.fetch()) as endpoint:
            yield endpoint
    except dynamodb_local.DynamoDBLocalUnavailableError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def tables(dynamodb_endpoint: str) -> Iterator[Tables]:
    """The product's tables, empty, for one test alone."""
    with created(dynamodb_endpoint) as fresh:
        yield fresh
