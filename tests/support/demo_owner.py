"""The part of the story in which Alice looks after her account, and somebody finds her codes."""

import uuid
from datetime import UTC, datetime, timedelta

from tests.support.authenticator import Authenticator
from tests.support.owner import Owner, totp_code
from tests.support.story import Acts, Cast, check, expect, refused

PASSWORD = f"seven otters {uuid.uuid4()}"
WRONG = "a password that is wrong"
PROVISIONAL = "provisional"


def _login(cast: Cast) -> str:
    return f"alice-{cast.alice.account}@example.test"


def alice_adds_a_passkey(cast: Cast) -> str:
    """Alice adds the passkey of her new phone; her first one approves it."""
    expect(cast.alice.sign_in(), 200)
    added = expect(cast.alice.add_passkey(cast.phone, label="new phone", approved=True), 201).json
    waits = datetime.fromisoformat(added["established_at"]) - datetime.now(UTC)
    check("a full factor at once", kept=waits < timedelta(minutes=1))
    labels = [one["label"] for one in expect(cast.alice.passkeys(), 200).json["passkeys"]]
    check("both on the list", kept=labels == [None, "new phone"])
    return "201 established"


def alice_sets_a_password(cast: Cast) -> str:
    """She sets a password and adds TOTP, each approved by a passkey."""
    expect(cast.alice.put_password(_login(cast), PASSWORD, approved=True), 200)
    enrolled = expect(cast.alice.enrol_totp(), 201).json
    cast.secret, cast.code = enrolled["secret"], totp_code(enrolled["secret"])
    confirmed = cast.alice.confirm_totp(enrolled["enrolment"], cast.code, approved=True)
    expect(confirmed, 200)
    return "200 twice"


def a_weak_password(cast: Cast) -> str:
    """A password that everybody tries first."""
    reply = cast.alice.put_password(_login(cast), "passwordpassword", approved=True)
    return refused(reply, 400, "password-refused")


def wrong_password_and_unknown_name(cast: Cast) -> str:
    """A wrong password, and a name that nobody has: one answer."""
    stranger = Owner(cast.alice.origin)
    wrong = stranger.give_password(_login(cast), WRONG)
    unknown = stranger.give_password("nobody@example.test", WRONG)
    check("the same words", kept=wrong.body == unknown.body)
    return refused(wrong, 401, "sign-in-refused")


def a_password_opens_nothing(cast: Cast) -> str:
    """The right password gives a ticket, which opens nothing."""
    pending = expect(cast.alice.give_password(_login(cast), PASSWORD), 200).json
    cast.ticket = pending["ticket"]
    check("both second factors", kept=pending["second_factors"] == ["passkey", "totp"])
    return refused(cast.alice.wallets(token=cast.ticket), 401, "invalid-token")


def the_enrolment_code_again(cast: Cast) -> str:
    """The code that confirmed the enrolment does not sign in."""
    return refused(cast.alice.give_code(cast.ticket, cast.code), 401, "second-factor-refused")


def alice_signs_in_with_a_code(cast: Cast) -> str:
    """The next code signs in."""
    cast.code = totp_code(cast.secret, steps=1)
    expect(cast.alice.give_code(cast.ticket, cast.code), 200)
    return "200"


def the_ticket_again(cast: Cast) -> str:
    """The same ticket and code again."""
    return refused(cast.alice.give_code(cast.ticket, cast.code), 401, "ticket-refused")


def sessions_are_listed(cast: Cast) -> str:
    """She reads the list of her sessions, and ends all but this one."""
    listed = expect(cast.alice.sessions(), 200).json["sessions"]
    check("several, one of them this", kept=[s["current"] for s in listed].count(True) == 1)
    expect(cast.alice.end_sessions(except_current=True), 204)
    expect(cast.alice.refresh(), 200)
    left = expect(cast.alice.sessions(), 200).json["sessions"]
    check("this one is left", kept=[one["current"] for one in left] == [True])
    return f"{len(listed)}, then 1"


def removal_without_approval(cast: Cast) -> str:
    """To remove a passkey without another one's approval."""
    ids = [one["id"] for one in expect(cast.alice.passkeys(), 200).json["passkeys"]]
    return refused(cast.alice.remove_passkey(ids[0]), 403, "approval-required")


def the_last_way_in(cast: Cast) -> str:
    """Bob would remove his only passkey, and approves it himself."""
    expect(cast.bob.sign_in(), 200)
    (only,) = expect(cast.bob.passkeys(), 200).json["passkeys"]
    _, approval = cast.bob.approve({"kind": "remove-passkey", "passkey": only["id"]})
    reply = cast.bob.remove_passkey(only["id"], approval=approval)
    return refused(reply, 409, "last-factor")


def an_approval_twice(cast: Cast) -> str:
    """An approval for one thing, used for another."""
    _, approval = cast.alice.approve({"kind": "mint-recovery-codes"})
    return refused(cast.alice.remove_totp(approval=approval), 403, "approval-refused")


def alice_mints_codes(cast: Cast) -> str:
    """Alice signs in with a passkey and has recovery codes made."""
    expect(cast.alice.sign_in(), 200)
    cast.codes = expect(cast.alice.mint_recovery_codes(), 201).json["codes"]
    check("ten", kept=len(set(cast.codes)) == 10)
    return "201 ten codes"


def a_code_is_found(cast: Cast) -> str:
    """Somebody finds one, and recovers her account with a passkey of their own."""
    cast.thief = Owner(cast.alice.origin, authenticator=Authenticator())
    expect(cast.thief.recover(cast.codes[0]), 200)
    return "200"


def alice_is_out(cast: Cast) -> str:
    """All her sessions are dead at once."""
    return refused(cast.alice.wallets(), 401, "session-terminated")


def the_thief_moves_nothing(cast: Cast) -> str:
    """The thief signs in, and can move no money."""
    thief = cast.thief or cast.alice
    expect(thief.sign_in(), 200)
    reply = thief.transfer(cast.bob.account, "1.00", "EUR")
    return refused(reply, 401, "insufficient-user-authentication")


def the_thief_keeps_nothing(cast: Cast) -> str:
    """Nor add a factor, nor remove one of hers."""
    thief = cast.thief or cast.alice
    refused(thief.enrol_totp(), 401, "insufficient-user-authentication")
    ids = [one["id"] for one in expect(thief.passkeys(), 200).json["passkeys"]]
    return refused(thief.remove_passkey(ids[0]), 401, "insufficient-user-authentication")


def the_code_again(cast: Cast) -> str:
    """The same code a second time."""
    return refused(Owner(cast.alice.origin).recover(cast.codes[0]), 401, "recovery-refused")


def alice_cancels(cast: Cast) -> str:
    """Alice, told by a notice (`make inbox`), signs in with her passkey and cancels."""
    expect(cast.alice.sign_in(), 200)
    expect(cast.alice.cancel_recovery(), 204)
    return "204"


def the_thief_is_out(cast: Cast) -> str:
    """The thief's passkey opens nothing any more, and the other codes are burned."""
    thief = cast.thief or cast.alice
    refused(thief.sign_in(), 401, "sign-in-refused")
    return refused(Owner(cast.alice.origin).recover(cast.codes[1]), 401, "recovery-refused")


ACTS: Acts = (
    (
        "Every way in",
        (
            alice_adds_a_passkey,
            alice_sets_a_password,
            a_weak_password,
            wrong_password_and_unknown_name,
            a_password_opens_nothing,
            the_enrolment_code_again,
            alice_signs_in_with_a_code,
            the_ticket_again,
            sessions_are_listed,
            removal_without_approval,
            the_last_way_in,
            an_approval_twice,
        ),
    ),
    (
        "The found recovery code",
        (
            alice_mints_codes,
            a_code_is_found,
            alice_is_out,
            the_thief_moves_nothing,
            the_thief_keeps_nothing,
            the_code_again,
            alice_cancels,
            the_thief_is_out,
        ),
    ),
)
