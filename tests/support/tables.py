"""The product's tables, empty and under names of their own, in a DynamoDB Local."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import get_session

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

REGION = "us-east-1"
CREDENTIAL = "local"
"""Any credential opens the one database of `-sharedDb`."""

PLAIN = Config(retries={"total_max_attempts": 1}, max_pool_connections=64)
"""One attempt, so that a race is seen as it is and not after the SDK's own second try; a pool
that lets each thread of a race have its connection."""

KEYS = {
    "identity": ("pk", "sk"),
    "standing": ("pk",),
    "once": ("pk",),
    "balances": ("pk", "sk"),
    "journal": ("pk", "sk"),
    "ledger_once": ("pk",),
    "registry": ("pk",),
}
"""Each table's key attributes, all strings."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The names of one test's tables, and the way to them."""

    endpoint: str
    identity: str
    standing: str
    once: str
    balances: str
    journal: str
    ledger_once: str
    registry: str

    def client(self, config: Config = PLAIN) -> "BaseClient":
        """Return a new botocore client of the database; the caller closes it."""
        return _session().create_client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=CREDENTIAL,
            aws_secret_access_key=CREDENTIAL,
            config=config,
        )

    def call(self, operation: str, **parameters: object) -> dict[str, Any]:
        """Call one operation, named in snake case; safe among threads.

        Raises:
            botocore.exceptions.ClientError: DynamoDB refuses.
        """
        result: dict[str, Any] = getattr(self._own, operation)(**parameters)
        return result

    @cached_property
    def _own(self) -> "BaseClient":
        return self.client()


@cache
def _session() -> "Session":
    """One session for all: it parses DynamoDB's model once, which takes longer than a test."""
    return get_session()


@contextmanager
def created(endpoint: str) -> Iterator[Tables]:
    """Create the tables and yield their names; they end with the database, which is in memory."""
    prefix = uuid.uuid4().hex[:12]
    names = {table: f"{prefix}-{table.replace('_', '-')}" for table in KEYS}
    tables = Tables(endpoint=endpoint, **names)
    for table, keys in KEYS.items():
        tables.call(
            "create_table",
            TableName=names[table],
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    try:
        yield tables
    finally:
        tables._own.close()
