"""DynamoDB Local, a key service, functions: the product runs on them as it is, by its settings."""

from collections.abc import Iterator

import pytest

from portcullis.aws import clients, kms, secret
from tests.support import dynamodb_local, functions, key_service
from tests.support.functions import Functions
from tests.support.key_service import KeyService
from tests.support.tables import REGION, Tables, created
from tests.unit.conftest import written

__all__ = ["written"]

PUBLIC_ORIGIN = "https://api.example.test"
INTERNAL_ORIGIN = "https://internal.example.test"
CERTIFIER = "certify-enrolment"
RESTRAINER = "restrain"


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


@pytest.fixture
def keys() -> Iterator[KeyService]:
    """A key service for one test alone."""
    with key_service.running() as service:
        yield service


@pytest.fixture(name="functions")
def functions_fixture() -> Iterator[Functions]:
    """Lambda for one test alone, with the functions that others invoke."""
    handlers = {
        CERTIFIER: functions.handler_at("functions/identity/certify_enrolment/handler.py"),
        RESTRAINER: functions.handler_at("functions/identity/restrain/handler.py"),
    }
    with functions.running(handlers) as service:
        yield service


@pytest.fixture
def product(
    tables: Tables, keys: KeyService, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Tables, KeyService]]:
    """The product, set up by its environment alone to use this test's tables and keys."""
    settings = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL_DYNAMODB": tables.endpoint,
        "AWS_ENDPOINT_URL_KMS": keys.endpoint,
        "AWS_ENDPOINT_URL_LAMBDA": functions.endpoint,
        "PUBLIC_ORIGIN": PUBLIC_ORIGIN,
        "INTERNAL_ORIGIN": INTERNAL_ORIGIN,
        "IDENTITY_TABLE": tables.identity,
        "STANDING_TABLE": tables.standing,
        "ONCE_TABLE": tables.once,
        "BALANCES_TABLE": tables.balances,
        "JOURNAL_TABLE": tables.journal,
        "LEDGER_ONCE_TABLE": tables.ledger_once,
        "REGISTRY_TABLE": tables.registry,
        "ACCESS_TOKEN_KEYS": "access-token",
        "IDENTITY_DATA_KEY": "identity-data",
        "ENROLMENT_KEYS": "enrolment",
        "APPROVAL_KEYS": "approval",
        "INDEX_KEYS": "index",
        "REFRESH_SECRETS": "1",
        "PASSKEY_AAGUIDS": "any",
        "PASSKEY_ROOTS": "none",
        "CERTIFIER_FUNCTION": CERTIFIER,
        "RESTRAIN_FUNCTION": RESTRAINER,
        "PLACES_DATABASE": "off",
        "NETWORKS_DATABASE": "off",
        "IMPOSSIBLE_TRAVEL": "kill",
        "PEPPER_KEYS": "pepper",
        "ARGON2_MEMORY_KIB": "65536",
        "ARGON2_ITERATIONS": "3",
        "ARGON2_LANES": "1",
        "BREACH_LOOKUP_URL": "off",
        "BREACH_LOOKUP_FAILURE": "refuse",
        "COMMAND_KEY": "command",
        "RECEIPT_KEY": "receipt",
        "LEDGER_DATA_KEY": "ledger-data",
        "MONEY_ROLES": "money-open-wallet,money-order-transfer",
        "OPERATOR_ROLE": "operator",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    _forget()
    yield tables, keys
    clients.client("dynamodb").close()
    clients.client("kms").close()
    if functions.calls:  # or there is no client, and making one takes longer than most tests
        clients.client("lambda").close()
    _forget()


def _forget() -> None:
    """Make this process a fresh execution environment: nothing cached."""
    clients._client.cache_clear()
    secret.secret.cache_clear()
    kms._public_key.cache_clear()
