"""The port to the web beyond AWS: one bounded GET, sent once, that follows nothing."""

import time
from collections.abc import Mapping

import urllib3

from portcullis.errors import InfrastructureError

TIMEOUT_S = 1.0
REPLY_BYTES_MAX = 262_144
PIECE_BYTES = 16_384
OK = 200

_pool = urllib3.PoolManager(
    num_pools=1,
    retries=False,  # nor is a redirection followed: it is an answer, and not a 200
    timeout=urllib3.Timeout(total=TIMEOUT_S),
)


class WebError(InfrastructureError):
    """There was no proper answer in time."""


def get(url: str, *, headers: Mapping[str, str]) -> bytes:
    """Return the body of a 200 answer that is complete after two seconds at most.

    A piece of it may take one time-out; none is awaited once the first time-out is over.

    Raises:
        WebError: there is no such answer, or it has more than ``REPLY_BYTES_MAX`` bytes.
    """
    deadline = time.monotonic() + TIMEOUT_S
    try:
        reply = _pool.request("GET", url, headers=dict(headers), preload_content=False)
        try:
            if reply.status != OK:
                raise WebError(f"status {reply.status}")
            return _body(reply, deadline)
        finally:
            reply.close()
    except urllib3.exceptions.HTTPError as error:
        raise WebError(type(error).__name__) from None


def _body(reply: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    body = bytearray()
    while piece := reply.read1(PIECE_BYTES):
        body += piece
        if len(body) > REPLY_BYTES_MAX:
            raise WebError("reply is too large")
        if time.monotonic() > deadline:
            raise WebError("reply is too slow")
    return bytes(body)
