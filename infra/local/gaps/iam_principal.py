"""`aws:PrincipalArn` of an assumed role is the role.

AWS: "For IAM roles, the request context returns the ARN of the role, not the ARN of the user that
assumed the role" (IAM guide, "AWS global condition context keys"). Stock: the session's ARN, which
no policy can name. Here: the role's, with its path.
"""

from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam

from infra.local.stock import require, take

PRINCIPAL_ARN = "aws:principalarn"
SESSION = ":assumed-role/"


def close() -> None:
    """Resolve `aws:PrincipalArn` to the role for every session of it."""
    require(iam_evaluator, "_role_name_from_assumed_arn")
    require(iam, "_roles")
    stock_resolve = take(iam_evaluator, "_resolve_condition_key")

    def resolve(key: str, context: Any) -> Any:
        # Some services' own checks of a resource's policy call every principal a root.
        if key.lower() != PRINCIPAL_ARN or SESSION not in context.principal_arn:
            return stock_resolve(key, context)
        name = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
        role = iam._roles.get_scoped(context.principal_account, None, name)
        return role["Arn"] if role else None

    iam_evaluator._resolve_condition_key = resolve
