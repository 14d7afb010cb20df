"""API Gateway may call a function only where the function's own policy lets it.

AWS: the resource policy of the function, version or alias must allow apigateway.amazonaws.com, for
the method's or the authorizer's ARN; otherwise the method answers API_CONFIGURATION_ERROR and the
authorizer AUTHORIZER_CONFIGURATION_ERROR (developer guide, "Grant API Gateway permission"). Stock:
calls whatever the definition names. Here: asks the policy first. A role named by the integration or
authorizer (`credentials`) is not modelled and grants nothing.
"""

from typing import Any

from ministack.core import iam_evaluator
from ministack.core.arn import execute_api_arn
from ministack.services import apigateway_v1, lambda_svc

from infra.local.stock import require, take

GATEWAY = "apigateway.amazonaws.com"
INVOKE = "lambda:InvokeFunction"


def close() -> None:
    """Ask a function's policy before API Gateway calls it."""
    require(iam_evaluator, "EvalContext", "evaluate_resource_policy")
    require(lambda_svc, "function_policy_for_arn")
    require(apigateway_v1, "_extract_lambda_ref_from_integration_uri")
    stock_call = take(apigateway_v1, "_call_lambda_raw")
    stock_authorize = take(apigateway_v1, "_invoke_authorizer_lambda")

    async def call(
        function: str,
        event: dict[str, Any],
        *,
        account_id: str,
        region: str,
    ) -> Any:
        request = event["requestContext"]
        source = execute_api_arn(
            region,
            account_id,
            request["apiId"],
            request["stage"],
            request["httpMethod"],
            request["resourcePath"],
        )
        if not _may_call(function, source, account_id, region):
            return None, f"Invalid permissions on Lambda function {function}"
        return await stock_call(function, event, account_id=account_id, region=region)

    async def authorize(
        authorizer: dict[str, Any], event: dict[str, Any], account_id: str, region: str
    ) -> Any:
        function = apigateway_v1._extract_lambda_ref_from_integration_uri(
            authorizer["authorizerUri"]
        )
        api = event["methodArn"].partition("/")[0]
        source = f"{api}/authorizers/{authorizer['id']}"
        if not _may_call(function, source, account_id, region):
            return None
        return await stock_authorize(authorizer, event, account_id, region)

    apigateway_v1._call_lambda_raw = call
    apigateway_v1._invoke_authorizer_lambda = authorize


def _may_call(function: str, source_arn: str, account_id: str, region: str) -> bool:
    policy = lambda_svc.function_policy_for_arn(function)
    if policy is None:
        return False
    context = iam_evaluator.EvalContext(
        principal_arn="",
        principal_type="Service",
        principal_account="",
        action=INVOKE,
        resource_arn=function,
        region=region,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account_id},
    )
    decision = iam_evaluator.evaluate_resource_policy(policy[0], context, service=GATEWAY)
    return bool(decision.decision == "Allow")
