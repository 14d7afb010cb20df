"""Invoke another function and wait for its answer (Lambda's ``RequestResponse``)."""

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from portcullis.aws.clients import client
from portcullis.errors import InfrastructureError

ANSWER_BYTES_MAX = 262_144


class FunctionError(InfrastructureError):
    """The function failed, was throttled, or did not answer: whether it ran is not known."""


def invoke(function: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the answer of *function*, the ARN of an alias, to *payload*.

    A refusal is an answer too: the problem that ``portcullis.edge.operation`` returns. A call
    whose answer is lost is sent once more, so what is invoked must be safe to run twice.

    Raises:
        FunctionError: there is no answer, or it is not a JSON object.
    """
    data = json.dumps(payload, separators=(",", ":")).encode()
    try:
        reply = client("lambda").invoke(
            FunctionName=function, InvocationType="RequestResponse", Payload=data
        )
        with closing(reply["Payload"]) as stream:
            raw = stream.read(ANSWER_BYTES_MAX + 1)
    except ClientError as error:
        raise FunctionError(error.response["Error"]["Code"]) from None
    except BotoCoreError as error:
        raise FunctionError(type(error).__name__) from None
    if "FunctionError" in reply:
        raise FunctionError(reply["FunctionError"])  # what was read is an exception's text
    if len(raw) > ANSWER_BYTES_MAX:
        raise FunctionError("answer is too large")
    try:
        answer = json.loads(raw)
    except ValueError:
        raise FunctionError("answer without JSON") from None
    if not isinstance(answer, dict):
        raise FunctionError("answer without a JSON object")
    return answer
