"""A changed `Body` changes the API, not its id.

AWS: CloudFormation applies a changed `Body` to the same API ("Update requires: No interruption",
AWS::ApiGateway::RestApi). Stock: deletes the API and makes another, so every id that a policy, a
permission or a person holds goes stale. Here: the new definition moves in under the old id.
"""

from typing import Any

from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

from infra.local.stock import require, take

REST_API = "AWS::ApiGateway::RestApi"
# What a definition brings along; stages and deployments stay with the id.
DEFINITION_STORES = (
    "_rest_apis",
    "_resources",
    "_authorizers_v1",
    "_models",
    "_request_validators",
    "_gateway_responses",
)


def close() -> None:
    """Keep an API's id when its definition changes."""
    require(apigateway_v1, "_delete_rest_api", *DEFINITION_STORES)
    require(provisioners, "_apigw_rest_api_create", "_apigw_rest_api_attrs")
    handlers = take(provisioners, "_RESOURCE_HANDLERS")[REST_API]
    stock_update = handlers["update"]

    def update(
        api_id: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        if new.get("Body") == old.get("Body"):
            return stock_update(api_id, old, new, stack_name, logical_id)
        newcomer, _ = provisioners._apigw_rest_api_create(logical_id or api_id, new, stack_name)
        for name in DEFINITION_STORES:
            store = getattr(apigateway_v1, name)
            store.pop(api_id, None)
            if newcomer in store:
                store[api_id] = store.pop(newcomer)
        apigateway_v1._rest_apis[api_id]["id"] = api_id
        apigateway_v1._delete_rest_api(newcomer)
        return api_id, provisioners._apigw_rest_api_attrs(api_id)

    handlers["update"] = update
