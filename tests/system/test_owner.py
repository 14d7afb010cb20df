"""An owner looking after the account, on the deployed stack: the refusals, and what they need.

A refusal reads too, and some write: what its role lacks, only the deployed stack can show. That
each flow succeeds, tests/system/test_story.py and life.py show.
"""

import base64
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.authenticator import Authenticator, Misbehaviour
from tests.support.client import JSON
from tests.support.dpop import ProofKey
from tests.support.http import Reply
from tests.support.iam import Role
from tests.support.inside import events, item, root, table
from tests.support.operator import Office
from tests.support.owner import APPROVAL, Owner, totp_code
from tests.support.stack import Stack
from tests.system.life import Life, lived
from tests.system.people import owner

UNKNOWN_ID = "a" * 26
NO_IDS = ("x", "A" * 26, "a" * 27, "1" * 26)
"""None of them is 16 bytes in base32, in small letters: no id that we could have given out."""
SESSIONS_MAX = 32
WRONG_CODES_FREE, TRIES_MAX = 4, 12
WRONG = "a password of fifteen"


def answered(reply: Reply) -> tuple[int, str | None]:
    """Return what a refusal says."""
    return reply.status, reply.problem


def new_id() -> str:
    """Return an id like ours."""
    return base64.b32encode(uuid.uuid4().bytes).decode().rstrip("=").lower()


def nobody_s_login() -> str:
    """Return a login name that nobody has."""
    return f"{uuid.uuid4()}@example.test"


@pytest.fixture(scope="module")
def person(stack: Stack) -> Owner:
    """Somebody signed in with a passkey, whom no test changes for another."""
    return owner(stack)


@pytest.fixture(scope="module")
def stranger(stack: Stack) -> Owner:
    """Somebody else, signed in."""
    return owner(stack)


@pytest.fixture(scope="module")
def keeper(stack: Stack) -> "Keeper":
    """Somebody with passkey, password and TOTP, all established, signed in with the passkey."""
    return Keeper.settled(stack)


class Keeper(Owner):
    """An owner who remembers login name, password and TOTP secret."""

    login: str
    password: str
    secret: str
    used: str

    @classmethod
    def settled(cls, stack: Stack) -> "Keeper":
        """Return one with all three."""
        keeper = cls(stack.public_origin)
        keeper.login, keeper.password = nobody_s_login(), f"nine otters {uuid.uuid4()}"
        assert keeper.open_account().status == 201
        assert keeper.sign_in().status == 200
        assert keeper.put_password(keeper.login, keeper.password, approved=True).status == 200
        enrolled = keeper.enrol_totp().json
        keeper.secret, keeper.used = enrolled["secret"], totp_code(enrolled["secret"])
        confirmed = keeper.confirm_totp(enrolled["enrolment"], keeper.used, approved=True)
        assert confirmed.status == 200
        return keeper

    def ticket(self) -> str:
        """Give the password, under the session's own proof key, and return the ticket."""
        given = self.give_password(self.login, self.password, key=self.proof_key)
        ticket: str = given.json["ticket"]
        return ticket


def test_what_has_nothing_to_tell_has_no_body(stack: Stack) -> None:
    """A 204 comes without a body (RFC 9110 section 15.3.5), and still with the next nonce."""
    life: Life = lived(stack)
    empty = [one for one in life.exchanges if one.reply.status == 204]
    assert {one.route.name for one in empty} == {
        "PATCH /passkeys/{id}",
        "DELETE /passkeys/{id}",
        "DELETE /totp",
        "DELETE /recovery",
        "DELETE /sessions/{id}",
        "DELETE /sessions",
    }
    for one in empty:
        assert one.reply.body == b""
        assert one.reply.header("cache-control") == "no-store"
        assert one.reply.header("dpop-nonce")


@pytest.mark.parametrize("id_", NO_IDS)
def test_an_id_of_another_shape_is_refused(person: Owner, id_: str) -> None:
    """What could not be an id is a malformed request, on every route with one."""
    replies = (
        person.rename_passkey(id_, "x"),
        person.remove_passkey(id_),
        person.end_session(id_),
    )
    assert {answered(reply) for reply in replies} == {(400, "malformed-request")}


def test_an_id_of_somebody_else_is_unknown(person: Owner, stranger: Owner) -> None:
    """Another account's passkeys and sessions are answered like ids that do not exist."""
    (passkey,) = stranger.passkeys().json["passkeys"]
    (session,) = stranger.sessions().json["sessions"]
    for id_ in (passkey["id"], UNKNOWN_ID):
        assert answered(person.rename_passkey(id_, "mine")) == (404, "no-such-factor")
        _, approval = person.approve({"kind": "remove-passkey", "passkey": id_})
        reply = person.remove_passkey(id_, approval=approval)
        assert answered(reply) == (404, "no-such-factor")
    for id_ in (session["id"], UNKNOWN_ID):
        assert answered(person.end_session(id_)) == (404, "no-such-session")
    assert stranger.sessions().json["sessions"]


@pytest.mark.parametrize(
    "query", ["except=other", "except=", "except=current&except=current", "Except=current", "x=1"]
)
def test_only_the_current_session_can_be_excepted(person: Owner, query: str) -> None:
    """Another exception is refused, and ends nothing: it must not be taken for none."""
    assert answered(person.call("DELETE", "/sessions", query=query)) == (400, "malformed-request")
    assert person.sessions().json["sessions"]


def test_a_delete_takes_no_body(person: Owner) -> None:
    """An approval in the body instead of the header is refused, not overlooked."""
    reply = person.call("DELETE", "/totp", body=b'{"approval":"x"}', content_type=JSON)
    assert answered(reply) == (400, "malformed-body")


def test_two_approvals_are_one_too_many(person: Owner) -> None:
    """The gate refuses a repeated approval header, whatever its case."""
    headers = [(APPROVAL, "a.b.c"), (APPROVAL.lower(), "a.b.c")]
    reply = person.call("DELETE", "/totp", headers=headers)
    assert answered(reply) == (401, "duplicate-header")


@pytest.mark.parametrize("text", ["", "a.b.c", "x" * 4096])
def test_what_is_no_approval_is_refused(keeper: Keeper, text: str) -> None:
    """Text that is no approval does not count as one, nor as none."""
    reply = keeper.call("DELETE", "/totp", headers=[(APPROVAL, text)])
    assert answered(reply) == (403, "approval-refused")


def test_an_approval_serves_its_owner_once(keeper: Keeper, stranger: Owner) -> None:
    """Another account's approval, one for another act, and a used one are refused alike."""
    _, foreign = stranger.approve({"kind": "mint-recovery-codes"})
    _, other = keeper.approve({"kind": "set-password"})
    _, own = keeper.approve({"kind": "mint-recovery-codes"})
    for refused in (foreign, other):
        reply = keeper.send("POST", "/recovery-codes", {"approval": refused})
        assert answered(reply) == (403, "approval-refused")
    assert keeper.send("POST", "/recovery-codes", {"approval": own}).status == 201
    again = keeper.send("POST", "/recovery-codes", {"approval": own})
    assert answered(again) == (403, "approval-refused")


def test_a_provisional_passkey_approves_nothing(stack: Stack) -> None:
    """A passkey that nothing approved cannot approve what comes after it."""
    person, newcomer = owner(stack), Authenticator()
    assert person.add_passkey(newcomer).status == 201
    options = person.send("POST", "/approvals/options", {"kind": "mint-recovery-codes"}).json
    allowed = options["publicKey"] | {"allowCredentials": []}
    credential = newcomer.get(allowed, person.origin)
    reply = person.send("POST", "/approvals", {"credential": credential})
    assert answered(reply) == (400, "passkey-refused")


def test_a_passkey_belongs_to_one_account(stack: Stack, person: Owner) -> None:
    """The same answer of an authenticator, under a new ceremony, enrols nowhere else."""
    options = person.send("POST", "/passkeys/options", {}).json["publicKey"]
    credential = Authenticator().create(options, person.origin)
    other = owner(stack)
    taken = other.send("POST", "/passkeys", {"credential": credential})
    assert answered(taken) == (400, "challenge-refused")
    assert person.send("POST", "/passkeys", {"credential": credential}).status == 201
    again = person.send("POST", "/passkeys", {"credential": credential})
    assert answered(again) == (400, "challenge-refused")


def test_a_login_name_is_taken_once(keeper: Keeper, person: Owner) -> None:
    """Another account cannot take it, however it is spelled."""
    reply = person.put_password(keeper.login.upper(), f"ten otters {uuid.uuid4()}", approved=True)
    assert answered(reply) == (409, "login-taken")


def test_a_password_is_not_changed_without_approval(keeper: Keeper) -> None:
    """A session of a passkey alone changes no password."""
    reply = keeper.put_password(keeper.login, f"ten otters {uuid.uuid4()}")
    assert answered(reply) == (403, "approval-required")


def test_totp_is_confirmed_by_its_code(keeper: Keeper, person: Owner, stranger: Owner) -> None:
    """A wrong code, an enrolment of nobody's or another's, and a second TOTP are refused."""
    enrolled = person.enrol_totp().json
    right = totp_code(enrolled["secret"])
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    refused = (
        person.confirm_totp(enrolled["enrolment"], wrong),
        person.confirm_totp(UNKNOWN_ID, right),
        stranger.confirm_totp(enrolled["enrolment"], right),
    )
    assert {answered(reply) for reply in refused} == {(400, "code-refused")}
    second = keeper.enrol_totp().json
    reply = keeper.confirm_totp(second["enrolment"], totp_code(second["secret"]))
    assert answered(reply) == (409, "totp-enrolled")
    assert answered(person.remove_totp()) == (403, "approval-required")


def test_a_ticket_is_good_for_its_key_alone(keeper: Keeper, stack: Stack) -> None:
    """A stolen ticket, and one that was never given out, finish nothing."""
    ticket, thief = keeper.ticket(), Owner(stack.public_origin)
    code = totp_code(keeper.secret, steps=1)
    assert answered(thief.give_code(ticket, code)) == (401, "ticket-refused")
    thief.authenticator = keeper.authenticator
    assert answered(thief.give_passkey(ticket)) == (401, "ticket-refused")
    for none in ("ptk1." + "A" * 43, "ptk1.", "x"):
        assert answered(keeper.give_code(none, code)) == (401, "ticket-refused")
    assert keeper.sign_in().status == 200


def test_wrong_codes_are_slowed_down_and_told(stack: Stack, keeper: Keeper) -> None:
    """From the fifth in a row on there is a pause, and an event; a passkey is not held up."""
    ticket = keeper.ticket()
    replies: list[Reply] = []
    while not replies or (replies[-1].status != 429 and len(replies) < TRIES_MAX):
        # A slow machine sits the first pauses out: they double.
        replies.append(keeper.give_code(ticket, keeper.used))
    *refused, slowed = replies
    assert {answered(reply) for reply in refused} == {(401, "second-factor-refused")}
    assert len(refused) > WRONG_CODES_FREE
    demand_pause(slowed, policy="second-factor-failures", quota=1)
    assert "second-factor-failing" in events(stack, str(keeper.account))
    assert keeper.give_passkey(ticket).status == 200


def test_guessing_at_a_login_name_is_slowed_down(stack: Stack) -> None:
    """The 21st try at one name is refused before anything is looked at; other names are not."""
    guesser, login = Owner(stack.public_origin), nobody_s_login()
    key = ProofKey()
    # One proof for all: it is refused only behind the bucket, and before Argon2.
    proof = key.proof("POST", f"{stack.public_origin}/sessions/password")
    *guesses, slowed = [
        guesser.give_password(login, WRONG, key=key, proof=proof) for _ in range(21)
    ]
    assert answered(guesses[0]) == (401, "sign-in-refused")
    assert {answered(guess) for guess in guesses[1:]} == {(400, "proof-replayed")}
    demand_pause(slowed, policy="sign-in-login", quota=20)
    other = guesser.give_password(nobody_s_login(), WRONG)
    assert answered(other) == (401, "sign-in-refused")


def demand_pause(reply: Reply, *, policy: str, quota: int) -> None:
    """Demand a 429 that says how long to wait, twice alike, and under which policy."""
    assert answered(reply) == (429, "too-many-requests")
    pause_s = int(reply.header("retry-after") or "")
    assert pause_s >= 1
    assert reply.header("ratelimit") == f'"{policy}";r=0;t={pause_s}'
    assert (reply.header("ratelimit-policy") or "").startswith(f'"{policy}";q={quota};w=')
    assert reply.header("cache-control") == "no-store"


@pytest.mark.parametrize("code", ["x", "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A"])
def test_what_is_no_code_recovers_nothing(stack: Stack, code: str) -> None:
    """What has not the shape of a code, and a code that nobody has: one answer."""
    reply = Owner(stack.public_origin).recover(code)
    assert answered(reply) == (401, "recovery-refused")


def test_a_recovery_freezes_and_is_slow(stack: Stack, stranger: Owner) -> None:
    """Money and factors stay for a day, whoever asks; an account takes ten tries an hour."""
    person, finder = owner(stack), Owner(stack.public_origin)
    assert person.open_wallet("EUR").status == 201
    codes = person.mint_recovery_codes().json["codes"]
    assert finder.recover(codes[0]).status == 200
    assert answered(person.passkeys()) == (401, "session-terminated")
    assert person.sign_in().status == 200
    own = person.passkeys().json["passkeys"][0]["id"]
    _, approval = person.approve({"kind": "remove-passkey", "passkey": own})
    frozen = person.remove_passkey(own, approval=approval)
    assert answered(frozen) == (403, "account-frozen")
    debit = person.transfer(stranger.account, "1.00", "EUR")
    assert answered(debit) == (403, "debit-not-allowed")
    # Its options and its end were two tries.
    *asked, slowed = [
        finder.send("POST", "/recovery/options", {"code": codes[1]}, token=None) for _ in range(9)
    ]
    assert {reply.status for reply in asked} == {200}
    demand_pause(slowed, policy="recovery-account", quota=10)
    assert person.cancel_recovery().status == 204


@pytest.mark.parametrize(
    ("options", "meaning", "answer"),
    [
        ("/sessions/options", {}, "/sessions"),
        ("/sessions/options", {}, "/sessions/second-factor"),
        ("/approvals/options", {"kind": "set-password"}, "/approvals"),
    ],
    ids=["sign-in", "second-factor", "approval"],
)
def test_a_copied_passkey_is_noticed(
    stack: Stack, keeper: Keeper, options: str, meaning: Mapping[str, Any], answer: str
) -> None:
    """A counter that went back is refused wherever a passkey answers, and the owner is told."""
    before = events(stack, str(keeper.account)).count("passkey-counter-regressed")
    more = {"ticket": keeper.ticket()} if answer.endswith("second-factor") else {}
    asked = keeper.send("POST", options, meaning).json["publicKey"]
    copied = Misbehaviour(sign_count=1)
    credential = keeper.authenticator.get(asked, keeper.origin, misbehaviour=copied)
    reply = keeper.send("POST", answer, {"credential": credential, **more})
    assert answered(reply) == (400, "passkey-counter-regressed")
    told = events(stack, str(keeper.account)).count("passkey-counter-regressed")
    assert told == before + 1


def test_a_restricted_account_is_told_so(stack: Stack) -> None:
    """By the gate, and where its passkey would sign in; its session gets no further token."""
    person = owner(stack)
    root(stack, "dynamodb").update_item(
        TableName=table(stack, "Standing"),
        Key={"pk": {"S": person.account}},
        UpdateExpression="SET #status = :restricted",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":restricted": {"S": "RESTRICTED"}},
    )
    assert answered(person.wallets()) == (401, "account-restricted")
    assert person.refresh().json["error"] == "invalid_grant"
    assert answered(person.sign_in()) == (403, "account-restricted")


def test_the_33rd_session_displaces_the_first(stack: Stack) -> None:
    """An account has 32 live sessions at most; the oldest ends, and an event says so."""
    person = owner(stack)
    first = fill_sessions(stack, str(person.account))
    assert len(person.sessions().json["sessions"]) == SESSIONS_MAX
    oldest = person.access_token
    oldest_key = person.proof_key
    assert person.sign_in().status == 200
    listed = [one["id"] for one in person.sessions().json["sessions"]]
    assert len(listed) == SESSIONS_MAX
    assert first not in listed
    over = person.wallets(token=oldest, proof_key=oldest_key)
    assert answered(over) == (401, "session-ended")
    assert events(stack, str(person.account))[-2:] == ["session-ended", "session-started"]


def fill_sessions(stack: Stack, account: str) -> str:
    """Give an account of one session 31 more like it, which are younger; return the first's id."""
    store, name = root(stack, "dynamodb"), table(stack, "Identity")
    listed = item(stack, "Identity", f"SESSIONS#{account}", "SESSIONS")
    assert listed is not None
    first = listed["sids"]["L"][0]["S"]
    session = item(stack, "Identity", f"SESSION#{first}", "SESSION")
    assert session is not None
    sids = [first, *(new_id() for _ in range(1, SESSIONS_MAX))]
    for sid in sids[1:]:
        like_it = session | {"pk": {"S": f"SESSION#{sid}"}, "sid": {"S": sid}}
        store.put_item(TableName=name, Item=like_it)
    store.put_item(TableName=name, Item=listed | {"sids": {"L": [{"S": sid} for sid in sids]}})
    return str(first)


def test_two_operators_release_an_account(stack: Stack) -> None:
    """Their code is good after three days, and its owner can burn it; one alone gets none."""
    office, person = Office(stack), owner(stack)
    account = str(person.account)
    one, two = office.registered(), office.registered()
    assert answered(office.release(account, one, one)) == (403, "two-operators-required")
    assert answered(office.release(UNKNOWN_ID, one, two)) == (404, "no-such-account")
    partner = Role(stack, f"{stack.name}-partner-sandbox")
    assert answered(office.release(account, one, two, role=partner)) == (403, "forbidden")
    released = office.release(account, one, two)
    assert released.status == 201
    early = Owner(stack.public_origin).recover(released.json["code"])
    assert answered(early) == (401, "recovery-refused")
    assert person.cancel_recovery().status == 204
    assert person.refresh().status == 200
    assert answered(person.cancel_recovery()) == (409, "no-recovery")
