"""The drill's first acts: a session is stolen, is killed, and its owner comes back."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.support import inside, jws
from tests.support.client import Client
from tests.support.demo import balance
from tests.support.drill_people import DEPOSIT, KILLED, PASSWORD, SMALL, Players
from tests.support.http import Reply
from tests.support.owner import APPROVAL, STEP_S, Owner, totp_code
from tests.support.stage import CURRENCY, stolen
from tests.support.story import Acts, check, expect, refused

EVERY_S = 300
READS = 72
"""Six hours of reads, one in five minutes."""
FOUR_MINUTES_S = 240
CODED = "by-a-code"


def _reads_on(owner: Client) -> None:
    """Read as an application does, which renews its token before that ends."""
    ends = jws.claims_of(owner.access_token or "")["exp"]
    if not isinstance(ends, int) or ends - owner.clock() <= EVERY_S:
        expect(owner.refresh(), 200)
    expect(owner.wallets(), 200)


def two_people_in_london(players: Players) -> str:
    """Alice and Bob, in London, open accounts and wallets; a partner pays in for Alice."""
    players.alice = players.stage.customer(DEPOSIT)
    players.bob = players.stage.customer()
    return f"201 {DEPOSIT} {CURRENCY}"


def six_hours_of_reads(players: Players) -> str:
    """Six hours pass, in which Alice's application reads every five minutes."""
    for _ in range(READS):
        players.stage.pass_time(EVERY_S)
        _reads_on(players.alice)
    kinds = inside.events(players.stage.stack, str(players.alice.account))
    check("nothing to tell her of", kept=set(kinds) == {"account-opened", "session-started"})
    return f"200, {READS} times"


def a_transfer_from_bucharest(players: Players) -> str:
    """Four minutes later, in Bucharest, somebody orders a transfer with her token and her key."""
    players.stage.pass_time(FOUR_MINUTES_S)
    players.thief = stolen(players.alice)
    reply = players.thief.transfer(players.bob.account, SMALL, CURRENCY)
    return refused(reply, 401, "session-terminated")


def london_is_out_too(players: Players) -> str:
    """The next read from London is refused: nobody knows which of the two is Alice."""
    return refused(players.alice.wallets(), 401, "session-terminated")


def the_refresh_token_is_dead(players: Players) -> str:
    """Her refresh token opens nothing, here or there."""
    refused(players.thief.refresh(), 400, "invalid_grant")
    return refused(players.alice.refresh(), 400, "invalid_grant")


def the_account_is_quarantined(players: Players) -> str:
    """The account is quarantined, by one event that says why, in numbers."""
    account = str(players.alice.account)
    standing = inside.item(players.stage.stack, "Standing", account) or {}
    status: str = standing["status"]["S"]
    check("one kill", kept=inside.events(players.stage.stack, account)[2:] == [KILLED])
    check("the second epoch", kept=standing["epoch"]["N"] == "2")
    check("a quarantine", kept=status == "QUARANTINED")
    return status


def nobody_got_money(players: Players) -> str:
    """Bob, who was to get the money, reads his wallet."""
    expect(players.bob.sign_in(), 200)
    held = balance(players.bob)
    check("nothing came", kept=held == 0)
    return f"200 {held} {CURRENCY}"


def alice_is_told(players: Players) -> str:
    """Alice is told, and the audit bucket has it, numbered without a gap."""
    told = players.told(players.alice, KILLED)
    kept = players.audited(players.alice, KILLED)
    check("one number in both", kept=told["number"] == kept["number"])
    return f"event {told['number']}"


def alice_signs_in(players: Players) -> str:
    """Alice signs in with her passkey: that is allowed"""
    expect(players.alice.sign_in(), 200)
    return "200"


def a_read_is_refused(players: Players) -> str:
    """But to read is not, before she has lifted the quarantine."""
    return refused(players.alice.wallets(), 401, "account-quarantined")


def neither_is_money(players: Players) -> str:
    """Nor to order a transfer."""
    reply = players.alice.transfer(players.bob.account, SMALL, CURRENCY)
    return refused(reply, 401, "account-quarantined")


def alice_lifts_it(players: Players) -> str:
    """She lifts it in one ceremony: no, that was not me."""
    reply, _ = players.alice.approve({"kind": "lift-quarantine", "was_you": False})
    expect(reply, 200)
    return "200"


def alice_goes_on(players: Players) -> str:
    """She reads, finds every cent, and pays Bob."""
    before = balance(players.alice)
    check("every cent", kept=before == Decimal(DEPOSIT))
    expect(players.alice.transfer(players.bob.account, SMALL, CURRENCY), 201)
    return f"201 {before} - {SMALL} {CURRENCY}"


def old_sessions_stay_dead(players: Players) -> str:
    """What was stolen opens nothing after the lift either."""
    refused(players.thief.refresh(), 400, "invalid_grant")
    return refused(players.thief.wallets(), 401, "session-terminated")


def a_refresh_from_bucharest(players: Players) -> str:
    """Four minutes later her new refresh token is used in Bucharest."""
    players.stage.pass_time(FOUR_MINUTES_S)
    players.thief = stolen(players.alice)
    return refused(players.thief.refresh(), 400, "invalid_grant")


def london_is_out_again(players: Players) -> str:
    """London is out again: the same kill, by the other door."""
    refused(players.alice.refresh(), 400, "invalid_grant")
    kinds = inside.events(players.stage.stack, str(players.alice.account))
    check("two kills in all", kept=kinds.count(KILLED) == 2)
    return refused(players.alice.wallets(), 401, "session-terminated")


def alice_comes_back_again(players: Players) -> str:
    """Alice signs in and lifts it again."""
    expect(players.alice.sign_in(), 200)
    reply, _ = players.alice.approve({"kind": "lift-quarantine", "was_you": False})
    expect(reply, 200)
    expect(players.alice.wallets(), 200)
    return "200"


def carol_has_no_passkey(players: Players) -> str:
    """Carol sets a password and TOTP, and removes her only passkey."""
    carol = players.carol = players.stage.customer(DEPOSIT)
    expect(carol.put_password(_login(carol), PASSWORD, approved=True), 200)
    enrolled = expect(carol.enrol_totp(), 201).json
    players.secret = enrolled["secret"]
    confirmed = carol.confirm_totp(enrolled["enrolment"], _code(players), approved=True)
    expect(confirmed, 200)
    (only,) = expect(carol.passkeys(), 200).json["passkeys"]
    _, approval = carol.approve({"kind": "remove-passkey", "passkey": only["id"]})
    expect(carol.remove_passkey(only["id"], approval=approval), 204)
    return "204"


def carol_is_robbed(players: Players) -> str:
    """She signs in with a code; four minutes later her session is used in Bucharest."""
    _sign_in_with_code(players)
    expect(players.carol.wallets(), 200)
    players.stage.pass_time(FOUR_MINUTES_S)
    return refused(stolen(players.carol).wallets(), 401, "session-terminated")


def carol_signs_in(players: Players) -> str:
    """She signs in with the strongest that she has, a code: and reads nothing yet."""
    _sign_in_with_code(players)
    return refused(players.carol.wallets(), 401, "account-quarantined")


def the_same_code_lifts_nothing(players: Players) -> str:
    """The code that signed her in lifts nothing."""
    return refused(_lift_by_code(players), 400, "code-refused")


def carol_lifts_it(players: Players) -> str:
    """Another code does."""
    _next_step(players)
    expect(_lift_by_code(players), 200)
    expect(players.carol.wallets(), 200)
    return "200"


def her_money_waits(players: Players) -> str:
    """A code can be phished like her password: money waits for an approval."""
    reply = players.carol.transfer(players.bob.account, SMALL, CURRENCY, CODED)
    return refused(reply, 403, "approval-required")


def a_code_pays_a_little(players: Players) -> str:
    """A code approves one small transfer, and that goes through."""
    _next_step(players)
    amount = {"amount": SMALL, "currency": CURRENCY}
    asked = {"kind": "transfer", "to_account": players.bob.account, "amount": amount, "key": CODED}
    approval = expect(_answered_by_code(players, asked), 201).json["approval"]
    headers = [(APPROVAL, approval)]
    paid = players.carol.transfer(players.bob.account, SMALL, CURRENCY, CODED, headers=headers)
    expect(paid, 201)
    return f"201 {SMALL} {CURRENCY}"


def _login(owner: Owner) -> str:
    return f"carol-{owner.account}@example.test"


def _code(players: Players) -> str:
    return totp_code(players.secret, at_s=players.stage.now())


def _next_step(players: Players) -> None:
    """A code counts once: wait for the next."""
    players.stage.pass_time(STEP_S)


def _sign_in_with_code(players: Players) -> None:
    _next_step(players)
    ticket = expect(players.carol.give_password(_login(players.carol), PASSWORD), 200)
    expect(players.carol.give_code(ticket.json["ticket"], _code(players)), 200)


def _lift_by_code(players: Players) -> Reply:
    return _answered_by_code(players, {"kind": "lift-quarantine", "was_you": True})


def _answered_by_code(players: Players, asked: Mapping[str, Any]) -> Reply:
    options = expect(players.carol.send("POST", "/approvals/options", asked), 200).json
    given = {"challenge": options["challenge"], "code": _code(players)}
    return players.carol.send("POST", "/approvals", given)


ACTS: Acts[Players] = (
    ("Six hours in London", (two_people_in_london, six_hours_of_reads)),
    (
        "Four minutes later, in Bucharest",
        (
            a_transfer_from_bucharest,
            london_is_out_too,
            the_refresh_token_is_dead,
            the_account_is_quarantined,
            nobody_got_money,
            alice_is_told,
        ),
    ),
    (
        "The owner comes back",
        (
            alice_signs_in,
            a_read_is_refused,
            neither_is_money,
            alice_lifts_it,
            alice_goes_on,
            old_sessions_stay_dead,
        ),
    ),
    (
        "The other door: the refresh token",
        (a_refresh_from_bucharest, london_is_out_again, alice_comes_back_again),
    ),
    (
        "Without a passkey",
        (
            carol_has_no_passkey,
            carol_is_robbed,
            carol_signs_in,
            the_same_code_lifts_nothing,
            carol_lifts_it,
            her_money_waits,
            a_code_pays_a_little,
        ),
    ),
)
