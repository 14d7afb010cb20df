"""``@operation``: a function that operators invoke directly, not through an API."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from portcullis import log
from portcullis.edge.endpoint import DefectError, failure_fields, refusal_fields
from portcullis.edge.request import InvalidBodyError, faults
from portcullis.edge.response import problem_members
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.schema import Strict


def operation[Input: Strict](
    model: type[Input],
) -> Callable[[Callable[[Input], dict[str, Any]]], Callable[[Mapping[str, Any], Any], Any]]:
    """Make a Lambda handler of a function from a validated input to a result.

    A refusal is returned as a problem. A failure is raised, so that the invocation fails, and a
    defect in no words: Lambda's runtime prints what is raised.
    """

    def decorate(
        work: Callable[[Input], dict[str, Any]],
    ) -> Callable[[Mapping[str, Any], Any], Any]:
        @functools.wraps(work)
        def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
            name = getattr(context, "function_name", "")
            try:
                result = work(_input(event, model))
            except RefusedError as refusal:
                log.request("refused", {**refusal_fields(refusal), "function": name})
                return problem_members(refusal)
            except InfrastructureError as error:
                log.request("failed", {**failure_fields(error), "function": name})
                raise
            except Exception as error:  # noqa: BLE001 the runtime would print its text
                log.request("failed", {**failure_fields(error), "function": name})
                raise DefectError from None
            log.request("done", {"function": name})
            return result

        return handler

    return decorate


def _input[Input: Strict](event: Mapping[str, Any], model: type[Input]) -> Input:
    try:
        return model.model_validate_json(json.dumps(event))
    except ValidationError as error:
        raise InvalidBodyError(*faults(error)) from None
