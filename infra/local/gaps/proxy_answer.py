"""A function's answer reaches the client as API Gateway would pass it on.

AWS: a function that fails or answers without a status is 502 through the DEFAULT_5XX gateway
response, one that is throttled is 500, and nothing of its error is shown; its `WWW-Authenticate` is
renamed `x-amzn-Remapped-WWW-Authenticate` (developer guide, "Important notes on REST APIs").
Stock: shows `errorMessage` to the client, takes any answer for 200, renames nothing.
"""

from typing import Any

from ministack.services import apigateway_v1

from infra.local.stock import require, take

REMAPPED = "www-authenticate"
REMAPPED_PREFIX = "x-amzn-Remapped-"
INTERNAL_SERVER_ERROR = 500
BAD_GATEWAY = 502
FUNCTION_FAILED = "DEFAULT_5XX"
FUNCTION_NOT_CALLABLE = "API_CONFIGURATION_ERROR"


class _FunctionFailedError(Exception):
    """The function gave no answer that API Gateway could pass on."""

    def __init__(self, response_type: str) -> None:
        super().__init__(response_type)
        self.response_type = response_type


def close() -> None:
    """Hide a function's failure and rename the header API Gateway keeps for itself."""
    require(apigateway_v1, "_gw_error")
    stock_interpret = take(apigateway_v1, "_lambda_proxy_response")
    stock_invoke = take(apigateway_v1, "_invoke_lambda_proxy_v1")
    stock_response = take(apigateway_v1, "_gateway_error_response")

    def interpret(result: dict[str, Any]) -> Any:
        if result.get("throttle"):
            raise _FunctionFailedError(FUNCTION_NOT_CALLABLE)
        answer = result.get("body")
        if result.get("error") or not isinstance(answer, dict) or "statusCode" not in answer:
            raise _FunctionFailedError(FUNCTION_FAILED)
        return stock_interpret(result)

    async def invoke(*arguments: Any, **named: Any) -> Any:
        try:
            answer = await stock_invoke(*arguments, **named)
        except _FunctionFailedError as failed:
            error = apigateway_v1._gw_error(failed.response_type, "Internal server error")
            error.bad_gateway = failed.response_type == FUNCTION_FAILED
            return error
        if not isinstance(answer, tuple):
            return answer
        status, headers, body = answer
        return status, {_passed_on(name): value for name, value in headers.items()}, body

    def response(error: Any, request: dict[str, Any]) -> Any:
        status, headers, body = stock_response(error, request)
        # A gateway response that names a status of its own keeps it.
        if getattr(error, "bad_gateway", False) and status == INTERNAL_SERVER_ERROR:
            status = BAD_GATEWAY
        return status, headers, body

    apigateway_v1._gateway_error_response = response
    apigateway_v1._lambda_proxy_response = interpret
    apigateway_v1._invoke_lambda_proxy_v1 = invoke


def _passed_on(name: str) -> str:
    return f"{REMAPPED_PREFIX}{name}" if name.lower() == REMAPPED else name
