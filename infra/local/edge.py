"""The listeners of the local stack: each serves one REST API by name, and nothing else."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, quote

import ministack.app
from ministack.core import iam_evaluator
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import apigateway_v1

from infra.local.arrival import CURRENT, Arrival, arrival_of
from infra.local.stock import require

STAGE = "v1"
# API Gateway's quotas for a REST API: payload size and the total size of all header values.
BODY_BYTES_MAX = 10 * 1024 * 1024
HEADER_BYTES_MAX = 10_240

type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]
type Headers = dict[str, str]
type Answer = tuple[int, dict[str, Any], bytes]


class _ClientGoneError(Exception):
    """The client hung up before its request was complete."""


def endpoint(*, trust_source_header: bool) -> App:
    """Return the emulator's own endpoint, which remembers each request's arrival."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            arrival, lines = arrival_of(scope, trust_source_header=trust_source_header)
            CURRENT.set(arrival)
            scope = {**scope, "headers": list(lines)}
        await ministack.app.app(scope, receive, send)

    return app


def listener(api_name: str, *, trust_source_header: bool) -> App:
    """Return the listener of the REST API called *api_name*.

    The API is looked up for every request, so that a deployment needs no restart. Host and path are
    the client's: a signature over them verifies. Until the API is deployed, the answer is 503.
    """
    require(ministack.app, "_enforce_execute_api", "_send_response")
    require(apigateway_v1, "_rest_apis", "_gw_error", "_gateway_error_response", "handle_execute")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        arrival, lines = arrival_of(scope, trust_source_header=trust_source_header)
        CURRENT.set(arrival)
        try:
            body = await _body(receive)
        except _ClientGoneError:
            return
        status, headers, content = await _answer(api_name, scope, arrival, list(lines), body)
        await ministack.app._send_response(send, status, headers, content)

    return app


async def _answer(
    api_name: str,
    scope: Scope,
    arrival: Arrival,
    lines: list[tuple[bytes, bytes]],
    body: bytes | None,
) -> Answer:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    headers = _joined(arrival)
    # Both APIs are the default account's, in the default region, whoever calls them.
    set_request_account_id("")
    set_request_region(None)
    iam_evaluator.pin_request_origin(arrival.source_ip, secure_transport=True)
    api_id = _api_called(api_name)
    if api_id is None:
        return _problem(503, "unavailable", "The API is not deployed yet.")
    if sum(len(name) + len(value) for name, value in lines) > HEADER_BYTES_MAX:
        return _problem(431, "headers-too-large", "The request's headers are too large.")
    if body is None:
        return _too_large(api_id, headers, query)
    method, path = scope["method"], scope["path"]
    raw_path = scope.get("raw_path") or quote(path).encode()
    iam_evaluator.pin_signed_request(method, raw_path.decode("latin-1"), query, lines)
    iam_evaluator.pin_signed_body(body)
    refused: Answer | None = ministack.app._enforce_execute_api(
        api_id, STAGE, method, path, headers, query
    )
    if refused is not None:
        return refused
    answer: Answer = await apigateway_v1.handle_execute(
        api_id, STAGE, method, path, headers, body, query
    )
    return answer


async def _body(receive: Receive) -> bytes | None:
    """Read the whole body; None says that it is larger than API Gateway takes."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_BYTES_MAX:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if size <= BODY_BYTES_MAX else None


def _joined(arrival: Arrival) -> Headers:
    """Return the headers as the emulator reads them: lower-case names, repeated lines joined.

    Functions are told the lines themselves (`gaps.proxy_event`).
    """
    lines = arrival.multi_value_headers()
    return {name.lower(): ", ".join(values) for name, values in lines.items()}


def _api_called(name: str) -> str | None:
    for api_id, api in apigateway_v1._rest_apis.items():
        if api["name"] == name:
            found: str = api_id
            return found
    return None


def _too_large(api_id: str, headers: Headers, query: dict[str, list[str]]) -> Answer:
    stage = apigateway_v1.stages_for_api(api_id).get(STAGE)
    if stage is None:
        return _problem(413, "body-too-large", "The request's body is too large.")
    answer: Answer = apigateway_v1._gateway_error_response(
        apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long"),
        {
            "api_id": api_id,
            "stage_name": STAGE,
            "stage": stage,
            "headers": headers,
            "query_params": query,
            "path_params": {},
            "resource_path": "",
            "request_id": apigateway_v1.new_uuid(),
        },
    )
    return answer


def _problem(status: int, kind: str, title: str) -> Answer:
    problem = {"type": f"urn:portcullis:problem:{kind}", "title": title, "status": status}
    headers = {"Content-Type": "application/problem+json", "Retry-After": "1"}
    return status, headers, json.dumps(problem).encode()
