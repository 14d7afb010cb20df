"""A policy can demand of a write to S3 that it overwrites nothing, and that it comes by TLS.

AWS: `s3:if-none-match` is the request's `If-None-Match` (S3 user guide, "Enforce conditional writes
on Amazon S3 buckets"). Stock: never there, so that a policy that demands it denies every write.
Here: as AWS. And a call on loopback counts as TLS, which this machine's endpoint does not speak:
stock, a policy that denies plain HTTP (`aws:SecureTransport`) denies everything.
"""

from typing import Any

from ministack.core import iam_actions, iam_evaluator

from infra.local.stock import take

HEADER = "if-none-match"
SECURE_TRANSPORT = "aws:securetransport"


def close() -> None:
    """Add the condition key to writes, and answer for the transport."""
    stock_context = take(iam_actions, "s3_service_context")
    stock_resolve = take(iam_evaluator, "_resolve_condition_key")

    def context_of(
        action: str,
        query: dict[str, Any] | None,
        path: str = "",
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        context: dict[str, Any] = stock_context(action, query, path, headers)
        if action == "s3:PutObject" and headers and HEADER in headers:
            context[f"s3:{HEADER}"] = headers[HEADER]
        return context

    def resolve(key: str, context: Any) -> Any:
        return "true" if key.lower() == SECURE_TRANSPORT else stock_resolve(key, context)

    iam_actions.s3_service_context = context_of
    iam_evaluator._resolve_condition_key = resolve
