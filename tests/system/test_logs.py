"""What `make logs` shows is what the functions said."""

import time

from infra.local import logs
from tests.support.client import Client
from tests.support.stack import Stack

HEARD_SECONDS = 20.0


def test_a_function_s_line_is_among_the_logs(stack: Stack) -> None:
    """After a request, the line of the function that answered it is shown under its zone."""
    since = int(time.time() * 1000)
    assert Client(stack.public_origin).call("POST", "/sessions/options").status == 415
    deadline = time.monotonic() + HEARD_SECONDS
    while True:
        lines = logs.function_events(
            name=stack.name, endpoint=stack.endpoint, since=since, until=int(time.time() * 1000)
        )
        shown = [line for line in lines if f"{stack.name}-identity-session-options" in line]
        if shown or time.monotonic() > deadline:
            break
    assert shown
    assert shown[0].split()[1] == "identity"
