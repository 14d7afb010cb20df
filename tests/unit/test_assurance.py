"""Assurance: what each route behind the gate demands of the sign-in behind a token."""

from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import StepUpRequiredError
from portcullis.identity import assurance
from portcullis.identity.assurance import DEMANDS, LEVELS, Route, UnlistedRouteError
from tests.unit.evidence.genuine import NOW, token_claims

READ, ORDER, CHANGE = ("GET", "/wallets"), ("POST", "/transfers"), ("DELETE", "/passkeys/{id}")

MONEY_AND_APPROVALS = {
    ("POST", "/wallets"),
    ("POST", "/transfers"),
    ("POST", "/approvals"),
    ("POST", "/approvals/options"),
}


def token(acr: str, *, age_s: int = 0) -> AccessToken:
    """Return the token of a sign-in of this level and age."""
    return AccessToken.model_validate(token_claims(acr=acr, auth_time=NOW - age_s))


def refusal(acr: str, route: Route, *, age_s: int = 0) -> StepUpRequiredError:
    """Return the refusal of such a token."""
    with pytest.raises(StepUpRequiredError) as refused:
        assurance.demand(token(acr, age_s=age_s), route=route, now_s=NOW)
    return refused.value


@pytest.mark.parametrize(
    ("acr", "route"),
    [
        ("phr", READ),
        ("mfa", READ),
        ("provisional", READ),
        ("phr", ORDER),
        ("mfa", ORDER),
        ("phr", CHANGE),
        ("mfa", CHANGE),
    ],
)
def test_a_strong_enough_sign_in_passes(acr: str, route: Route) -> None:
    """A level is enough for itself and for whatever demands less."""
    assurance.demand(token(acr), route=route, now_s=NOW)


@pytest.mark.parametrize("route", [ORDER, CHANGE])
@pytest.mark.parametrize("acr", ["provisional", "", "0", "PHR", "phr mfa", "urn:other"])
def test_a_weak_or_unknown_sign_in_is_told_what_is_wanted(acr: str, route: Route) -> None:
    """Every acceptable level is named, strongest first."""
    assert refusal(acr, route).acr_values == ("phr", "mfa")


def test_an_unknown_level_does_not_even_read() -> None:
    """What we never issue is below everything."""
    assert refusal("", READ).acr_values == LEVELS


@pytest.mark.parametrize("age_s", [-10, 0, 299, 300])
def test_a_fresh_sign_in_changes_factors(age_s: int) -> None:
    """Five minutes, both ends included."""
    assurance.demand(token("mfa", age_s=age_s), route=CHANGE, now_s=NOW)


@pytest.mark.parametrize("age_s", [301, 3600, 30 * 86_400])
def test_an_old_sign_in_is_asked_again(age_s: int) -> None:
    """A strong session of yesterday changes no factor; the refusal says how old is too old."""
    told = refusal("phr", CHANGE, age_s=age_s)
    assert (told.acr_values, told.max_age_s) == (("phr", "mfa"), 300)


def test_money_does_not_ask_for_the_age() -> None:
    """An order is signed, and what is unusual is approved: its session may be a month old."""
    assurance.demand(token("phr", age_s=30 * 86_400), route=ORDER, now_s=NOW)


@pytest.mark.parametrize(
    "route", [("GET", "/nothing"), ("PUT", "/wallets"), ("GET", "/wallets/"), ("get", "/wallets")]
)
def test_a_route_that_is_not_listed_is_nobodys(route: Route) -> None:
    """There is no default: what the table does not have, nobody passes."""
    with pytest.raises(UnlistedRouteError):
        assurance.demand(token("phr"), route=route, now_s=NOW)
    with pytest.raises(UnlistedRouteError):
        assurance.demand_of(route)


def test_money_and_approvals_demand_nonces() -> None:
    """No order and no approval can be signed ahead of time."""
    assert {route for route, wanted in DEMANDS.items() if wanted.nonce} == MONEY_AND_APPROVALS


def test_only_reads_take_a_provisional_sign_in() -> None:
    """A factor of its first day signs in and reads, no more."""
    weak = {route for route, wanted in DEMANDS.items() if wanted.acr == assurance.PROVISIONAL}
    assert {method for method, _ in weak} == {"GET"}


def test_what_changes_factors_or_ends_sessions_demands_a_fresh_sign_in() -> None:
    """Everything that is neither a read, an order nor an approval wants the last five minutes."""
    for (method, resource), wanted in DEMANDS.items():
        fresh = method != "GET" and (method, resource) not in MONEY_AND_APPROVALS
        assert wanted.max_age_s == (300 if fresh else None)


def test_the_table_is_of_the_routes_behind_the_gate() -> None:
    """The template gates each route of the table and no other."""
    assert set(_gated()) == DEMANDS.keys()


def _gated() -> list[Route]:
    template: dict[str, Any] = yaml_parse(Path("template.yaml").read_text())
    paths = template["Resources"]["PublicApi"]["Properties"]["DefinitionBody"]["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any("Gate" in one for one in operation.get("security", []))
    ]
