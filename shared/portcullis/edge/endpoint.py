"""``@endpoint``: what every API function has in common, so that a handler is three lines."""

import functools
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from portcullis import log
from portcullis.edge import request as requests
from portcullis.edge.request import Request
from portcullis.edge.response import InternalError, Response, nonce_header, problem
from portcullis.errors import InfrastructureError, RefusedError, UnavailableError
from portcullis.evidence.errors import EvidenceError

type Handler = Callable[[Request[Any]], Response]
type Nonce = Callable[[], str]
"""Draws the nonce of the caller's next proof."""
type Lambda = Callable[[Mapping[str, Any], Any], dict[str, Any]]


class DefectError(Exception):
    """A defect of ours, which the log describes. Without a text, for the runtime prints that."""


def endpoint(
    *,
    body: type[BaseModel] | None = None,
    form: bool = False,
    oauth: bool = False,
    nonce: Nonce | None = None,
    query: frozenset[str] = frozenset(),
    body_bytes_max: int = requests.BODY_BYTES_MAX,
) -> Callable[[Handler], Lambda]:
    """Make a Lambda handler of a function from request to response.

    Args:
        body: the model of the body; without one the route takes no body.
        form: the body is form-encoded (OAuth), not JSON.
        oauth: refusals carry RFC 6749's ``error`` members.
        nonce: draws the nonce that every answer but a failure hands to the client. Behind the
            gate it is the gate's, and comes with the event.
        query: the names of the query parameters that the route takes.
        body_bytes_max: how long a body may be.
    """

    def decorate(handle: Handler) -> Lambda:
        @functools.wraps(handle)
        def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
            started = time.monotonic()
            outcome, fields, reply = _answer(
                lambda: handle(
                    requests.parse(
                        event, body=body, form=form, query=query, body_bytes_max=body_bytes_max
                    )
                ),
                oauth=oauth,
                nonce=nonce,
            )
            reply["headers"] |= nonce_header(requests.nonce_of_gate(event))
            log.request(
                outcome,
                {
                    **fields,
                    "function": getattr(context, "function_name", ""),
                    "request_id": requests.request_id(event),
                    "status": reply["statusCode"],
                    "duration_ms": int((time.monotonic() - started) * 1000),
                },
            )
            return reply

        return handler

    return decorate


def _answer(
    work: Callable[[], Response], *, oauth: bool, nonce: Nonce | None
) -> tuple[log.Outcome, log.Fields, dict[str, Any]]:
    try:
        outcome, fields, reply = _decided(work, oauth=oauth)
        reply["headers"] |= nonce_header(nonce() if nonce else None)
    except InfrastructureError as error:
        return "failed", failure_fields(error), problem(UnavailableError(), oauth=oauth)
    except Exception as error:  # noqa: BLE001 the edge answers for everything below it
        return "failed", failure_fields(error), problem(InternalError(), oauth=oauth)
    return outcome, fields, reply


def _decided(
    work: Callable[[], Response], *, oauth: bool
) -> tuple[log.Outcome, log.Fields, dict[str, Any]]:
    try:
        return "done", {}, work().to_proxy()
    except RefusedError as refusal:
        return "refused", refusal_fields(refusal), problem(refusal, oauth=oauth)


def refusal_fields(refusal: RefusedError) -> log.Fields:
    """Return what may be logged of a refusal: its code, and which check of evidence failed."""
    fields: log.Fields = {"code": refusal.code}
    if isinstance(refusal.__cause__, EvidenceError):
        fields["check"] = str(refusal.__cause__)
    return fields


def failure_fields(error: Exception) -> log.Fields:
    """Return what may be logged of a failure: its class, its place and a code, never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    # Ours, or a service's error code: never a client's value.
    code = str(error) if isinstance(error, InfrastructureError) else InternalError.code
    return {"exception": type(error).__name__, "place": place, "code": code}
