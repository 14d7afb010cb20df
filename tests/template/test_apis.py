"""The two APIs as deployed: every route, who may take it, and each answer of the gateway itself."""

import json
import re
from collections.abc import Iterator

import pytest

from portcullis.edge import authorizer
from portcullis.edge.request import DuplicateHeaderError
from portcullis.errors import RefusedError
from portcullis.evidence.errors import (
    InvalidProofError,
    InvalidTokenError,
    ProofReplayedError,
    StepUpRequiredError,
    UseNonceError,
)
from portcullis.identity.assurance import DEMANDS
from portcullis.identity.gate import (
    AuthenticationRequiredError,
    SessionEndedError,
    SessionTerminatedError,
)
from portcullis.identity.standing import AccountQuarantinedError, AccountRestrictedError
from tests.template.transformed import Document, parent, readable, references, resources

GATED, OPEN, IAM = "Gate", "open", "AWS_IAM"

PUBLIC = {
    "POST /accounts/options": (OPEN, "AccountOptionsFunction"),
    "POST /accounts": (OPEN, "OpenAccountFunction"),
    "POST /sessions/options": (OPEN, "SessionOptionsFunction"),
    "POST /sessions": (OPEN, "SignInFunction"),
    "POST /sessions/password": (OPEN, "PasswordSignInFunction"),
    "POST /sessions/second-factor": (OPEN, "SecondFactorFunction"),
    "POST /oauth/token": (OPEN, "RefreshFunction"),
    "POST /oauth/revoke": (OPEN, "RevokeFunction"),
    "GET /sessions": (GATED, "ListSessionsFunction"),
    "DELETE /sessions/{id}": (GATED, "EndSessionFunction"),
    "DELETE /sessions": (GATED, "EndSessionsFunction"),
    "POST /passkeys/options": (GATED, "PasskeyOptionsFunction"),
    "POST /passkeys": (GATED, "AddPasskeyFunction"),
    "GET /passkeys": (GATED, "ListPasskeysFunction"),
    "PATCH /passkeys/{id}": (GATED, "RenamePasskeyFunction"),
    "DELETE /passkeys/{id}": (GATED, "RemovePasskeyFunction"),
    "POST /totp": (GATED, "EnrolTotpFunction"),
    "POST /totp/confirm": (GATED, "ConfirmTotpFunction"),
    "DELETE /totp": (GATED, "RemoveTotpFunction"),
    "PUT /password": (GATED, "PutPasswordFunction"),
    "POST /recovery-codes": (GATED, "MintRecoveryCodesFunction"),
    "POST /recovery/options": (OPEN, "RecoveryOptionsFunction"),
    "POST /recovery": (OPEN, "RecoverFunction"),
    "DELETE /recovery": (GATED, "CancelRecoveryFunction"),
    "POST /approvals/options": (GATED, "ApprovalOptionsFunction"),
    "POST /approvals": (GATED, "ApproveFunction"),
    "GET /.well-known/jwks.json": (OPEN, "JwksFunction"),
    "GET /.well-known/oauth-authorization-server": (OPEN, "mock"),
    "GET /wallets": (GATED, "ListWalletsFunction"),
    "POST /wallets": (GATED, "OpenWalletFunction"),
    "GET /wallets/{currency}/entries": (GATED, "ListEntriesFunction"),
    "POST /transfers": (GATED, "OrderTransferFunction"),
    "ANY /": (OPEN, "mock"),
    "ANY /{proxy+}": (OPEN, "mock"),
}
"""Every route of the public API: whether the gate stands before it, and what answers."""

INTERNAL = {
    "POST /postings": (IAM, "LedgerPostFunction"),
    "POST /deposits": (IAM, "LedgerDepositFunction"),
    "GET /wallets": (IAM, "LedgerWalletsFunction"),
    "GET /wallets/{currency}/entries": (IAM, "LedgerEntriesFunction"),
    "POST /accounts/{account}/release": (IAM, "ReleaseAccountFunction"),
    "POST /accounts/{account}/lift": (IAM, "LiftQuarantineFunction"),
    "POST /lockdown": (IAM, "LockDownFunction"),
    "POST /lockdown/lift": (IAM, "LiftLockdownFunction"),
}

PROBLEM = "urn:portcullis:problem:"
UNAVAILABLE = ("503", "unavailable")

PUBLIC_ANSWERS = {
    "ACCESS_DENIED": ("401", "$context.authorizer.type"),
    "AUTHORIZER_CONFIGURATION_ERROR": UNAVAILABLE,
    "AUTHORIZER_FAILURE": UNAVAILABLE,
    "DEFAULT_4XX": (None, "refused"),
    "DEFAULT_5XX": UNAVAILABLE,
    "INTEGRATION_FAILURE": UNAVAILABLE,
    "INTEGRATION_TIMEOUT": UNAVAILABLE,
    "INVALID_SIGNATURE": ("404", "not-found"),
    "MISSING_AUTHENTICATION_TOKEN": ("404", "not-found"),
    "REQUEST_TOO_LARGE": ("413", "body-too-large"),
    "THROTTLED": ("429", "too-many-requests"),
    "UNAUTHORIZED": ("401", "authentication-required"),
    "UNSUPPORTED_MEDIA_TYPE": ("415", "unsupported-content-type"),
}
"""The gateway's own answers, status and problem; the rest are the two defaults."""

INTERNAL_ANSWERS = {
    "ACCESS_DENIED": ("403", "forbidden"),
    "DEFAULT_4XX": (None, "refused"),
    "DEFAULT_5XX": UNAVAILABLE,
    "INTEGRATION_FAILURE": UNAVAILABLE,
    "INTEGRATION_TIMEOUT": UNAVAILABLE,
}

RETRIED = {"429", "503"}
CHALLENGE = "gatewayresponse.header.WWW-Authenticate"
RETRY_AFTER = "gatewayresponse.header.Retry-After"

LOGGED = {
    "authorizer_error": "$context.authorizer.error",
    "at": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "ms": "$context.responseLatency",
    "request_id": "$context.extendedRequestId",
    "route": "$context.resourcePath",
    "source_ip": "$context.identity.sourceIp",
    "status": "$context.status",
    "waf": "$context.wafResponseCode",
}
"""Facts of the gateway's: no header, no path or query as the client wrote it, no identity."""

GATE_REFUSALS: tuple[type[RefusedError], ...] = (
    AccountQuarantinedError,
    AccountRestrictedError,
    AuthenticationRequiredError,
    DuplicateHeaderError,
    InvalidProofError,
    InvalidTokenError,
    ProofReplayedError,
    SessionEndedError,
    SessionTerminatedError,
    UseNonceError,
)
"""What the gate may say: its context goes into JSON and into a header as it is."""

APIS = ("PublicApi", "InternalApi")


def body(api: str) -> Document:
    """Return the OpenAPI document that API Gateway imports."""
    document: Document = parent()["Resources"][api]["Properties"]["Body"]
    return document


def operations(api: str) -> Iterator[tuple[str, Document]]:
    """Yield every method of every path: `METHOD path` and its operation."""
    for path, methods in body(api)["paths"].items():
        for method, operation in methods.items():
            name = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            yield f"{name} {path}", operation


def route(operation: Document) -> tuple[str, str]:
    """Return what stands before a route and what answers it."""
    demanded = operation.get("security", [])
    assert all(scopes == [] for scheme in demanded for scopes in scheme.values())
    wall = " or ".join(name for scheme in demanded for name in scheme) or OPEN
    integration = operation["x-amazon-apigateway-integration"]
    if integration["type"] == "mock":
        return wall, "mock"
    assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
    (alias,) = (name for name in references(integration["uri"]) if not name.startswith("AWS::"))
    return wall, alias.removesuffix("Aliaslive")


def answers(api: str) -> dict[str, Document]:
    """Return the gateway's own answers."""
    found: dict[str, Document] = body(api)["x-amazon-apigateway-gateway-responses"]
    return found


def problem(answer: Document) -> Document:
    """Return the problem that an answer's one template makes."""
    ((content_type, template),) = answer["responseTemplates"].items()
    assert content_type == "application/json"
    made: Document = json.loads(template)
    return made


@pytest.mark.parametrize(
    ("api", "expected"), [("PublicApi", PUBLIC), ("InternalApi", INTERNAL)], ids=APIS
)
def test_every_route_and_its_wall_stand_in_this_table(
    api: str, expected: dict[str, tuple[str, str]]
) -> None:
    """A route is gated, or it is in the list of open ones: never open by oversight."""
    assert {name: route(operation) for name, operation in operations(api)} == expected


def test_money_is_never_before_the_gate() -> None:
    """Whatever leads to the money zone has the gate before it."""
    money = {
        name
        for name, function in resources("AWS::Lambda::Function").items()
        if "-money-" in readable(function["Properties"]["FunctionName"])
    }
    assert {wall for wall, target in PUBLIC.values() if target in money} == {GATED}
    assert money <= {target for _, target in PUBLIC.values()}


def test_the_internal_api_answers_nobody_unsigned() -> None:
    """Every internal method demands IAM, and no function of it is on the public API."""
    assert {wall for wall, _ in INTERNAL.values()} == {IAM}
    (scheme,) = body("InternalApi")["components"]["securitySchemes"].values()
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert not {target for _, target in INTERNAL.values()} & {
        target for _, target in PUBLIC.values()
    }


@pytest.mark.parametrize("api", APIS)
def test_a_function_is_called_under_its_own_role(api: str) -> None:
    """No integration passes a caller's credentials on, and each leads to the alias."""
    for _, operation in operations(api):
        integration = operation["x-amazon-apigateway-integration"]
        assert "credentials" not in integration
        if integration["type"] != "mock":
            assert integration["uri"]["Fn::Sub"].endswith("Aliaslive}/invocations")


def test_the_gateway_may_invoke_a_function_for_its_own_route_alone() -> None:
    """A permission names one alias, one API and one route; else the authorizer, or one rule."""
    allowed = {
        next(references(permission["Properties"]["FunctionName"])).removesuffix("Aliaslive"): (
            readable(permission["Properties"]["SourceArn"]).rpartition(":")[2]
        )
        for permission in resources("AWS::Lambda::Permission").values()
    }
    expected = {
        target: f"{api}/*/{method}{re.sub('{[a-z]+}', '*', path)}"
        for api, routes in (("PublicApi", PUBLIC), ("InternalApi", INTERNAL))
        for (method, path), target in (
            (name.split(" "), target) for name, (_, target) in routes.items() if target != "mock"
        )
    }
    assert allowed == expected | {
        "GateFunction": "PublicApi/authorizers/*",
        "ReconcileFunction": "ReconcileFunctionOften",
    }


def test_only_api_gateway_invokes() -> None:
    """No other service, account or principal has a permission on a function, but for one clock."""
    permissions = resources("AWS::Lambda::Permission").values()
    assert len(permissions) == len(
        {next(references(one["Properties"]["FunctionName"])) for one in permissions}
    )
    for permission in permissions:
        called = next(references(permission["Properties"]["FunctionName"]))
        clock = called == "ReconcileFunctionAliaslive"
        expected = "events.amazonaws.com" if clock else "apigateway.amazonaws.com"
        assert permission["Properties"]["Principal"] == expected
        assert permission["Properties"]["Action"] == "lambda:InvokeFunction"
    assert resources("AWS::Lambda::Url") == {}
    (stream,) = resources("AWS::Lambda::EventSourceMapping").values()
    # Lambda reads a stream under the function's own role: that is no permission to invoke.
    assert next(references(stream["Properties"]["FunctionName"])) == "PublishFunctionAliaslive"


def test_the_gate_is_asked_every_time() -> None:
    """No verdict is cached, and a request without token or proof does not even reach the gate."""
    ((name, scheme),) = body("PublicApi")["components"]["securitySchemes"].items()
    gate = scheme["x-amazon-apigateway-authorizer"]
    assert name == GATED
    assert gate["type"] == "request"
    assert gate["authorizerResultTtlInSeconds"] == 0
    assert set(gate["identitySource"].split(", ")) == {
        "method.request.header.Authorization",
        "method.request.header.DPoP",
    }
    assert "GateFunctionAliaslive" in set(references(gate["authorizerUri"]))
    assert "authorizerCredentials" not in gate


@pytest.mark.parametrize("path", ["/", "/{proxy+}"])
def test_an_unknown_path_is_a_404_problem(path: str) -> None:
    """What no route takes is answered by the gateway itself, with every method, at no cost."""
    operation = dict(operations("PublicApi"))[f"ANY {path}"]
    integration = operation["x-amazon-apigateway-integration"]
    assert json.loads(integration["requestTemplates"]["application/json"]) == {"statusCode": 404}
    ((_, answer),) = integration["responses"].items()
    assert answer["statusCode"] == "404"
    assert json.loads(answer["responseTemplates"]["application/json"]) == {
        "type": f"{PROBLEM}not-found",
        "title": "There is no such route.",
        "status": 404,
    }
    assert answer["responseParameters"] == {
        "method.response.header.Content-Type": "'application/problem+json'",
        "method.response.header.Cache-Control": "'no-store'",
    }
    assert set(operation["responses"]["404"]["headers"]) == {"Content-Type", "Cache-Control"}


def test_the_metadata_names_routes_that_exist() -> None:
    """The endpoints in the authorization server's metadata (RFC 8414) are routes of this API."""
    operation = dict(operations("PublicApi"))["GET /.well-known/oauth-authorization-server"]
    responses = operation["x-amazon-apigateway-integration"]["responses"]
    template = responses["default"]["responseTemplates"]["application/json"]
    metadata = json.loads(readable(template))
    assert metadata["issuer"] == "{PublicOrigin}"
    for member, method in (
        ("token_endpoint", "POST"),
        ("revocation_endpoint", "POST"),
        ("jwks_uri", "GET"),
    ):
        path = metadata[member].removeprefix("{PublicOrigin}")
        assert f"{method} {path}" in PUBLIC
    assert metadata["dpop_signing_alg_values_supported"] == ["ES256"]
    assert metadata["token_endpoint_auth_methods_supported"] == ["none"]


@pytest.mark.parametrize(
    ("api", "expected"),
    [("PublicApi", PUBLIC_ANSWERS), ("InternalApi", INTERNAL_ANSWERS)],
    ids=APIS,
)
def test_the_gateway_s_own_answers_are_these(
    api: str, expected: dict[str, tuple[str | None, str]]
) -> None:
    """Each answer that the gateway gives by itself has this status and says this."""
    actual = {
        kind: (answer.get("statusCode"), problem(answer)["type"].removeprefix(PROBLEM))
        for kind, answer in answers(api).items()
    }
    assert actual == expected


@pytest.mark.parametrize("api", APIS)
def test_every_answer_of_the_gateway_is_a_problem(api: str) -> None:
    """By its own template or a default, each is problem+json, not to be stored, and one status."""
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= set(answers(api))
    for answer in answers(api).values():
        headers, members = answer["responseParameters"], problem(answer)
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert headers["gatewayresponse.header.Cache-Control"] == "'no-store'"
        assert set(members) - {"status"} == {"type", "title"}
        if "statusCode" in answer:
            assert str(members["status"]) == answer["statusCode"]


@pytest.mark.parametrize("api", APIS)
def test_an_answer_that_invites_a_retry_says_when(api: str) -> None:
    """Retry-After stands beside 429 and 503 and nowhere else."""
    for answer in answers(api).values():
        may_retry = answer.get("statusCode") in RETRIED
        assert answer["responseParameters"].get(RETRY_AFTER) == ("'1'" if may_retry else None)


@pytest.mark.parametrize("api", APIS)
def test_no_answer_repeats_what_the_client_sent(api: str) -> None:
    """No template holds the gateway's error text or a part of the request."""
    told = {
        name
        for answer in answers(api).values()
        for name in re.findall(r"\$(?:context|input|util|stageVariables)[\w.]*", json.dumps(answer))
    }
    gate = {"$context.authorizer.type", "$context.authorizer.title"}
    assert told == (gate if api == "PublicApi" else set())


def test_every_401_carries_a_challenge() -> None:
    """RFC 9110 section 15.5.2: WWW-Authenticate, from the gate's reason or saying DPoP."""
    challenges = {
        kind: answer["responseParameters"].get(CHALLENGE)
        for kind, answer in answers("PublicApi").items()
        if answer.get("statusCode") == "401"
    }
    assert challenges == {
        "ACCESS_DENIED": "context.authorizer.challenge",
        "UNAUTHORIZED": "'DPoP algs=\"ES256\"'",
    }


@pytest.mark.parametrize(
    "refusal",
    [
        *(one() for one in GATE_REFUSALS),
        *(
            StepUpRequiredError(acr_values=demand.acr_values, max_age_s=demand.max_age_s)
            for demand in sorted(set(DEMANDS.values()), key=repr)
        ),
    ],
    ids=lambda one: one.code,
)
def test_the_gate_gives_what_the_denial_s_template_asks_for(refusal: RefusedError) -> None:
    """Each reason fills the template to valid JSON and the challenge to one header line."""
    context = authorizer._reason(refusal)
    assert set(context) == {"type", "title", "challenge"}
    template = answers("PublicApi")["ACCESS_DENIED"]["responseTemplates"]["application/json"]
    filled = re.sub(r"\$context\.authorizer\.(\w+)", lambda one: context[one[1]], template)
    assert json.loads(filled) == {
        "type": PROBLEM + refusal.code,
        "title": refusal.title,
        "status": 401,
    }
    assert re.fullmatch(
        r'DPoP (error="[a-z_]+", )?(acr_values="[a-z ]+", )?(max_age="\d+", )?algs="ES256"',
        context["challenge"],
    )


def test_an_allowed_request_brings_no_words_of_its_own() -> None:
    """The templates use nothing of the gate's context but type, title, challenge and nonce."""
    asked = set(re.findall(r"context\.authorizer\.(\w+)", json.dumps(answers("PublicApi"))))
    assert asked == {"type", "title", "challenge", "nonce"}


@pytest.mark.parametrize("api", APIS)
def test_every_request_is_logged_without_what_it_carried(api: str) -> None:
    """The access log of each stage goes to its own group and holds the listed facts alone."""
    (stage,) = (
        one["Properties"]
        for one in resources("AWS::ApiGateway::Stage").values()
        if readable(one["Properties"]["RestApiId"]) == api
    )
    group = readable(stage["AccessLogSetting"]["DestinationArn"])
    assert group == f"{api.removesuffix('Api')}AccessLogs"
    assert json.loads(stage["AccessLogSetting"]["Format"]) == LOGGED
    assert readable(stage["StageName"]) == "{Stage}"
    assert "MethodSettings" not in stage, "execution logs and data traces hold bodies"


@pytest.mark.parametrize("api", APIS)
def test_the_default_endpoint_closes_when_there_is_a_domain(api: str) -> None:
    """With a domain of its own an API has one door, and that one speaks TLS 1.2."""
    properties = parent()["Resources"][api]["Properties"]
    zone = api.removesuffix("Api")
    closed = {"Fn::If": [f"Has{zone}Domain", True, False]}
    (server,) = body(api)["servers"]
    assert server["x-amazon-apigateway-endpoint-configuration"] == {
        "disableExecuteApiEndpoint": closed
    }
    assert properties["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    domain = parent()["Resources"][f"{zone}Domain"]
    assert domain["Condition"] == f"Has{zone}Domain"
    assert domain["Properties"]["SecurityPolicy"] == "TLS_1_2"
