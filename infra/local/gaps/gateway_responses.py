"""Gateway responses and MOCK integrations can quote the request's context.

AWS: templates substitute `$context.<name>`, header mappings `context.<name>`, and both know what
the authorizer returned (developer guide, "Gateway responses"; `$context.authorizer.property`).
Stock: leaves `$context.authorizer.*` in the text, drops such headers and never renders a MOCK body.
Here: both are rendered; what the authorizer did not say renders empty, and its header is left out.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import apigateway_v1

from infra.local.arrival import CURRENT
from infra.local.stock import require, take

AUTHORIZER = "context.authorizer."
VARIABLE = re.compile(r"\$(?:\{(context(?:\.\w+)+)\}|(context(?:\.[A-Za-z]\w*)+))")

type Answer = tuple[int, dict[str, str], bytes]


class _PolicyWithContext(dict[str, Any]):
    """An authorizer's policy document which remembers the context that came with it.

    The emulator caches and evaluates the document alone; a denial must still know the context.
    """

    context: Mapping[str, str]


def close() -> None:
    """Render `$context` in gateway responses and MOCK bodies."""
    require(apigateway_v1, "_stringify_context")
    _remember_authorizer()
    _render_gateway_responses()
    _render_mocks()


def _remember_authorizer() -> None:
    stock_invoke = take(apigateway_v1, "_invoke_authorizer_lambda")
    stock_evaluate = take(apigateway_v1, "_evaluate_policy")

    async def invoke(*arguments: Any) -> Any:
        result = await stock_invoke(*arguments)
        answer = result.get("body") if result else None
        if isinstance(answer, dict) and isinstance(answer.get("policyDocument"), dict):
            document = _PolicyWithContext(answer["policyDocument"])
            document.context = apigateway_v1._stringify_context(answer.get("context"))
            result = {**result, "body": {**answer, "policyDocument": document}}
        return result

    def evaluate(document: object, method_arn: str) -> str:
        arrival = CURRENT.get()
        if arrival is not None and isinstance(document, _PolicyWithContext):
            arrival.authorizer = dict(document.context)
        decision: str = stock_evaluate(document, method_arn)
        return decision

    apigateway_v1._invoke_authorizer_lambda = invoke
    apigateway_v1._evaluate_policy = evaluate


def _render_gateway_responses() -> None:
    stock_value = take(apigateway_v1, "_gateway_request_value")
    stock_response = take(apigateway_v1, "_gateway_error_response")

    def value(source: str, request: dict[str, Any]) -> str | None:
        if source.startswith(AUTHORIZER):
            return _authorizer().get(source.removeprefix(AUTHORIZER))
        found: str | None = stock_value(source, request)
        return found

    def response(error: Any, request: dict[str, Any]) -> Answer:
        status, headers, body = stock_response(error, request)
        return status, _one_spelling(headers), _render(body, _authorizer_variable)

    apigateway_v1._gateway_request_value = value
    apigateway_v1._gateway_error_response = response


def _render_mocks() -> None:
    stock_mock = take(apigateway_v1, "_invoke_mock_v1")

    def mock(integration: dict[str, Any]) -> Answer:
        status, headers, body = stock_mock(integration)
        request_id = str(uuid.uuid4())
        body = _render(body, {"context.requestId": request_id}.get)
        return status, {**_one_spelling(headers), "x-amzn-requestid": request_id}, body

    apigateway_v1._invoke_mock_v1 = mock


def _authorizer() -> Mapping[str, str]:
    arrival = CURRENT.get()
    return {} if arrival is None else arrival.authorizer


def _authorizer_variable(name: str) -> str | None:
    if not name.startswith(AUTHORIZER):
        return None
    return _authorizer().get(name.removeprefix(AUTHORIZER), "")


def _render(body: bytes, lookup: Callable[[str], str | None]) -> bytes:
    def substitute(match: re.Match[str]) -> str:
        found = lookup(match[1] or match[2])
        return match[0] if found is None else found

    return VARIABLE.sub(substitute, body.decode()).encode()


def _one_spelling(headers: dict[str, str]) -> dict[str, str]:
    """Let a mapped header replace the default of the same name, whatever its case."""
    by_name = {name.lower(): (name, value) for name, value in headers.items()}
    return dict(by_name.values())
