"""What a function is told about a request is what arrived.

AWS: `requestContext.identity.sourceIp` is the peer's address, `X-Forwarded-For` is only appended
to, a repeated header is several entries of `multiValueHeaders` and its last line in `headers`, and
names keep the client's case (developer guide, "Input format of a Lambda function for proxy
integration"). Stock: believes `X-Forwarded-For`, joins repeated lines, lower-cases names. Here:
both the authorizer's and the integration's event are written from the arrival.
"""

from typing import Any

from ministack.services import apigateway_v1

from infra.local.arrival import CURRENT
from infra.local.stock import take


def close() -> None:
    """Write headers and source address of both events from the arrival."""
    stock_build = take(apigateway_v1, "_build_lambda_event_v1")
    stock_invoke = take(apigateway_v1, "_invoke_authorizer_lambda")

    def build(*arguments: Any, **named: Any) -> dict[str, Any]:
        return _told_truly(stock_build(*arguments, **named))

    async def invoke(authorizer: Any, event: dict[str, Any], *scope: str) -> Any:
        return await stock_invoke(authorizer, _told_truly(event), *scope)

    apigateway_v1._build_lambda_event_v1 = build
    apigateway_v1._invoke_authorizer_lambda = invoke


def _told_truly(event: dict[str, Any]) -> dict[str, Any]:
    arrival = CURRENT.get()
    if arrival is None or "requestContext" not in event:
        return event
    event["headers"] = arrival.headers()
    event["multiValueHeaders"] = arrival.multi_value_headers()
    event["requestContext"]["identity"]["sourceIp"] = arrival.source_ip
    return event
