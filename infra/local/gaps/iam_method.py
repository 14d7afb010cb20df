"""A signed caller whom IAM refuses gets the API's own ACCESS_DENIED response.

AWS: a denial on an AWS_IAM method is answered through the gateway response ACCESS_DENIED
(developer guide, "Gateway response types"). Stock: answers with its own JSON, whatever the API
says. Here: through the gateway response.
"""

import json
from typing import Any

import ministack.app
from ministack.services import apigateway_v1

from infra.local.stock import require, take

INVOKE = "execute-api:Invoke"
DENIED = "AccessDeniedException"


def close() -> None:
    """Answer an IAM denial of an API method through the API's gateway responses."""
    require(apigateway_v1, "_gw_error", "_gateway_error_response", "stages_for_api", "new_uuid")
    stock_enforce = take(ministack.app, "_enforce_data_plane")

    def enforce(
        service: str,
        action: str,
        headers: dict[str, Any],
        query: dict[str, Any],
        request_id: str,
        **named: Any,
    ) -> Any:
        answer = stock_enforce(service, action, headers, query, request_id, **named)
        # A failed signature was already answered through the gateway responses.
        if answer is None or action != INVOKE or answer[1].get("x-amzn-errortype") != DENIED:
            return answer
        api_id, stage_name = named["resource_arn"].split(":", 5)[5].split("/")[:2]
        stage = apigateway_v1.stages_for_api(api_id).get(stage_name)
        if stage is None:
            return answer
        return apigateway_v1._gateway_error_response(
            apigateway_v1._gw_error("ACCESS_DENIED", json.loads(answer[2])["message"]),
            {
                "api_id": api_id,
                "stage_name": stage_name,
                "stage": stage,
                "headers": headers,
                "query_params": query,
                "path_params": {},
                "resource_path": "",
                "request_id": apigateway_v1.new_uuid(),
            },
        )

    ministack.app._enforce_data_plane = enforce
