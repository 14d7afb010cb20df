"""Print, and take out, the notices that arrived for the owners of the stack's accounts.

    python -m infra.local.inbox

The inbox stands for whoever is subscribed to the topic of notices in production.
"""

import json
import os
import sys
from typing import Any

from infra.local import process
from infra.local.aws import client
from infra.local.stack import Stack, StackError, chosen_name, home_of

PAGE = 10
"""SQS gives no more messages at once."""


def running(name: str) -> Stack:
    """Return the running stack *name*.

    Raises:
        StackError: it does not run.
    """
    if process.find(home_of(name)) is None:
        raise StackError(f"{name} is not running: make run")
    return Stack.read(home_of(name))


def messages(*, name: str, endpoint: str) -> list[str]:
    """Take every message out of the inbox of the stack *name*, and return them.

    Raises:
        StackError: the stack has no inbox.
    """
    sqs = client("sqs", endpoint=endpoint)
    try:
        queue = sqs.get_queue_url(QueueName=f"{name}-inbox")["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        raise StackError(f"{name} has no inbox: deploy it with LocalInbox=true") from None
    found: list[str] = []
    while page := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=PAGE).get("Messages"):
        for message in page:
            found.append(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def line(notice: dict[str, Any]) -> str:
    """Return a notice as one line to read."""
    why = f" ({notice['reason']})" if "reason" in notice else ""
    return f"{notice['at']}  {notice['account']}  {notice['number']:>4}  {notice['kind']}{why}"


def main() -> int:
    """Print what arrived; an error is a sentence on stderr, not a stack trace."""
    try:
        stack = running(chosen_name(os.environ))
        arrived = messages(name=stack.stack, endpoint=stack.endpoint)
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    # A topic has no order; an account's notices have numbers.
    for notice in sorted(map(json.loads, arrived), key=lambda one: (one["at"], one["number"])):
        print(line(notice))
    if not arrived:
        print("Nothing has arrived since the inbox was last read.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
