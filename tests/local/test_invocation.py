"""One function that invokes another: what its role's policy and the callee's limit say."""

from typing import Any

from botocore.exceptions import ClientError

from tests.local.emulators import Emulator

ECHO = "arn:aws:lambda:us-east-1:000000000000:function:echo"
DENIED = "AccessDeniedException"
THROTTLED = "TooManyRequestsException"


def answer(lambda_: Any, function: str) -> str:
    """Return the error code of an invocation, or nothing."""
    try:
        lambda_.invoke(FunctionName=function, Payload=b"{}")
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return ""


def test_a_role_invokes_the_alias_that_its_policy_names(ours: Emulator) -> None:
    """Neither the function itself, nor another alias, version or function is open to it."""
    statement = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": f"{ECHO}:live",
    }
    acting = ours.acting("lambda", statement)
    assert answer(acting, f"{ECHO}:live") == ""
    assert answer(acting, "echo:live") == ""
    for other in (ECHO, "echo", f"{ECHO}:bare", f"{ECHO}:1", "unpermitted"):
        assert answer(acting, other) == DENIED


def test_a_role_without_the_right_invokes_nothing(ours: Emulator) -> None:
    """A function's policy for API Gateway lets no role in."""
    assert answer(ours.acting("lambda"), f"{ECHO}:live") == DENIED


def test_reserved_concurrency_of_a_template_is_applied(stock: Emulator, ours: Emulator) -> None:
    """A function with a reserve of none runs for nobody, by its name or its alias."""

    def asked(emulator: Emulator) -> list[str]:
        root = emulator.root("lambda")
        return [answer(root, name) for name in ("stopped", "stopped:live")]

    assert asked(stock) == ["", ""]
    assert asked(ours) == [THROTTLED, THROTTLED]


def test_reserved_concurrency_is_the_functions(stock: Emulator, ours: Emulator) -> None:
    """A limit put on the function stops its alias too, and its end lets it run again."""

    def asked(emulator: Emulator) -> list[str]:
        root = emulator.root("lambda")
        root.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=0)
        try:
            return [answer(root, name) for name in ("echo", "echo:live")]
        finally:
            root.delete_function_concurrency(FunctionName="echo")

    assert asked(stock) == [THROTTLED, ""]
    assert asked(ours) == [THROTTLED, THROTTLED]
    assert answer(ours.root("lambda"), "echo:live") == ""
