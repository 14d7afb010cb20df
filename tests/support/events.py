"""API Gateway's events (REST API, payload 1.0), made from a request as a client sends it.

Shapes from the developer guide: "Input format of a Lambda function for proxy integration" and
"Input to an API Gateway Lambda authorizer". A header that is sent twice is there twice in
`multiValueHeaders` and once, its last line, in `headers`; names keep the client's case.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

type Event = dict[str, Any]
type Pairs = Sequence[tuple[str, str]]

STAGE = "v1"
API_ARN = "arn:aws:execute-api:us-east-1:000000000000:a1b2c3d4e5"
JSON: Pairs = (("Content-Type", "application/json"),)
FORM: Pairs = (("Content-Type", "application/x-www-form-urlencoded"),)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request as it was sent.

    Attributes:
        method: The method.
        path: The path, as the client spelled it.
        resource: The route that API Gateway matched; the path itself if None.
        path_parameters: What the route's `{names}` matched.
        headers: Name and value of each header line, in order.
        query: Name and value of each query parameter, in order.
        body: The body: text, or bytes, which arrive as base64; None where there is none.
        user_arn: The principal that API Gateway authenticated (AWS_IAM), if any.
        source_ip: The address of the connection, as API Gateway saw it.
    """

    method: str = "POST"
    path: str = "/transfers"
    resource: str | None = None
    path_parameters: Mapping[str, str] | None = None
    headers: Pairs = JSON
    query: Pairs = ()
    body: str | bytes | None = None
    user_arn: str | None = None
    source_ip: str = "192.0.2.1"
    request_id: str = field(default="5f0c9f3e-8d0f-4a75-9a58-27a0b5c1e2d4")

    def to_function(self) -> Event:
        """Return the event of a proxy integration."""
        as_bytes = isinstance(self.body, bytes)
        body = base64.b64encode(self.body).decode() if isinstance(self.body, bytes) else self.body
        return self._common() | {"body": body, "isBase64Encoded": as_bytes}

    def to_authorizer(self) -> Event:
        """Return the event of a REQUEST authorizer: its ARN holds the path as the client wrote it.

        There is no body in it.
        """
        method_arn = f"{API_ARN}/{STAGE}/{self.method}{self.path}"
        return self._common() | {"type": "REQUEST", "methodArn": method_arn}

    def _common(self) -> Event:
        resource = self.resource or self.path
        return {
            "resource": resource,
            "path": self.path,
            "httpMethod": self.method,
            "headers": dict(self.headers) or None,
            "multiValueHeaders": _grouped(self.headers),
            "queryStringParameters": dict(self.query) or None,
            "multiValueQueryStringParameters": _grouped(self.query),
            "pathParameters": None if self.path_parameters is None else dict(self.path_parameters),
            "stageVariables": None,
            "requestContext": {
                "resourcePath": resource,
                "httpMethod": self.method,
                "path": f"/{STAGE}{self.path}",
                "stage": STAGE,
                "apiId": "a1b2c3d4e5",
                "accountId": "000000000000",
                "requestId": self.request_id,
                "extendedRequestId": "JKJaXmPLvHcESHA=",
                "identity": {
                    "sourceIp": self.source_ip,
                    "userAgent": _last(self.headers, "user-agent"),
                    "userArn": self.user_arn,
                },
            },
        }


@dataclass(frozen=True)
class Context:
    """The part of Lambda's context that the product reads."""

    function_name: str = "portcullis-test"


def _grouped(pairs: Pairs) -> dict[str, list[str]] | None:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped or None


def _last(pairs: Pairs, name: str) -> str | None:
    return next((value for key, value in reversed(pairs) if key.lower() == name), None)
