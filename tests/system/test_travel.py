"""A session in two places at once, at the deployed gate: what kills, what demands, what passes."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support import drill, inside
from tests.support.demo import balance
from tests.support.dpop import ProofKey
from tests.support.drill_people import KILLED, Players
from tests.support.owner import Owner
from tests.support.stack import Stack
from tests.support.stage import BROWSER, CURRENCY, Stage, stolen
from tests.support.story import expect, refused, tell
from tests.system.deployed import Route, routes

HOME, AWAY = "82.30.10.10", "188.24.10.10"
"""In London and in Bucharest, and not the drill's: its clock is ahead of these tests'."""
NEIGHBOUR = "90.200.1.1"
"""Another network of the same country."""
OVER_IPV6 = "2a02:c7f:1234::1"
"""The same country, by the other protocol."""
RELAY = "172.225.10.1"
"""An exit of iCloud Private Relay."""
CURL = "curl/8.11.0"
IPAD = BROWSER.replace("Macintosh; Intel Mac OS X 10_15_7", "iPad; CPU OS 18_1 like Mac OS X")
DEMANDED = "approval-demanded"
LOCKDOWN = "LOCKDOWN"

FALSE_POSITIVES = {
    "a mobile network in one city": [(NEIGHBOUR, BROWSER, 1), (HOME, BROWSER, 1)],
    "a browser's update": [(HOME, BROWSER.replace("18.1", "26.0.1"), 60)],
    "an iPad asks for the desktop site": [(HOME, IPAD, 5), (HOME, BROWSER, 5)],
    "IPv6 and IPv4": [(OVER_IPV6, BROWSER, 1), (HOME, BROWSER, 1)],
    "a recognised VPN, on and off": [(RELAY, BROWSER, 3), (HOME, BROWSER, 3), (RELAY, BROWSER, 3)],
    "an address that no database knows": [("192.0.2.7", BROWSER, 1), (HOME, BROWSER, 1)],
    "a clock that steps": [(NEIGHBOUR, BROWSER, 300), (HOME, BROWSER, -8), (HOME, BROWSER, 5)],
}
"""By its name: where the client is, what it says it is, and how far the clock moved before."""

GATED = [route for route in routes() if route.is_gated]
FILLED = {"currency": CURRENCY, "id": "a" * 26}


@pytest.fixture
def unlocked(stack: Stack) -> Iterator[None]:
    """Whatever becomes of a test that locks the platform down, the next one finds it open."""
    yield
    held = inside.item(stack, "Standing", LOCKDOWN)
    if held is not None:
        inside.root(stack, "dynamodb").put_item(
            TableName=inside.table(stack, "Standing"), Item=held | {"locked": {"BOOL": False}}
        )


def kinds(stage: Stage, person: Owner) -> list[str]:
    """Return the kinds of a person's events."""
    return inside.events(stage.stack, str(person.account))


def quarantined(stage: Stage) -> Owner:
    """Return somebody who was robbed, and has signed in again."""
    person = stage.customer(address=HOME)
    refused(stolen(person, AWAY).wallets(), 401, "session-terminated")
    expect(person.sign_in(), 200)
    return person


@pytest.mark.usefixtures("unlocked")
def test_every_step_of_the_drill_goes_as_promised(stage: Stage) -> None:
    """The whole story of `make drill` holds."""
    assert tell(drill.ACTS, Players(stage)) == 0


@pytest.mark.parametrize("route", GATED, ids=lambda one: one.name)
def test_every_door_is_watched(stage: Stage, route: Route) -> None:
    """Whichever route a stolen session is used on, that request is refused and the session dies."""
    person = stage.person(HOME)
    expect(person.open_account(), 201)
    expect(person.sign_in(), 200)
    thief = stolen(person, AWAY)
    refused(thief.call(route.method, route.path(**FILLED)), 401, "session-terminated")
    refused(person.wallets(), 401, "session-terminated")
    assert kinds(stage, person).count(KILLED) == 1


def test_a_kill_reaches_every_session(stage: Stage) -> None:
    """The account's other session, at home and blameless, dies with the stolen one."""
    laptop = stage.customer(address=HOME)
    phone = replace(laptop)
    expect(phone.sign_in(), 200)
    expect(phone.wallets(), 200)
    refused(stolen(laptop, AWAY).wallets(), 401, "session-terminated")
    refused(phone.wallets(), 401, "session-terminated")
    refused(phone.refresh(), 400, "invalid_grant")


def test_a_quarantined_session_can_be_stolen_only_once(stage: Stage) -> None:
    """The session that may lift a quarantine is judged like any other, and the thief lifts none."""
    person = quarantined(stage)
    reply, _ = stolen(person, AWAY).approve({"kind": "lift-quarantine"})
    refused(reply, 401, "session-terminated")
    refused(person.wallets(), 401, "session-terminated")
    assert kinds(stage, person).count(KILLED) == 2


def test_a_quarantine_opens_one_way_out(stage: Stage) -> None:
    """Nothing but asking for the lift passes the gate."""
    person = quarantined(stage)
    replies = {one.name: person.call(one.method, one.path(**FILLED)) for one in GATED}
    passed = {name for name, reply in replies.items() if reply.problem != "account-quarantined"}
    assert passed == {"POST /approvals/options", "POST /approvals"}


def test_a_lift_leaves_the_dead_dead(stage: Stage) -> None:
    """Every session from before the kill stays dead after the lift."""
    person = stage.customer(address=HOME)
    before = stolen(person, HOME)
    refused(stolen(person, AWAY).wallets(), 401, "session-terminated")
    expect(person.sign_in(), 200)
    reply, _ = person.approve({"kind": "lift-quarantine", "was_you": False})
    expect(reply, 200)
    expect(person.wallets(), 200)
    refused(before.wallets(), 401, "session-terminated")
    refused(before.refresh(), 400, "invalid_grant")


def test_a_token_without_its_key_kills_nobody(stage: Stage) -> None:
    """Who has only the token is refused, wherever they are, and the owner notices nothing."""
    person = stage.customer(address=HOME)
    reply = stolen(person, AWAY).wallets(proof_key=ProofKey())
    refused(reply, 401, "invalid-proof")
    expect(person.wallets(), 200)
    assert KILLED not in kinds(stage, person)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_no_header_moves_anybody(stage: Stage, name: str) -> None:
    """A header that names another place takes nobody there, and brings no thief home."""
    person = stage.customer(address=HOME)
    expect(person.wallets(headers=[(name, AWAY)]), 200)
    thief = stolen(person, AWAY)
    refused(thief.wallets(headers=[(name, HOME)]), 401, "session-terminated")


def test_another_network_of_the_country_is_nothing(stage: Stage) -> None:
    """From Wi-Fi to mobile and back, every second: no demand, no kill."""
    person, payee = stage.customer("10.00", address=HOME), stage.customer(address=HOME)
    for address in (NEIGHBOUR, HOME) * 3:
        person.address = address
        expect(person.wallets(), 200)
    expect(person.transfer(payee.account, "1.00", CURRENCY), 201)
    assert not {KILLED, DEMANDED} & set(kinds(stage, person))


@pytest.mark.parametrize("case", FALSE_POSITIVES)
def test_what_an_honest_client_does_kills_nobody(stage: Stage, case: str) -> None:
    """What looks odd and happens every day: the session lives, here and back home."""
    person = stage.customer(address=HOME)
    expect(person.wallets(), 200)
    for address, user_agent, seconds in FALSE_POSITIVES[case]:
        stage.pass_time(seconds)
        person.address, person.user_agent = address, user_agent
        expect(person.wallets(), 200)
        expect(person.refresh(), 200)
    assert KILLED not in kinds(stage, person)


def test_another_kind_of_device_may_read(stage: Stage) -> None:
    """A session that moves to another kind of device reads; its money waits for an approval."""
    person, payee = stage.customer("10.00", address=HOME), stage.customer(address=HOME)
    person.user_agent = CURL
    expect(person.wallets(), 200)
    refused(person.transfer(payee.account, "1.00", CURRENCY), 403, "approval-required")
    assert balance(payee) == 0
    assert kinds(stage, person).count(DEMANDED) == 1


def test_a_sign_in_elsewhere_kills_nobody(stage: Stage) -> None:
    """A passkey in Bucharest while a session lives in London: both read, no money without approval.

    Two devices in two countries are two baselines; but money is held back until the owner says so.
    """
    london, payee = stage.customer("10.00", address=HOME), stage.customer(address=HOME)
    bucharest = replace(london, address=AWAY)
    expect(bucharest.sign_in(), 200)
    for person in (london, bucharest) * 2:
        expect(person.wallets(), 200)
        refused(person.transfer(payee.account, "1.00", CURRENCY), 403, "approval-required")
    assert KILLED not in kinds(stage, london)
    assert balance(payee) == 0


def test_an_address_that_nobody_knows_is_no_place(stage: Stage) -> None:
    """From an address that no database places, a session reads, and pays nobody unapproved."""
    person, payee = stage.customer("10.00", address=HOME), stage.customer(address=HOME)
    person.address = "192.0.2.7"
    expect(person.wallets(), 200)
    refused(person.transfer(payee.account, "1.00", CURRENCY), 403, "approval-required")
    refused(stolen(person, AWAY).wallets(), 401, "session-terminated")


def test_what_is_told_names_no_place(stage: Stage) -> None:
    """What leaves about a kill has its numbers, and neither address nor country nor User-Agent."""
    person = stage.customer(address=HOME)
    refused(stolen(person, AWAY).wallets(), 401, "session-terminated")
    told = Players(stage).audited(person, KILLED)
    assert {"distance_km", "elapsed_s"} <= set(told["facts"])
    text = json.dumps(inside.audited(stage.stack, str(person.account)))
    for secret in (HOME, AWAY, '"GB"', '"RO"', "Safari", "Macintosh"):
        assert secret not in text.replace(str(person.account), "")
