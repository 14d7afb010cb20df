"""Sign-ins that are too weak or too old (RFC 9470), at the deployed gate and behind it."""

import json
import time

import pytest

from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.events import Sent
from tests.support.inside import outputs, root
from tests.support.owner import Owner
from tests.support.stack import Stack
from tests.system.deployed import Route, routes
from tests.system.life import Life, lived
from tests.system.people import owner
from tests.system.signing import sign
from tests.system.test_stolen_roles import role

GATED = [route for route in routes() if route.is_gated]
READS = [route for route in GATED if route.is_safe]
CHANGES = [route for route in GATED if not route.is_safe]
IDENTITY = [route for route in CHANGES if route.function.startswith("identity-")]

WEAK = "insufficient-user-authentication"
STRONG_ENOUGH = 'error="insufficient_user_authentication", acr_values="phr mfa"'
ANY_AGE = {"POST /wallets", "POST /transfers", "POST /approvals/options", "POST /approvals"}
"""Orders of money, and what asks a passkey by itself; whatever else changes must be fresh."""
FRESH_S = 300

FILLED = {"currency": "EUR", "id": "a" * 26}


def challenge(route: Route) -> str:
    """Return the challenge of RFC 9470 section 3 that the route gives to a weak or old sign-in."""
    age = "" if route.name in ANY_AGE else f', max_age="{FRESH_S}"'
    return f'DPoP {STRONG_ENOUGH}{age}, algs="ES256"'


@pytest.fixture(scope="module")
def person(stack: Stack) -> Owner:
    """Somebody signed in with an established passkey, who has a wallet."""
    person = owner(stack)
    assert person.open_wallet("EUR").status == 201
    return person


@pytest.fixture(scope="module")
def provisional(stack: Stack, person: Owner) -> Owner:
    """The same account, signed in with a passkey that nothing approved."""
    newcomer = Owner(stack.public_origin, Authenticator(), person.account)
    assert person.add_passkey(newcomer.authenticator).status == 201
    assert newcomer.sign_in().status == 200
    return newcomer


@pytest.fixture(scope="module")
def life(stack: Stack) -> Life:
    """A life that has a genuine body for every route."""
    return lived(stack)


@pytest.mark.parametrize("route", CHANGES, ids=lambda one: one.name)
def test_a_provisional_sign_in_changes_nothing(provisional: Owner, route: Route) -> None:
    """Whatever changes something asks a provisional session for a stronger one, and says which."""
    reply = provisional.call(route.method, route.path(**FILLED))
    assert (reply.status, reply.problem) == (401, WEAK)
    assert reply.header("www-authenticate") == challenge(route)
    assert reply.header("cache-control") == "no-store"


def test_a_provisional_sign_in_reads(provisional: Owner) -> None:
    """Every read passes."""
    replies = [provisional.call(one.method, one.path(**FILLED)) for one in READS]
    assert [reply.status for reply in replies] == [200] * len(READS)


@pytest.mark.parametrize("route", IDENTITY, ids=lambda one: one.name)
def test_a_function_believes_no_gate(
    stack: Stack, life: Life, provisional: Owner, route: Route
) -> None:
    """Invoked by a gateway that says yes, it demands the same again, from the token."""
    path = route.path(**FILLED)
    genuine = life.of(route)[0].of
    fields = {
        "Authorization": f"DPoP {provisional.access_token}",
        "DPoP": provisional.proof(route.method, path),
    }
    sent = Sent(
        method=route.method,
        path=path,
        resource=route.resource,
        path_parameters={"id": FILLED["id"]} if "{id}" in route.resource else None,
        headers=[(name, fields.get(name, value)) for name, value in genuine.headers],
        body=None if genuine.body is None else genuine.body.decode(),
    )
    answer = root(stack, "lambda").invoke(
        FunctionName=f"{stack.name}-{route.function}:live", Payload=json.dumps(sent.to_function())
    )
    told = json.load(answer["Payload"])
    assert told["statusCode"] == 401
    assert json.loads(told["body"])["type"] == f"urn:portcullis:problem:{WEAK}"


def test_an_old_sign_in_changes_no_factor(stack: Stack, person: Owner) -> None:
    """However strong: after five minutes what changes the account asks for a new one."""
    old = with_auth_time(stack, person, int(time.time()) - FRESH_S - 5)
    for route in CHANGES:
        if route.name not in ANY_AGE:
            reply = person.call(route.method, route.path(**FILLED), token=old)
            assert (route.name, reply.status, reply.problem) == (route.name, 401, WEAK)
            assert reply.header("www-authenticate") == challenge(route)


def test_an_old_sign_in_orders_and_reads(stack: Stack, person: Owner) -> None:
    """Where freshness is not asked for, age is no fault while the session lives."""
    old = with_auth_time(stack, person, int(time.time()) - 86_400)
    assert person.wallets(token=old).status == 200
    assert person.open_wallet("USD", token=old).status == 201


def with_auth_time(stack: Stack, person: Owner, auth_time: int) -> str:
    """Return the person's access token as if the sign-in had been at another time.

    Time cannot be turned back on a deployed stack, so this is what a thief of sign-in's role
    could sign: it verifies.
    """
    claims = jws.claims_of(person.access_token or "") | {"auth_time": auth_time}
    key = outputs(stack)["AccessTokenKeyArn"]
    return sign(role(stack, "identity-sign-in"), key, typ="at+jwt", claims=claims)
