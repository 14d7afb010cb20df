"""AWS clients: made here and nowhere else, once per environment.

Retries are bounded and time-outs nest inside the ledger's 5 s (docs/architecture.md). Every write
that must happen once carries an attempt id, so an SDK retry of a committed write is harmless.
"""

import functools
import threading
from typing import Any, Literal

import botocore.session
from botocore.config import Config

from portcullis.errors import InfrastructureError

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 1.5
INVOCATION_TIMEOUT_S = 6.0
"""For an invoked function, which has 3 s, and as long again for a cold start before them."""
ATTEMPTS_MAX = 2

type Service = Literal["dynamodb", "events", "kms", "lambda", "s3", "sns"]


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


_making = threading.Lock()
"""botocore's clients are safe among threads, but making one is not."""


def client(service: Service) -> Any:
    """Return the client of *service* (botocore's, which has no static type)."""
    with _making:
        return _client(service)


@functools.cache
def _client(service: Service) -> Any:
    return _session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=INVOCATION_TIMEOUT_S if service == "lambda" else READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS_MAX},
            tcp_keepalive=True,
        ),
    )


def credentials() -> Any:
    """Return the execution role's current credentials, refreshed when they are about to end.

    Raises:
        InfrastructureError: the environment has none.
    """
    found = _session().get_credentials()
    if found is None:
        raise InfrastructureError("no credentials")
    return found.get_frozen_credentials()


def region() -> str:
    """Return the region that the function runs in."""
    return str(_session().get_config_variable("region"))
