"""A request, validated once: after this nothing about it needs a second look."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from portcullis import entropy, strict_json
from portcullis.errors import Fault, InvalidError
from portcullis.evidence import orders
from portcullis.source import Source

BODY_BYTES_MAX = 16_384
FAULTS_MAX = 8
POINTER_CHARS_MAX = 256

_NONCE = re.compile(r"[!#-\[\]-~]{1,128}")
"""RFC 9449 section 8.1: 1*NQCHAR (RFC 6749 appendix A), and a bound of ours."""

_MAY_REPEAT = frozenset(
    {
        # List-valued by RFC 9110, or appended to by every hop; none of them decides anything here.
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "forwarded",
        "pragma",
        "te",
        "via",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-forwarded-proto",
    }
)


class MalformedRequestError(InvalidError):
    """The path, query or encoding of the request is not one that we could have given out."""

    code = "malformed-request"
    title = "The path or query of this request is not valid here."


class DuplicateHeaderError(InvalidError):
    """A header that must be single is there twice."""

    code = "duplicate-header"
    title = "A header is given more than once."


class UnsupportedContentTypeError(InvalidError):
    """The body is not of the type that the route takes."""

    code = "unsupported-content-type"
    title = "The body's content type is not the one that this route takes."


class BodyTooLargeError(InvalidError):
    """The body is larger than the route takes."""

    code = "body-too-large"
    title = "The body is larger than this route takes."


class MalformedBodyError(InvalidError):
    """The body cannot be parsed unambiguously."""

    code = "malformed-body"
    title = "The body cannot be read: it must be UTF-8, unambiguous and complete."


class InvalidBodyError(InvalidError):
    """The body was parsed and is not what the route takes."""

    code = "invalid-body"
    title = "The body is not what this route takes; the pointers say where."


class IdempotencyKeyRequiredError(InvalidError):
    """A money mutation came without a usable idempotency key."""

    code = "idempotency-key-required"
    title = "Send one Idempotency-Key of 1 to 64 visible ASCII characters."


@dataclass(frozen=True, slots=True)
class Request[Body]:
    """One validated request. ``body`` is the parsed body, ``raw_body`` the very bytes."""

    method: str
    path: str
    path_parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: bytes
    body: Body
    source: Source
    caller_role: str | None
    """The IAM role that API Gateway authenticated, on an internal route."""

    def header(self, name: str) -> str | None:
        """Return the one value of a header (any case), or None."""
        return self.headers.get(name.lower())

    def id_in_path(self) -> str:
        """Return the id in the path.

        Raises:
            MalformedRequestError: it is none that we could have given out.
        """
        given = self.path_parameters.get("id", "")
        if not entropy.is_id(given):
            raise MalformedRequestError
        return given

    def idempotency_key(self) -> str:
        """Return the idempotency key.

        Raises:
            IdempotencyKeyRequiredError: there is none, or not one of 1 to 64 visible characters.
        """
        key = self.header("idempotency-key")
        if not orders.is_key(key):
            raise IdempotencyKeyRequiredError
        return key


def parse[Body](
    event: Mapping[str, Any],
    *,
    body: type[BaseModel] | None,
    form: bool,
    query: frozenset[str],
    body_bytes_max: int,
) -> Request[Any]:
    """Return the validated request of an API Gateway proxy event.

    Raises:
        InvalidError: one of the refusals of this module.
    """
    headers = single_headers(event)
    path = str(event["path"])
    if "%" in path:
        raise MalformedRequestError  # none of our paths needs an escape
    raw = _raw_body(event, body_bytes_max)
    return Request(
        method=str(event["httpMethod"]),
        path=path,
        path_parameters=event.get("pathParameters") or {},
        query=_query(event, query),
        headers=headers,
        raw_body=raw,
        body=_body(raw, headers.get("content-type", ""), model=body, form=form),
        source=source(event),
        caller_role=_role(event),
    )


def request_id(event: Mapping[str, Any]) -> str:
    """Return the id that API Gateway made for a request: a client can choose ``requestId``."""
    return str(event.get("requestContext", {}).get("extendedRequestId", ""))


def nonce_of_gate(event: Mapping[str, Any]) -> str | None:
    """Return the nonce that the gate put into its context, or None.

    It is only a claim of the gateway, so it is good for nothing but to be handed to the client.
    """
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    nonce = authorizer.get("nonce")
    return nonce if isinstance(nonce, str) and _NONCE.fullmatch(nonce) else None


def single_headers(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of an event by lower-case name.

    Raises:
        DuplicateHeaderError: one is repeated that must not be.
    """
    single: dict[str, str] = {}
    for name, values in (event.get("multiValueHeaders") or {}).items():
        lowered = name.lower()
        if (len(values) != 1 or lowered in single) and lowered not in _MAY_REPEAT:
            raise DuplicateHeaderError(Fault(f"header:{lowered[:64]}", "given more than once"))
        single[lowered] = values[-1]
    return single


def source(event: Mapping[str, Any]) -> Source:
    """Return where a request comes from: API Gateway's own observation.

    X-Forwarded-For and the like are whatever a client wrote.
    """
    identity = event["requestContext"].get("identity") or {}
    return Source.of(
        address=str(identity.get("sourceIp") or ""),
        user_agent=str(identity.get("userAgent") or ""),
    )


def _query(event: Mapping[str, Any], known: frozenset[str]) -> dict[str, str]:
    given: Mapping[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    if not given.keys() <= known or any(len(values) != 1 for values in given.values()):
        raise MalformedRequestError
    return {name: values[0] for name, values in given.items()}


def _raw_body(event: Mapping[str, Any], bytes_max: int) -> bytes:
    text = event.get("body") or ""
    if len(text) > 2 * bytes_max:
        raise BodyTooLargeError
    try:
        raw = (
            base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
        )
    except (binascii.Error, ValueError):
        raise MalformedBodyError from None
    if len(raw) > bytes_max:
        raise BodyTooLargeError
    return raw


def _body(raw: bytes, content_type: str, *, model: type[BaseModel] | None, form: bool) -> Any:
    if model is None:
        if raw:
            raise MalformedBodyError(Fault("", "this route takes no body"))
        return None
    kind, _, parameters = content_type.partition(";")
    expected = "application/x-www-form-urlencoded" if form else "application/json"
    if kind.strip().lower() != expected:
        raise UnsupportedContentTypeError
    if parameters.strip().lower() not in {"", "charset=utf-8"}:
        raise UnsupportedContentTypeError
    try:
        if form:
            return model.model_validate(_form(raw))
        strict_json.parse(raw)
        return model.model_validate_json(raw)
    except strict_json.JsonError:
        raise MalformedBodyError from None
    except ValidationError as error:
        raise InvalidBodyError(*faults(error)) from None


def _form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict"
        )
    except ValueError:
        raise MalformedBodyError from None
    if len(dict(pairs)) != len(pairs):
        raise MalformedBodyError  # RFC 6749 section 3.2: a parameter must not be repeated
    return dict(pairs)


def faults(error: ValidationError) -> list[Fault]:
    """Return what a model found wrong: places and reasons, never the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        Fault(_pointer(one["loc"])[:POINTER_CHARS_MAX], one["msg"]) for one in found[:FAULTS_MAX]
    ]


def _pointer(location: tuple[int | str, ...]) -> str:
    # RFC 6901 section 3: "~" and "/" are escaped.
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _role(event: Mapping[str, Any]) -> str | None:
    arn = str(event["requestContext"].get("identity", {}).get("userArn") or "")
    # arn:aws:sts::<account>:assumed-role/<role>/<session>
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    return rest.partition("/")[0] if kind == "assumed-role" else None
