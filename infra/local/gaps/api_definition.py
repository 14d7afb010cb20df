"""The `Body` of a REST API means everything it says.

AWS: an import creates the gateway responses, the `x-amazon-apigateway-any-method` and, for each
integration, its request templates and responses (API Gateway developer guide, "OpenAPI
extensions for API Gateway"). Stock: methods, authorizers and integration URIs only. Here: the rest.
"""

import copy
from typing import Any

from ministack.services import apigateway_v1

from infra.local.stock import accept, require, take

ANY_METHOD = "x-amazon-apigateway-any-method"
GATEWAY_RESPONSES = "x-amazon-apigateway-gateway-responses"
INTEGRATION = "x-amazon-apigateway-integration"


def close() -> None:
    """Make an imported definition complete."""
    require(apigateway_v1, "_put_gateway_response", "_put_integration_response", "_resources")
    stock_import = take(apigateway_v1, "_import_rest_api")
    take(apigateway_v1, "_OPENAPI_HTTP_METHODS").add("any")

    def import_rest_api(spec: dict[str, Any], base: dict[str, Any] | None = None) -> str:
        spec = copy.deepcopy(spec)
        for item in spec.get("paths", {}).values():
            if ANY_METHOD in item:
                item["any"] = item.pop(ANY_METHOD)
        api_id: str = stock_import(spec, base)
        for response_type, response in spec.get(GATEWAY_RESPONSES, {}).items():
            accept(apigateway_v1._put_gateway_response(api_id, response_type, response))
        _import_integrations(api_id, spec)
        return api_id

    apigateway_v1._import_rest_api = import_rest_api


def _import_integrations(api_id: str, spec: dict[str, Any]) -> None:
    for resource_id, resource in apigateway_v1._resources[api_id].items():
        operations = spec.get("paths", {}).get(resource["path"], {})
        for verb, operation in operations.items():
            definition = operation.get(INTEGRATION) if isinstance(operation, dict) else None
            method = resource["resourceMethods"].get(verb.upper())
            if not definition or not method or not method["methodIntegration"]:
                continue
            integration = method["methodIntegration"]
            integration["requestTemplates"] = definition.get("requestTemplates", {})
            integration["credentials"] = definition.get("credentials")
            for pattern, response in definition.get("responses", {}).items():
                accept(
                    apigateway_v1._put_integration_response(
                        api_id,
                        resource_id,
                        verb.upper(),
                        str(response["statusCode"]),
                        {**response, "selectionPattern": "" if pattern == "default" else pattern},
                    )
                )
