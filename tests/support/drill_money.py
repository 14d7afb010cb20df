"""The drill's last acts: an approval for one transfer, and a lockdown of all."""

from decimal import Decimal

from tests.support import inside
from tests.support.demo import balance
from tests.support.drill_people import DEPOSIT, SMALL, TOLD_S_MAX, Players
from tests.support.http import Reply
from tests.support.operator import Office, Operator
from tests.support.owner import APPROVAL
from tests.support.stage import BUCHAREST, CURRENCY, within
from tests.support.story import Acts, check, expect, refused

HOURS_S = 4 * 3600
"""Enough to fly from London to Bucharest."""
KEY, OTHER_KEY, DURING = "first-of-dave", "second-of-dave", "during-the-lockdown"


def dave_travels(players: Players) -> str:
    """Dave reads in London, flies, and reads in Bucharest: he is let in"""
    players.dave = players.stage.customer(DEPOSIT)
    expect(players.dave.wallets(), 200)
    players.stage.pass_time(HOURS_S)
    players.dave.address = BUCHAREST
    expect(players.dave.refresh(), 200)
    expect(players.dave.wallets(), 200)
    kinds = inside.events(players.stage.stack, str(players.dave.account))
    check("one demand", kept=kinds.count("approval-demanded") == 1)
    return "200"


def a_transfer_needs_approval(players: Players) -> str:
    """But a transfer needs an approval from there."""
    return refused(_pay(players, SMALL, KEY), 403, "approval-required")


def an_approved_transfer(players: Players) -> str:
    """His passkey approves one transfer, and that goes through."""
    players.approval = _approval(players, SMALL, KEY)
    expect(_pay(players, SMALL, KEY, approval=players.approval), 201)
    return f"201 {SMALL} {CURRENCY}"


def and_no_other(players: Players) -> str:
    """The same approval is worth nothing for another amount, or a second time."""
    other = _approval(players, SMALL, OTHER_KEY)
    refused(_pay(players, "2.00", OTHER_KEY, approval=other), 403, "approval-refused")
    again = _pay(players, SMALL, OTHER_KEY, approval=players.approval)
    return refused(again, 403, "approval-refused")


def still_demanded(players: Players) -> str:
    """Without one it is as before."""
    return refused(_pay(players, SMALL, OTHER_KEY), 403, "approval-required")


def dave_ends_the_demand(players: Players) -> str:
    """He ends the demand in one ceremony, and pays without."""
    reply, _ = players.dave.approve({"kind": "lift-demand"})
    expect(reply, 200)
    expect(_pay(players, SMALL, OTHER_KEY), 201)
    return f"201 {SMALL} {CURRENCY}"


def one_operator_locks_down(players: Players) -> str:
    """One operator freezes all outgoing money."""
    office = Office(players.stage.stack)
    players.operators = (office.registered(), office.registered())
    first, _ = players.operators
    frozen = _ordered(players, first, "lock-down", "--reason", "drill")
    players.lockdown = expect(frozen, 200).json["since"]
    return "200"


def money_stays(players: Players) -> str:
    """No money goes out, of anybody, approved or not; reads and deposits go on."""
    expect(players.dave.wallets(), 200)
    players.stage.deposit(players.dave, SMALL)
    approval = _approval(players, SMALL, DURING)
    refused(_pay(players, SMALL, DURING, approval=approval), 403, "locked-down")
    return refused(_pay(players, SMALL, DURING), 403, "locked-down")


def one_operator_lifts_nothing(players: Players) -> str:
    """One operator alone cannot end it, not with two commands."""
    first, _ = players.operators
    return refused(_lifted(players, first, first), 403, "two-operators-required")


def two_lift_it(players: Players) -> str:
    """Two can, and the transfer that was refused goes through."""
    expect(_lifted(players, *players.operators), 200)
    expect(_pay(players, SMALL, DURING), 201)
    return f"201 {SMALL} {CURRENCY}"


def both_are_on_record(players: Players) -> str:
    """The audit bucket has both, with the operators' names."""
    first, second = (one.name for one in players.operators)

    def named() -> list[object]:
        kept = inside.audited(players.stage.stack, "LOCKDOWN")[-2:]
        return [one["facts"].get("operators", one["facts"].get("operator")) for one in kept]

    wanted: list[object] = [first, [first, second]]
    check("one name, then two", kept=within(TOLD_S_MAX, lambda: named() == wanted))
    return "one name, then two"


def no_cent_is_lost(players: Players) -> str:
    """After all this Bob has what he was paid, and no more."""
    expect(players.bob.sign_in(), 200)
    held, paid = balance(players.bob), 5 * Decimal(SMALL)
    check("five payments", kept=held == paid)
    return f"200 {held} {CURRENCY}"


def _pay(players: Players, amount: str, key: str, *, approval: str | None = None) -> Reply:
    headers = [(APPROVAL, approval)] if approval else []
    return players.dave.transfer(players.bob.account, amount, CURRENCY, key, headers=headers)


def _approval(players: Players, amount: str, key: str) -> str:
    act = {
        "kind": "transfer",
        "to_account": players.bob.account,
        "amount": {"amount": amount, "currency": CURRENCY},
        "key": key,
    }
    reply, approval = players.dave.approve(act)
    expect(reply, 201)
    check("an approval", kept=approval is not None)
    return str(approval)


def _lifted(players: Players, first: Operator, second: Operator) -> Reply:
    named = ("lift-lockdown", "--since", players.lockdown)
    command = _typed(players, first, *named)
    return _ordered(players, second, *named, "--with", command)


def _ordered(players: Players, by: Operator, *line: str) -> Reply:
    status, _, body = _typed(players, by, *line).partition(" ")
    return Reply(int(status), (), body.encode())


def _typed(players: Players, by: Operator, *line: str) -> str:
    return Office(players.stage.stack).typed(*line, by=by, now_s=int(players.stage.now()))


ACTS: Acts[Players] = (
    (
        "A new place that can be reached",
        (
            dave_travels,
            a_transfer_needs_approval,
            an_approved_transfer,
            and_no_other,
            still_demanded,
            dave_ends_the_demand,
        ),
    ),
    (
        "Lockdown",
        (
            one_operator_locks_down,
            money_stays,
            one_operator_lifts_nothing,
            two_lift_it,
            both_are_on_record,
            no_cent_is_lost,
        ),
    ),
)
