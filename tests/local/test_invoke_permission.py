"""API Gateway calls only functions whose own policy lets it."""

from tests.local.emulators import Emulator


def test_function_without_permission_is_not_called(stock: Emulator, ours: Emulator) -> None:
    """A function whose policy names another method's ARN is not called."""
    assert stock.public.send("GET", "/unpermitted").body == b"called"
    refused = ours.public.send("GET", "/unpermitted")
    assert (refused.status, refused.json()) == (500, {"type": "internal-error"})


def test_permission_is_for_the_method_it_names(ours: Emulator) -> None:
    """The same function is called by the method its policy names."""
    assert ours.public.send("GET", "/elsewhere").body == b"called"


def test_authorizer_without_permission_is_not_called(stock: Emulator, ours: Emulator) -> None:
    """An authorizer whose policy does not name the authorizer's ARN is a misconfiguration."""
    lines = [("Verdict", "allow")]
    calls = _calls(stock)
    assert stock.public.send("GET", "/unguarded", lines).status == 500
    assert _calls(stock) == calls + 1
    calls = _calls(ours)
    refused = ours.public.send("GET", "/unguarded", lines)
    assert (refused.status, refused.json()) == (503, {"type": "authorizer-misconfigured"})
    assert _calls(ours) == calls


def test_alias_needs_its_own_permission(stock: Emulator, ours: Emulator) -> None:
    """A permission on an alias lets the alias be called; one on the function does not."""
    assert stock.public.send("GET", "/bare").status == 200
    assert ours.public.send("GET", "/bare").status == 500
    called = ours.public.send("GET", "/aliased/live")
    assert called.json()["environment"]["AWS_LAMBDA_FUNCTION_VERSION"] == "1"


def test_permission_ends_with_its_statement(ours: Emulator) -> None:
    """A permission given is effective at once, and so is its removal."""
    lambda_ = ours.root("lambda")
    lambda_.add_permission(
        FunctionName="unpermitted",
        StatementId="for-now",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{ours.outputs['Public']}/v1/GET/unpermitted",
    )
    assert ours.public.send("GET", "/unpermitted").body == b"called"
    lambda_.remove_permission(FunctionName="unpermitted", StatementId="for-now")
    assert ours.public.send("GET", "/unpermitted").status == 500


def test_another_service_is_not_api_gateway(ours: Emulator) -> None:
    """A permission for another service does not let API Gateway in."""
    lambda_ = ours.root("lambda")
    lambda_.add_permission(
        FunctionName="unpermitted",
        StatementId="for-events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    assert ours.public.send("GET", "/unpermitted").status == 500
    lambda_.remove_permission(FunctionName="unpermitted", StatementId="for-events")


def _calls(emulator: Emulator) -> int:
    """Count the calls of the function that no authorizer may make, by the logs of its runs."""
    logs = emulator.root("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/unpermitted")["logGroups"]
    if not groups:
        return 0
    events = logs.filter_log_events(logGroupName="/aws/lambda/unpermitted")["events"]
    return sum("REPORT" in event["message"] for event in events)
