"""The gate's edge: a REQUEST authorizer event becomes a policy, never an exception for a verdict.

API Gateway makes problem and challenge of the Deny's context (template.yaml).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from portcullis import log
from portcullis.edge import request as requests
from portcullis.edge.endpoint import failure_fields, refusal_fields
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.evidence.access_token import AccessToken
from portcullis.vocabulary import PROBLEM_PREFIX

type Admit = Callable[..., AccessToken]

_ERRORS = {
    # RFC 9449 section 7.1 and RFC 6750 section 3.1.
    "invalid-proof": "invalid_dpop_proof",
    "proof-replayed": "invalid_dpop_proof",
    "authentication-required": "",
}


def authorize(admit: Admit, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the policy for one request: Allow, or Deny with its reason.

    Raises:
        InfrastructureError: liveness is not known; API Gateway answers 503 (AUTHORIZER_FAILURE).
    """
    started = time.monotonic()

    def note(outcome: log.Outcome, fields: log.Fields) -> None:
        log.request(
            outcome,
            {
                **fields,
                "function": getattr(context, "function_name", ""),
                "request_id": requests.request_id(event),
                "duration_ms": int((time.monotonic() - started) * 1000),
            },
        )

    try:
        headers = requests.single_headers(event)
        token = admit(
            authorization=headers.get("authorization"),
            proof=headers.get("dpop"),
            method=str(event["httpMethod"]),
            path=str(event["path"]),
        )
    except RefusedError as refusal:
        note("refused", refusal_fields(refusal))
        return _policy(event, "Deny", "nobody", _reason(refusal))
    except InfrastructureError as error:
        note("failed", failure_fields(error))
        raise
    note("done", {})
    return _policy(event, "Allow", token.sub, {})


def _policy(
    event: Mapping[str, Any], effect: str, principal: str, context: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": effect,
                    "Resource": _method_arn(event),
                }
            ],
        },
        "context": dict(context),
    }


def _method_arn(event: Mapping[str, Any]) -> str:
    # Rebuilt from the route: methodArn holds the client's own path text, in which "*" and "?"
    # would be wildcards of the policy.
    prefix = str(event["methodArn"]).split("/", 1)[0]
    context = event["requestContext"]
    segments = [
        "*" if part.startswith("{") else part for part in str(event["resource"]).split("/")[1:]
    ]
    return "/".join((prefix, str(context["stage"]), str(event["httpMethod"]), *segments))


def _reason(refusal: RefusedError) -> dict[str, str]:
    """Return the Deny's context: constants only, because templates do not escape them."""
    error = _ERRORS.get(refusal.code, "invalid_token")
    challenge = f'DPoP error="{error}", algs="ES256"' if error else 'DPoP algs="ES256"'
    return {
        "type": PROBLEM_PREFIX + refusal.code,
        "title": refusal.title,
        "challenge": challenge,
    }
