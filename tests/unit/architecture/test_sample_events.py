"""The committed events: one for each function, as API Gateway sends it, and made by one command."""

import json
import re
from typing import Any

import pytest

from portcullis.identity.assurance import DEMANDS
from tests.support import jws
from tests.support.sample_events import EVENTS, events, text_of
from tests.support.sample_evidence import AT, fixed
from tests.unit.architecture.sources import handler_files

MADE = events(*fixed())

PROXY = {
    "body",
    "headers",
    "httpMethod",
    "isBase64Encoded",
    "multiValueHeaders",
    "multiValueQueryStringParameters",
    "path",
    "pathParameters",
    "queryStringParameters",
    "requestContext",
    "resource",
    "stageVariables",
}
"""Developer guide, "Input format of a Lambda function for proxy integration"."""
AUTHORIZER = PROXY - {"body", "isBase64Encoded"} | {"methodArn", "type"}
"""Developer guide, "Input to an API Gateway Lambda authorizer"; there is no body in it."""

CONTEXT = {
    "accountId",
    "apiId",
    "deploymentId",
    "domainName",
    "domainPrefix",
    "extendedRequestId",
    "httpMethod",
    "identity",
    "path",
    "protocol",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "resourceId",
    "resourcePath",
    "stage",
}
IDENTITY = {
    "accessKey",
    "accountId",
    "apiKey",
    "apiKeyId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "sourceIp",
    "user",
    "userAgent",
    "userArn",
}

DIRECT = {
    "identity/certify_enrolment",
    "identity/restrain",
    "operations/publish",
    "operations/reconcile",
    "operations/register_operator",
    "operations/register_partner",
}
INTERNAL = {
    "identity/lift_lockdown",
    "identity/lock_down",
    "identity/release_account",
    *(name for name in MADE if name.startswith("ledger/")),
}
GATE = "identity/gate"


def test_every_function_has_its_event_and_no_other_exists() -> None:
    """events/<zone>/<endpoint>.json stands for functions/<zone>/<endpoint>/."""
    files = {file.relative_to(EVENTS).with_suffix("").as_posix() for file in EVENTS.rglob("*.json")}
    functions = {"/".join(file.parent.parts[-2:]) for file in handler_files()}
    assert files == functions == set(MADE)


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_committed_event_is_the_one_that_is_made(name: str) -> None:
    """`python -m tests.support.sample_events` changes nothing unless a model has changed."""
    assert (EVENTS / f"{name}.json").read_text() == text_of(MADE[name])


def test_making_them_twice_makes_them_alike() -> None:
    """No key, id, time or signature of an event depends on when or where it is made."""
    assert events(*fixed()) == MADE


@pytest.mark.parametrize("name", sorted(set(MADE) - DIRECT))
def test_an_event_has_the_members_that_aws_documents(name: str) -> None:
    """No member is missing or invented, down to the caller's identity."""
    event = MADE[name]
    assert set(event) == (AUTHORIZER if name == GATE else PROXY)
    route = (event["httpMethod"], event["resource"])
    behind_gate = name not in INTERNAL | {GATE} and route in DEMANDS
    assert set(event["requestContext"]) == CONTEXT | ({"authorizer"} if behind_gate else set())
    assert set(event["requestContext"]["identity"]) == IDENTITY


@pytest.mark.parametrize("name", sorted(set(MADE) - DIRECT))
def test_an_event_agrees_with_itself(name: str) -> None:
    """Headers stand there once and as lists, and the stage is in the context's path alone."""
    event = MADE[name]
    context = event["requestContext"]
    listed = {header: [value] for header, value in event["headers"].items()}
    assert event["multiValueHeaders"] == listed
    assert context["path"] == f"/{context['stage']}{event['path']}"
    assert context["resourcePath"] == event["resource"]
    parameters = event["pathParameters"] or {}
    assert event["resource"].format(**parameters) == event["path"]


@pytest.mark.parametrize("name", sorted(INTERNAL))
def test_an_internal_event_names_a_role(name: str) -> None:
    """IAM let somebody through: the internal API is called by an assumed role and nobody else."""
    arn = MADE[name]["requestContext"]["identity"]["userArn"]
    assert re.fullmatch(
        r"arn:aws:sts::\d{12}:assumed-role/portcullis-[a-z-]+/portcullis-[a-z-]+", arn
    )


@pytest.mark.parametrize("name", sorted(MADE))
def test_all_that_is_signed_is_long_past(name: str) -> None:
    """Every token, proof and command in a committed event has the one fixed time, years ago."""
    for compact in _signed(json.dumps(MADE[name])):
        claims = jws.claims_of(compact)
        assert claims["iat"] == AT
        for inner in ("proof", "token"):
            if inner in claims:
                assert jws.claims_of(str(claims[inner]))["iat"] == AT


def test_a_key_in_an_event_is_public() -> None:
    """No event holds a private member of a key, in clear or inside a JWS."""
    for event in MADE.values():
        assert '"d":' not in json.dumps(event).replace("\\", "")
        for compact in _signed(json.dumps(event)):
            jwk: Any = jws.header_of(compact).get("jwk", {})
            assert "d" not in jwk


def _signed(text: str) -> set[str]:
    return set(re.findall(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", text))
