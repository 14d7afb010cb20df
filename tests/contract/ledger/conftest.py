"""A bank for each test, and one whose database can be made to fail."""

from collections.abc import Iterator

import pytest

from portcullis.aws import clients
from tests.contract.ledger.bank import Bank
from tests.support import faults
from tests.support.faults import Proxy
from tests.support.key_service import KeyService
from tests.support.tables import Tables


@pytest.fixture
def bank(product: tuple[Tables, KeyService]) -> Bank:
    """A ledger without anybody in it."""
    return Bank(*product)


@pytest.fixture
def proxy(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands between the ledger and its database, and can be told to fail."""
    with faults.running(bank.tables.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint)
        clients._client.cache_clear()
        yield proxy
        clients.client("dynamodb").close()
        clients._client.cache_clear()
