"""The product behind a proxy, and people who use it."""

from collections.abc import Iterator

import pytest

from portcullis.aws import clients
from portcullis.identity import nonces, tables, tokens
from tests.contract.identity.people import Family, Person
from tests.contract.identity.watch import Traveller, Watch
from tests.support import faults
from tests.support.faults import Proxy
from tests.support.key_service import KeyService
from tests.support.tables import Tables

type Product = tuple[Tables, KeyService]


@pytest.fixture
def proxy(product: Product, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way to the tables from now on: it counts, and injects faults."""
    with faults.running(product[0].endpoint) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", way.endpoint)
        _reconnect()
        yield way
        _reconnect()


@pytest.fixture
def person(product: Product) -> Person:
    """Somebody who has opened an account through the product, which has its secrets by then."""
    assert product
    tokens.family_keys()
    nonces.fresh()
    tables.sightings_secret()
    return Person.with_account()


@pytest.fixture
def family(person: Person) -> Family:
    """A session that this person has started through the product, and its refresh family."""
    return person.sign_in()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The product's clock, which shows the present until a test moves it."""
    return Watch(monkeypatch)


@pytest.fixture
def traveller(person: Person, watch: Watch) -> Traveller:
    """A client of the person's that has just signed in, in London."""
    return Traveller(person, watch)


def _reconnect() -> None:
    """Let the product make its client of the tables anew."""
    clients.client("dynamodb").close()
    clients._client.cache_clear()
