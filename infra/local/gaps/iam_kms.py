"""Policies can speak about how a KMS key is used.

AWS: `kms:EncryptionContext:<key>`, `kms:EncryptionContextKeys`, `kms:SigningAlgorithm`,
`kms:MessageType`, `kms:MacAlgorithm` and `kms:CallerAccount` are in the request context (KMS guide,
"AWS KMS condition keys"). Stock: none of them, so that an Allow never matches and a negated Deny
always does. Here: read from the request.
"""

import json
from typing import Any

from ministack.core import iam_actions
from ministack.core.responses import get_account_id

from infra.local.stock import take

FROM_PARAMETER = ("SigningAlgorithm", "MessageType", "MacAlgorithm")


def close() -> None:
    """Put the KMS condition keys into the request context."""
    stock_context = take(iam_actions, "request_tag_context")

    def context(service: str, action: str, body: bytes, query: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = stock_context(service, action, body, query)
        return {**found, **_kms_context(body)} if service == "kms" else found

    iam_actions.request_tag_context = context


def _kms_context(body: bytes) -> dict[str, Any]:
    context: dict[str, Any] = {"kms:CallerAccount": get_account_id()}
    try:
        request = json.loads(body or b"{}")
        encryption_context = dict(request.get("EncryptionContext") or {})
    except (ValueError, AttributeError, TypeError):
        return context  # the operation refuses what is not a request
    for key, value in encryption_context.items():
        context[f"kms:EncryptionContext:{key}"] = value
    if encryption_context:
        context["kms:EncryptionContextKeys"] = list(encryption_context)
    for name in FROM_PARAMETER:
        if request.get(name):
            context[f"kms:{name}"] = request[name]
    return context
