"""Responses: a result or a refusal, as API Gateway takes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portcullis.edge.request import BodyTooLargeError, UnsupportedContentTypeError
from portcullis.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    RefusedError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnprocessableError,
)
from portcullis.vocabulary import NONCE_HEADER, PROBLEM_PREFIX, REPLAYED_HEADER

RETRY_AFTER_S = 1

STATUS: dict[type[RefusedError], int] = {
    BodyTooLargeError: 413,
    UnsupportedContentTypeError: 415,
    InvalidError: 400,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    UnprocessableError: 422,
    TooManyRequestsError: 429,
    UnavailableError: 503,
}
"""The one table from category (or the few finer classes) to status."""

_OAUTH_ERRORS = {
    # RFC 6749 section 5.2, RFC 7009 section 2.2.1, RFC 9449 section 5.
    "invalid-grant": "invalid_grant",
    "invalid-proof": "invalid_dpop_proof",
    "proof-replayed": "invalid_dpop_proof",
    "use-dpop-nonce": "use_dpop_nonce",
    "unsupported-grant-type": "unsupported_grant_type",
    "unsupported-token-type": "unsupported_token_type",
    "invalid-client": "invalid_client",
    # No error of section 5.2 is of rates. "slow_down" is RFC 8628's: a device polls more slowly and
    # goes on. Section 4.1.2.1 has the one that says what it is: overloading, and for a while.
    "too-many-requests": "temporarily_unavailable",
    "unavailable": "temporarily_unavailable",
    "internal-error": "server_error",
}


class InternalError(RefusedError):
    """A defect of ours. Nothing about it is told."""

    code = "internal-error"
    title = "Something went wrong here. The fault is logged under this request's id."


@dataclass(frozen=True, slots=True)
class Response:
    """A result: status, JSON members (none: an empty body), and further headers."""

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_proxy(self) -> dict[str, Any]:
        """Return the result as API Gateway's proxy integration takes it."""
        return _proxy(self.status, self.body, "application/json", self.headers)


def replayed_header(*, replayed: bool) -> dict[str, str]:
    """Return the header that tells a client that its order had been posted before."""
    return {REPLAYED_HEADER: "true"} if replayed else {}


def status_of(refusal: type[RefusedError]) -> int:
    """Return the status of a refusal: that of its nearest class in ``STATUS``."""
    return next((STATUS[kind] for kind in refusal.__mro__ if kind in STATUS), 500)


def problem_members(refusal: RefusedError) -> dict[str, Any]:
    """Return the members of a refusal's RFC 9457 problem."""
    members: dict[str, Any] = {
        "type": PROBLEM_PREFIX + refusal.code,
        "title": refusal.title,
        "status": status_of(type(refusal)),
    }
    if refusal.faults:
        members["errors"] = [
            {"pointer": fault.pointer, "reason": fault.reason} for fault in refusal.faults
        ]
    return members


def problem(refusal: RefusedError, *, oauth: bool) -> dict[str, Any]:
    """Return a refusal as RFC 9457 problem, for OAuth routes with RFC 6749's members."""
    members, status = problem_members(refusal), status_of(type(refusal))
    headers = _pause(refusal)
    if not oauth:
        return _proxy(status, members, "application/problem+json", headers)
    members["error"] = _OAUTH_ERRORS.get(refusal.code, "invalid_request")
    members["error_description"] = refusal.title
    return _proxy(status, members, "application/json", headers)


def nonce_header(nonce: str | None) -> dict[str, str]:
    """Return the header that hands a client the nonce of its next proof (RFC 9449 section 8.2)."""
    return {} if nonce is None else {NONCE_HEADER: nonce}


def _pause(refusal: RefusedError) -> dict[str, str]:
    """Return the headers that say when to come again."""
    if isinstance(refusal, UnavailableError):
        return {"Retry-After": str(RETRY_AFTER_S)}
    if not isinstance(refusal, TooManyRequestsError):
        return {}
    # draft-ietf-httpapi-ratelimit-headers: structured fields, the limit named in both. Nothing
    # remains, or this would be no refusal.
    return {
        "Retry-After": str(refusal.retry_after_s),
        "RateLimit-Policy": f'"{refusal.policy}";q={refusal.quota};w={refusal.window_s}',
        "RateLimit": f'"{refusal.policy}";r=0;t={refusal.retry_after_s}',
    }


def _proxy(
    status: int, body: Mapping[str, Any] | None, content_type: str, headers: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {
            # Every answer is about one caller; RFC 6749 section 5.1 demands it of tokens.
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **({} if body is None else {"Content-Type": content_type}),
            **headers,
        },
        "body": "" if body is None else json.dumps(body, separators=(",", ":")),
        "isBase64Encoded": False,
    }
