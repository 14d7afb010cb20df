"""The gate's edge: a REQUEST authorizer event becomes a policy, never an exception for a verdict.

API Gateway makes problem and challenge of the Deny's context (template.yaml).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from portcullis import log
from portcullis.edge import request as requests
from portcullis.edge.endpoint import DefectError, Nonce, failure_fields, refusal_fields
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import StepUpRequiredError
from portcullis.vocabulary import PROBLEM_PREFIX

type Admit = Callable[..., AccessToken]

_ERRORS = {
    # RFC 9449 sections 7.1 and 9, RFC 6750 section 3.1, RFC 9470 section 3.
    "invalid-proof": "invalid_dpop_proof",
    "proof-replayed": "invalid_dpop_proof",
    "use-dpop-nonce": "use_dpop_nonce",
    "insufficient-user-authentication": "insufficient_user_authentication",
    "authentication-required": "",
    # RFC 6750 section 3.1: `invalid_token` asks for another token, and none would help.
    "account-quarantined": "",
    "account-restricted": "",
}


def authorize(
    admit: Admit, event: Mapping[str, Any], context: Any, *, nonce: Nonce
) -> dict[str, Any]:
    """Return the policy for one request: Allow, or Deny with its reason; both hand out a nonce.

    Args:
        admit: the gate's verdict: it returns the caller's token, or refuses.
        event: API Gateway's event.
        context: Lambda's context.
        nonce: draws the nonce of the caller's next proof.

    Raises:
        InfrastructureError: liveness is not known; API Gateway answers 503 (AUTHORIZER_FAILURE).
        DefectError: the same of anything else that went wrong, in no words.
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
        given = {"nonce": nonce()}
        headers = requests.single_headers(event)
        token = admit(
            authorization=headers.get("authorization"),
            proof=headers.get("dpop"),
            method=str(event["httpMethod"]),
            path=str(event["path"]),
            resource=str(event["resource"]),
            source=requests.source(event),
        )
    except RefusedError as refusal:
        note("refused", refusal_fields(refusal))
        return _policy(event, "Deny", "nobody", _reason(refusal) | given)
    except InfrastructureError as error:
        note("failed", failure_fields(error))
        raise
    except Exception as error:  # noqa: BLE001 the runtime would print its text
        note("failed", failure_fields(error))
        raise DefectError from None
    note("done", {})
    return _policy(event, "Allow", token.sub, given)


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
    return {
        "type": PROBLEM_PREFIX + refusal.code,
        "title": refusal.title,
        "challenge": _challenge(refusal),
    }


def _challenge(refusal: RefusedError) -> str:
    parameters = {}
    if error := _ERRORS.get(refusal.code, "invalid_token"):
        parameters["error"] = error
    if isinstance(refusal, StepUpRequiredError):
        parameters["acr_values"] = " ".join(refusal.acr_values)
        if refusal.max_age_s is not None:
            parameters["max_age"] = str(refusal.max_age_s)
    parameters["algs"] = "ES256"
    return "DPoP " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
