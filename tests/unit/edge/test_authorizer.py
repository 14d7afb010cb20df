"""The gate's edge: a verdict is a policy, never an exception, and holds nothing of the client's."""

import json
import traceback
from typing import Any, Never

import pytest
from pydantic import ValidationError

from portcullis.edge.authorizer import authorize
from portcullis.edge.endpoint import DefectError
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import InvalidTokenError, StepUpRequiredError
from portcullis.schema import Strict
from portcullis.source import Source
from tests.support.events import API_ARN, STAGE, Context, Sent
from tests.unit import refusals
from tests.unit.conftest import Written
from tests.unit.evidence.genuine import ACCOUNT, token_claims

KINDS = refusals.concrete()
HEADERS = (("Authorization", "DPoP token"), ("DPoP", "proof"))
NONCE = "a-nonce"
CHALLENGES = {
    "account-quarantined": 'DPoP algs="ES256"',
    "account-restricted": 'DPoP algs="ES256"',
    "authentication-required": 'DPoP algs="ES256"',
    "invalid-proof": 'DPoP error="invalid_dpop_proof", algs="ES256"',
    "proof-replayed": 'DPoP error="invalid_dpop_proof", algs="ES256"',
    "use-dpop-nonce": 'DPoP error="use_dpop_nonce", algs="ES256"',
    "insufficient-user-authentication": (
        'DPoP error="insufficient_user_authentication", acr_values="phr mfa", max_age="300",'
        ' algs="ES256"'
    ),
    "invalid-token": 'DPoP error="invalid_token", algs="ES256"',
    "session-ended": 'DPoP error="invalid_token", algs="ES256"',
    "session-terminated": 'DPoP error="invalid_token", algs="ES256"',
}


def admit(**_: Any) -> AccessToken:
    """Admit everybody."""
    return AccessToken.model_validate(token_claims())


def verdict(error: Exception | None = None, sent: Sent | None = None) -> dict[str, Any]:
    """Return the policy for a request that is admitted, or refused with *error*."""

    def refuse(**_: Any) -> Never:
        assert error is not None
        raise error

    event = (sent or Sent(headers=HEADERS)).to_authorizer()
    return authorize(refuse if error else admit, event, Context(), nonce=lambda: NONCE)


def _unreadable() -> ValidationError:
    """Return what the gate raises of a stored item that is not what it was."""

    class Stored(Strict):
        place: int

    with pytest.raises(ValidationError) as raised:
        Stored.model_validate_json('{"place":"s3cr3t"}')
    return raised.value


def statement(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy's one statement."""
    assert policy["policyDocument"]["Version"] == "2012-10-17"
    (only,) = policy["policyDocument"]["Statement"]
    return dict(only)


def test_an_admitted_request_is_allowed_as_its_account() -> None:
    """Allow names the account and hands out a nonce: functions verify for themselves."""
    policy = verdict()
    assert policy == {
        "principalId": ACCOUNT,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": f"{API_ARN}/{STAGE}/POST/transfers",
                }
            ],
        },
        "context": {"nonce": NONCE},
    }


def test_the_gate_is_asked_with_what_was_sent() -> None:
    """Authorization, proof, method, the path as the client spelled it, and the route's own.

    The source is API Gateway's word: no header moves it.
    """
    asked: dict[str, Any] = {}

    def remember(**arguments: Any) -> AccessToken:
        asked.update(arguments)
        return admit()

    resource = "/wallets/{currency}/entries"
    claimed = (("X-Forwarded-For", "86.120.0.10"), ("Forwarded", "for=86.120.0.10"))
    sent = Sent(
        method="GET",
        path="/wallets/EUR/entries",
        resource=resource,
        headers=(*HEADERS, *claimed, ("User-Agent", "Wallet/1.0")),
        source_ip="81.2.69.142",
    )
    authorize(remember, sent.to_authorizer(), Context(), nonce=lambda: NONCE)
    assert asked == {
        "authorization": "DPoP token",
        "proof": "proof",
        "method": "GET",
        "path": "/wallets/EUR/entries",
        "resource": resource,
        "source": Source(address="81.2.69.142", user_agent="Wallet/1.0"),
    }


def test_absent_headers_are_told_as_absent() -> None:
    """A request without headers asks the gate with None, not with empty texts."""
    asked: dict[str, Any] = {}

    def remember(**arguments: Any) -> AccessToken:
        asked.update(arguments)
        return admit()

    authorize(remember, Sent(headers=()).to_authorizer(), Context(), nonce=lambda: NONCE)
    assert (asked["authorization"], asked["proof"]) == (None, None)


# ---- denials ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_every_refusal_is_a_deny_with_its_reason(kind: type[RefusedError]) -> None:
    """A refusal is a verdict: Deny, of nobody, with type, title, challenge and nonce."""
    policy = verdict(refusals.raised(kind))
    assert policy["principalId"] == "nobody"
    assert statement(policy)["Effect"] == "Deny"
    assert policy["context"].keys() == {"type", "title", "challenge", "nonce"}
    assert policy["context"]["nonce"] == NONCE
    assert policy["context"]["type"] == f"urn:portcullis:problem:{kind.code}"
    assert policy["context"]["title"] == kind.title


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_type_and_title_are_safe_inside_a_json_template(kind: type[RefusedError]) -> None:
    """API Gateway puts both between quotation marks unescaped: they break out of nothing."""
    context = verdict(refusals.raised(kind))["context"]
    for text in (context["type"], context["title"]):
        assert all(" " <= char <= "~" and char not in '"\\$' for char in text)
    template = '{{"type":"{type}","title":"{title}","status":401}}'.format(**context)
    assert json.loads(template)["title"] == kind.title


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_the_challenge_is_that_of_rfc_9449(kind: type[RefusedError]) -> None:
    """Section 7.1: scheme DPoP, an error where credentials were sent, and the algorithms.

    Sections 9 (nonces) and RFC 9470 section 3 (step-up) add their own.
    """
    challenge = verdict(refusals.raised(kind))["context"]["challenge"]
    assert challenge == CHALLENGES.get(kind.code, CHALLENGES["invalid-token"])
    assert all(" " <= char <= "~" for char in challenge)


@pytest.mark.parametrize("code", ["account-quarantined", "account-restricted"])
def test_where_no_other_token_would_help_none_is_asked_for(code: str) -> None:
    """RFC 6750 section 3.1: `invalid_token` has a library refresh, which ends such a session."""
    (kind,) = (one for one in KINDS if one.code == code)
    assert "error" not in verdict(refusals.raised(kind))["context"]["challenge"]


def test_a_step_up_names_an_age_only_where_one_is_demanded() -> None:
    """RFC 9470 section 3: without a demand of age, the challenge has no `max_age`."""
    weak = StepUpRequiredError(acr_values=("phr",), max_age_s=None)
    assert verdict(weak)["context"]["challenge"] == (
        'DPoP error="insufficient_user_authentication", acr_values="phr", algs="ES256"'
    )


def test_a_repeated_header_is_a_deny() -> None:
    """Two tokens are none: the gate is not even asked."""
    for name in ("Authorization", "DPoP", "dpop", "Host"):
        sent = Sent(headers=[*HEADERS, (name, "a"), (name.upper(), "b")])
        policy = verdict(AssertionError("asked"), sent)
        assert statement(policy)["Effect"] == "Deny"
        assert policy["context"]["type"] == "urn:portcullis:problem:duplicate-header"


# ---- failures -----------------------------------------------------------------------------------


def test_an_unknown_liveness_is_raised(written: Written) -> None:
    """API Gateway makes 503 of it; a Deny would tell an honest client to sign in again."""
    with pytest.raises(InfrastructureError):
        verdict(InfrastructureError("ThrottlingException"))
    entry, metric = written.entries()
    assert (entry["message"], entry["code"]) == ("failed", "ThrottlingException")
    assert metric["failed"] == [1.0]


def test_without_a_nonce_to_hand_out_nothing_is_decided(written: Written) -> None:
    """When the secret behind nonces is not to be had, the request does not pass: 503."""

    def unavailable() -> Never:
        raise InfrastructureError("ThrottlingException")

    with pytest.raises(InfrastructureError):
        authorize(admit, Sent(headers=HEADERS).to_authorizer(), Context(), nonce=unavailable)
    assert '"failed"' in written.text()


@pytest.mark.parametrize(
    "defect", [ZeroDivisionError("s3cr3t"), KeyError("s3cr3t"), _unreadable()], ids=repr
)
def test_a_defect_of_the_gate_admits_nobody_and_says_nothing(
    written: Written, defect: Exception
) -> None:
    """It is no Allow and no Deny: logged by class and place; its text is nowhere, Lambda's neither.

    What leaves the function is printed by the runtime: an error without text, cause or context.
    """
    with pytest.raises(DefectError) as raised:
        verdict(defect)
    printed = "".join(traceback.format_exception(raised.value))
    assert (raised.value.args, raised.value.__cause__) == ((), None)
    assert raised.value.__suppress_context__
    entry, metric = written.entries()
    assert (entry["message"], entry["code"]) == ("failed", "internal-error")
    assert (entry["exception"], metric["failed"]) == (type(defect).__name__, [1.0])
    assert "s3cr3t" not in printed + written.text()


def test_a_request_that_is_not_api_gateway_s_is_a_defect_too(written: Written) -> None:
    """Nothing in the way to the verdict is left to the runtime's own words."""
    event = Sent(headers=HEADERS).to_authorizer()
    del event["httpMethod"]
    with pytest.raises(DefectError):
        authorize(admit, event, Context(), nonce=lambda: NONCE)
    assert written.entries()[0]["code"] == "internal-error"


# ---- the resource -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "resource", "path", "expected"),
    [
        ("GET", "/wallets", "/wallets", "GET/wallets"),
        ("GET", "/wallets/{currency}/entries", "/wallets/EUR/entries", "GET/wallets/*/entries"),
        ("GET", "/wallets/{currency}/entries", "/wallets/*/entries", "GET/wallets/*/entries"),
        ("GET", "/a/{b}/{c}", "/a/x/y", "GET/a/*/*"),
        ("GET", "/a/{rest+}", "/a/b/c/d", "GET/a/*"),
        ("DELETE", "/sessions/{id}", "/sessions/**/../*", "DELETE/sessions/*"),
    ],
)
@pytest.mark.parametrize("error", [None, InvalidTokenError()], ids=["Allow", "Deny"])
def test_a_policy_is_about_the_route(
    method: str, resource: str, path: str, expected: str, error: Exception | None
) -> None:
    """One route, each path parameter one wildcard, whatever the client wrote in its place."""
    sent = Sent(method=method, resource=resource, path=path, headers=HEADERS)
    assert statement(verdict(error, sent))["Resource"] == f"{API_ARN}/{STAGE}/{expected}"


@pytest.mark.parametrize(
    "text", ["*", "?", "**", "../*", "c4nary", "é", "%2a", 'a"b', "arn:aws:execute-api:*:*:*/*"]
)
def test_no_text_of_the_client_is_in_a_policy(text: str) -> None:
    """`*` and `?` would be wildcards of the policy, so none of the path's text gets there."""
    template = Sent(resource="/wallets/{currency}/entries", path="/wallets/EUR/entries")
    sent = Sent(resource=template.resource, path=f"/wallets/{text}/entries", headers=HEADERS)
    assert verdict(None, sent) == verdict(None, template)
    assert verdict(InvalidTokenError(), sent) == verdict(InvalidTokenError(), template)


# ---- the log ------------------------------------------------------------------------------------


def test_each_verdict_is_one_line(written: Written) -> None:
    """A line tells outcome, code and duration."""
    verdict(InvalidTokenError())
    entry, metric = written.entries()
    assert (entry["message"], entry["code"]) == ("refused", "invalid-token")
    assert (entry["function"], metric["refused"]) == ("portcullis-test", [1.0])
    verdict()
    entry, metric = written.entries()
    assert (entry["message"], metric["done"]) == ("done", [1.0])
    assert ACCOUNT not in json.dumps(entry)


def test_the_logged_id_is_one_that_the_client_cannot_choose(written: Written) -> None:
    """A client may override `requestId` (header X-Amzn-RequestId), so it is not what is logged."""
    verdict(None, Sent(headers=HEADERS, request_id="s3cr3t"))
    assert "s3cr3t" not in written.text()
