"""One hop to the internal API, signed with the function's own role (SigV4, ``execute-api``)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from portcullis.aws import clients
from portcullis.errors import InfrastructureError

TIMEOUT_S = 8.0
CONNECT_TIMEOUT_S = 1.0
REPLY_BYTES_MAX = 262_144

_pool = urllib3.PoolManager(
    num_pools=1,
    retries=False,  # an order is retried by its giver, under its idempotency key
    timeout=urllib3.Timeout(total=TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
)


class HopError(InfrastructureError):
    """The internal API did not answer, or not in its own words."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The internal API's answer."""

    status: int
    headers: Mapping[str, str]
    """By any case of their names."""
    body: Mapping[str, Any]


def call(
    method: Literal["GET", "POST"],
    url: str,
    *,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return the internal API's answer to one request, sent once.

    Raises:
        HopError: there is none, or it is not a JSON object.
    """
    data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    sent = {**({} if body is None else {"Content-Type": "application/json"}), **(headers or {})}
    request = AWSRequest(method=method, url=url, data=data, headers=sent)
    SigV4Auth(clients.credentials(), "execute-api", clients.region()).add_auth(request)
    try:
        reply = _pool.request(
            method, url, body=data or None, headers=dict(request.headers.items()), redirect=False
        )
    except urllib3.exceptions.HTTPError as error:
        raise HopError(type(error).__name__) from None
    if len(reply.data) > REPLY_BYTES_MAX:
        raise HopError("reply is too large")
    try:
        members = json.loads(reply.data)
    except ValueError:
        raise HopError(f"status {reply.status} without JSON") from None
    if not isinstance(members, dict):
        raise HopError(f"status {reply.status} without a JSON object")
    return Reply(status=reply.status, headers=reply.headers, body=members)
