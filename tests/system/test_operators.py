"""What two operators order about an account, with their own tool, on the deployed stack."""

import json

from tests.support import inside
from tests.support.operator import Office
from tests.support.stage import CURRENCY, Stage, stolen
from tests.support.story import expect, refused

HOME, AWAY = "82.30.30.30", "188.24.30.30"
"""In London and in Bucharest, and nobody else's: throttles count by networks."""


def status_of(stage: Stage, account: str) -> str:
    """Return an account's status, as it stands."""
    stands = inside.item(stage.stack, "Standing", account)
    assert stands is not None
    return str(stands["status"]["S"])


def test_two_operators_lift_a_quarantine_and_money_waits_for_the_owner(stage: Stage) -> None:
    """One of them lifts nothing; two do, the dead sessions stay dead, and no money goes out."""
    person, payee = stage.customer("5.00", address=HOME), stage.customer(address=HOME)
    refused(stolen(person, AWAY).wallets(), 401, "session-terminated")
    account = str(person.account)
    office = Office(stage.stack)
    alice, bob = office.registered(), office.registered()
    named = ("lift-quarantine", "--account", account)

    refused(office.lift_quarantine(account, alice, alice), 403, "two-operators-required")
    assert status_of(stage, account) == "QUARANTINED"

    command = office.typed(*named, by=alice, now_s=int(stage.now()))
    status, _, body = office.typed(
        *named, "--with", command, by=bob, now_s=int(stage.now())
    ).partition(" ")
    assert (status, set(json.loads(body))) == ("200", {"account", "approval_required_since"})
    assert status_of(stage, account) == "ACTIVE"
    refused(person.wallets(), 401, "session-terminated")
    expect(person.sign_in(), 200)
    expect(person.wallets(), 200)
    refused(person.transfer(payee.account, "1.00", CURRENCY), 403, "approval-required")
    assert inside.events(stage.stack, account).count("quarantine-lifted") == 1
