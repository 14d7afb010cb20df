"""Passwords: set with a login name, worth a ticket and no more, and one answer to every guess."""

import functools
from collections.abc import Callable
from dataclasses import replace

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError, TooManyRequestsError
from portcullis.evidence.approvals import Act
from portcullis.evidence.errors import InvalidTokenError
from portcullis.identity import (
    backoff,
    gate,
    password_setting,
    refresh,
    revocation,
    second_factor,
    tables,
    tickets,
    totp,
)
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.factors import PROVISIONAL_S
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.logins import LoginRefusedError, LoginTakenError
from portcullis.identity.passkeys import Assertion, PasskeyRefusedError
from portcullis.identity.passwords import PasswordRefusedError
from portcullis.identity.second_factor import SecondFactorRefusedError
from portcullis.identity.starting import SignInRefusedError
from portcullis.identity.tickets import TicketRefusedError
from portcullis.refusals import ApprovalRequiredError
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    SOURCE,
    TOKEN,
    WALLETS,
    Family,
    Person,
    begin,
    family_of,
    finish,
    is_admitted,
    now,
    proof_of,
    totp_code,
)
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled, unchanged
from tests.support import jws
from tests.support.authenticator import Misbehaviour
from tests.support.dpop import ProofKey
from tests.support.faults import Proxy

LOGIN, PASSWORD = "alice@example.test", "seven green otters hum"
NEW_PASSWORD = "eleven brass kettles sing"
SET = Act(kind="set-password", fields=[])
STRAY = tickets.PREFIX + jws.b64url(bytes(tickets.SECRET_BYTES))
PAUSE_S = 3_600
"""Between tries whose cost is compared: no throttle remembers the one before."""

pytestmark = pytest.mark.contract


@pytest.fixture
def member(person: Person, family: Family) -> Person:
    """Somebody who has a password besides the passkey."""
    person.put_password(family, LOGIN, PASSWORD)
    return person


def _put(family: Family, login: str, password: str = PASSWORD, **shown: str) -> dict[str, str]:
    principal = family.principal("PUT", "/password", act=SET, approval=shown.get("approval"))
    return password_setting.put(login, password, principal=principal, now_s=now())


def _without_passkeys(person: Person) -> None:
    """Leave the account its other factors, as if its passkeys had been removed."""
    held = person.factors
    dynamodb.execute(held.next(passkeys=()).written_after(held))


# One answer


def _restricted(product: Product, person: Person) -> tuple[str, str]:
    records.restrict(product[0], person.account)
    return LOGIN, PASSWORD


def _given_up(_: Product, person: Person) -> tuple[str, str]:
    person.put_password(person.sign_in(), "another@example.test", NEW_PASSWORD)
    return LOGIN, PASSWORD


def _others(_: Product, __: Person) -> tuple[str, str]:
    other = Person.with_account()
    other.put_password(other.sign_in(), "mallory@example.test", NEW_PASSWORD)
    return LOGIN, NEW_PASSWORD


REFUSED: dict[str, Callable[[Product, Person], tuple[str, str]]] = {
    "a wrong password": lambda _, __: (LOGIN, NEW_PASSWORD),
    "an empty password": lambda _, __: (LOGIN, ""),
    "an unknown name": lambda _, __: ("nobody@example.test", PASSWORD),
    "a name that was given up": _given_up,
    "a restricted account": _restricted,
    "the password of another name": _others,
}


def test_every_refusal_is_the_same_and_costs_the_same(
    product: Product, proxy: Proxy, member: Person
) -> None:
    """Whatever is wrong, the answer is one, and so is what was asked of the store and of KMS."""
    costs = {}
    at_s = now()
    begin(LOGIN, PASSWORD, ProofKey(), at_s=at_s)
    for name, prepare in REFUSED.items():
        login, password = prepare(product, member)
        at_s += PAUSE_S
        proxy.calls.clear()
        product[1].calls.clear()
        with pytest.raises(SignInRefusedError) as refused:
            begin(login, password, ProofKey(), at_s=at_s)
        assert (type(refused.value), refused.value.faults) == (SignInRefusedError, ())
        costs[name] = dict(proxy.calls + product[1].calls)
    assert all(
        cost == {"UpdateItem": 2, "PutItem": 1, "GenerateMac": 1, "BatchGetItem": 2, "VerifyMac": 1}
        for cost in costs.values()
    ), costs


@pytest.mark.usefixtures("member")
def test_a_right_password_costs_a_ticket_more(product: Product, proxy: Proxy) -> None:
    """Success asks for the same, and writes the ticket."""
    begin(LOGIN, PASSWORD, ProofKey())
    proxy.calls.clear()
    product[1].calls.clear()
    pending = begin(LOGIN, PASSWORD, ProofKey(), at_s=now() + PAUSE_S)
    assert pending.second_factors == ("passkey",)
    assert dict(proxy.calls + product[1].calls) == {
        "UpdateItem": 2,
        "PutItem": 1,
        "GenerateMac": 1,
        "BatchGetItem": 2,
        "VerifyMac": 1,
        "ExecuteTransaction": 1,
    }


def test_a_copied_verifier_opens_no_other_account(member: Person) -> None:
    """A row that was copied to another account, name and all, verifies nothing there."""
    thief = Person.with_account()
    thief.put_password(thief.sign_in(), "mallory@example.test", NEW_PASSWORD)
    own, theirs = member.factors.password, thief.factors.password
    assert own is not None
    assert theirs is not None
    stored = dynamodb.get(tables.identity(), tables.password_key(thief.account, theirs.verifier))
    assert stored is not None
    records.forge(
        tables.password_key(member.account, own.verifier),
        phc=stored["phc"],
        tag=stored["tag"],
        pepper_key=stored["pepper_key"],
    )
    for password in (NEW_PASSWORD, PASSWORD):
        with pytest.raises(SignInRefusedError):
            begin(LOGIN, password, ProofKey())


@pytest.mark.usefixtures("member")
def test_what_nobody_can_have_is_refused_before_any_cost(product: Product) -> None:
    """An impossible name or password is refused for what it is, whoever might own it."""
    for login in ("ab", "a b@example.test", "x" * 300, "", "tab\t@example.test"):
        with only_throttled(product[0]), pytest.raises(SignInRefusedError):
            begin(login, PASSWORD, ProofKey())
    for password in ("x" * 600, "\ud800" * 20):
        with only_throttled(product[0]), pytest.raises(PasswordRefusedError):
            begin(LOGIN, password, ProofKey())


def test_nothing_of_login_or_password_is_stored_in_clear(product: Product, member: Person) -> None:
    """No dump of the tables shows either, nor an Argon2 hash to guess against."""
    begin(LOGIN, PASSWORD, ProofKey())
    dump = b"\n".join(records.blobs(product[0]))
    for text in (LOGIN, "alice", PASSWORD, "otters"):
        assert text.encode() not in dump
    held = member.factors.password
    assert held is not None
    row = dynamodb.get(tables.identity(), tables.password_key(member.account, held.verifier))
    assert row is not None
    assert row["phc"].count("$") == 4  # algorithm, version, parameters, salt: no hash behind them


# Login names


@pytest.mark.usefixtures("member")
def test_a_login_name_has_one_spelling() -> None:
    """Case and Unicode's compatible forms make no other name."""
    for login in (LOGIN.upper(), "\uff41lice@example.test", "Alice@Example.Test"):
        assert begin(login, PASSWORD, ProofKey()).ticket


@pytest.mark.usefixtures("member")
def test_a_taken_name_is_given_to_nobody_else(product: Product) -> None:
    """In whatever spelling, by somebody with an approval of his own."""
    other = Person.with_account()
    family = other.sign_in()
    other.put_password(family, "bob@example.test", NEW_PASSWORD)
    for login in (LOGIN, LOGIN.upper()):
        approval = other.approve(family, SET)
        with only_throttled(product[0]), pytest.raises(LoginTakenError):
            _put(family, login, NEW_PASSWORD, approval=approval)
    assert begin(LOGIN, PASSWORD, ProofKey()).ticket


def test_a_name_that_was_given_up_is_its_owners_for_ever(member: Person) -> None:
    """Nobody else gets a released name, and who gave it up may take it again."""
    family = member.sign_in()
    member.put_password(family, "second@example.test", NEW_PASSWORD)
    with pytest.raises(SignInRefusedError):
        begin(LOGIN, PASSWORD, ProofKey())
    thief = Person.with_account()
    theirs = thief.sign_in()
    approval = thief.approve(theirs, SET)
    with pytest.raises(LoginTakenError):
        _put(theirs, LOGIN, approval=approval)
    family = family.renewed()
    member.put_password(family, LOGIN, PASSWORD)
    assert begin(LOGIN, PASSWORD, ProofKey()).ticket
    with pytest.raises(SignInRefusedError):
        begin("second@example.test", NEW_PASSWORD, ProofKey())


@pytest.mark.usefixtures("product")
def test_of_two_accounts_that_take_one_name_one_gets_it() -> None:
    """Two who saw it free at the same moment: one has it, the other has no password."""
    people = [Person.with_account() for _ in range(2)]
    families = [one.sign_in() for one in people]
    with Race[dict[str, str]](2) as duel:
        outcomes = duel.run(*(functools.partial(_put, one, LOGIN) for one in families))
    granted, refused = split(outcomes, LoginTakenError)
    assert (len(granted), len(refused)) == (1, 1)
    (without,) = [one for one in people if one.factors.password is None]
    assert records.events(without.account)[-1]["kind"] == "session-started"


@pytest.mark.parametrize("login", ["ab", "x" * 255, "a b", "a\u0000bc", "a\u200bbc", ""])
def test_what_is_no_login_name_is_refused(product: Product, family: Family, login: str) -> None:
    """Too short, too long, or with what nobody can see or type."""
    with only_throttled(product[0]), pytest.raises(LoginRefusedError):
        _put(family, login)


@pytest.mark.parametrize("password", ["", "fourteen chars", "password" * 3, LOGIN, "x" * 129])
def test_a_weak_password_is_refused(product: Product, family: Family, password: str) -> None:
    """Too short, too long, common, or the login name itself: nothing is set."""
    with only_throttled(product[0]), pytest.raises(PasswordRefusedError):
        _put(family, LOGIN, password)


# Change


def test_a_first_password_that_nobody_approved_is_provisional(
    person: Person, family: Family
) -> None:
    """It signs in with its second factor from the start, and fully after a day."""
    _put(family, LOGIN)
    secret = person.add_totp(family)
    held = person.factors.password
    assert held is not None
    day_after = held.established_at
    assert now() + PROVISIONAL_S - 60 < day_after <= now() + PROVISIONAL_S
    for at_s, acr in ((now() + totp.STEP_S, "provisional"), (day_after, "mfa")):
        key = ProofKey()
        ticket = person.pending(key, at_s=at_s)
        started = finish(ticket, totp_code(secret, at_s), key, at_s=at_s)
        assert jws.claims_of(started.access_token)["acr"] == acr


def test_a_change_needs_an_approval(product: Product, member: Person) -> None:
    """A session of a passkey alone does not change the password, nor does one of the password."""
    passkeys_own = member.sign_in()
    secret = member.add_totp(passkeys_own)
    key = ProofKey()
    by_password = finish(member.pending(key), totp_code(secret, now()), key)
    for family in (passkeys_own, by_password):
        with only_throttled(product[0]), pytest.raises(ApprovalRequiredError):
            _put(family, LOGIN, NEW_PASSWORD)
    begin(LOGIN, PASSWORD, ProofKey())


def test_without_a_passkey_a_fresh_sign_in_with_the_old_password_changes_it(
    product: Product, member: Person
) -> None:
    """Who has no passkey shows the old password; the new one stands since the old one did."""
    passkeys_own = member.sign_in()
    secret, before = member.add_totp(passkeys_own), member.factors.password
    _without_passkeys(member)
    key = ProofKey()
    by_password = finish(member.pending(key), totp_code(secret, now()), key)
    with only_throttled(product[0]), pytest.raises(ApprovalRequiredError):
        _put(passkeys_own, LOGIN, NEW_PASSWORD)
    _put(by_password, LOGIN, NEW_PASSWORD)
    after = member.factors.password
    assert before is not None
    assert after is not None
    assert after.established_at == before.established_at
    begin(LOGIN, NEW_PASSWORD, ProofKey())


def test_a_change_ends_every_other_session_and_the_old_password(
    member: Person, family: Family
) -> None:
    """The caller's session goes on; all others, pending sign-ins and the old password are dead."""
    other, key = member.sign_in(), ProofKey()
    pending = begin(LOGIN, PASSWORD, key)
    member.put_password(family, LOGIN, NEW_PASSWORD)
    assert not is_admitted(other.key, other.access_token)
    with pytest.raises(InvalidGrantError):
        other.refresh()
    with pytest.raises(SignInRefusedError):
        begin(LOGIN, PASSWORD, ProofKey())
    with pytest.raises(TicketRefusedError):
        finish(pending.ticket, "000000", key)
    onward = family.renewed()
    assert is_admitted(onward.key, onward.access_token)
    assert begin(LOGIN, NEW_PASSWORD, ProofKey()).ticket
    changed = records.events(member.account)[-1]
    assert (changed["kind"], changed["changed"]) == ("password-set", True)


@pytest.mark.parametrize("operation", ["GenerateMac", "GenerateDataKeyWithoutPlaintext", "Decrypt"])
def test_a_failure_of_kms_sets_nothing(
    product: Product, person: Person, family: Family, operation: str
) -> None:
    """When index, person key or verifier cannot be made, there is no password."""
    product[1].failing.add(operation)
    principal = family.principal("PUT", "/password", act=SET)
    with pytest.raises(InfrastructureError):
        password_setting.put(LOGIN, PASSWORD, principal=principal, now_s=now())
    product[1].failing.clear()
    assert person.factors.password is None
    password_setting.put(LOGIN, PASSWORD, principal=principal, now_s=now())


# Tickets


def test_a_ticket_works_once_for_its_key(member: Person, family: Family) -> None:
    """Another key does not use it, and after one session nobody does."""
    secret, key, at_s = member.add_totp(family), ProofKey(), now()
    ticket = begin(LOGIN, PASSWORD, key).ticket
    with pytest.raises(TicketRefusedError):
        finish(ticket, totp_code(secret, at_s), ProofKey())
    finish(ticket, totp_code(secret, at_s), key)
    with pytest.raises(TicketRefusedError):
        finish(ticket, totp_code(secret, at_s + totp.STEP_S), key)


def test_a_ticket_lives_five_minutes(member: Person, family: Family) -> None:
    """To the second."""
    secret, key, at_s = member.add_totp(family), ProofKey(), now()
    late, timely = (member.pending(key, at_s=at_s) for _ in range(2))
    end = at_s + tickets.LIFETIME_S
    finish(timely, totp_code(secret, end - 1), key, at_s=end - 1)
    for at in (end, end + 1, end + PAUSE_S):
        with pytest.raises(TicketRefusedError):
            finish(late, totp_code(secret, at + totp.STEP_S), key, at_s=at)


@pytest.mark.parametrize("restrict", [False, True], ids=["kill", "restriction"])
def test_a_ticket_dies_with_its_account(
    product: Product, member: Person, family: Family, *, restrict: bool
) -> None:
    """Neither a kill nor a restriction is outlived by a right password."""
    secret, key = member.add_totp(family), ProofKey()
    ticket = member.pending(key)
    (records.restrict if restrict else records.kill)(product[0], member.account)
    with pytest.raises(TicketRefusedError):
        finish(ticket, totp_code(secret, now()), key)


def test_a_ticket_is_of_one_password(member: Person, family: Family) -> None:
    """Not the kill alone: whatever replaces the verifier makes its tickets worthless."""
    secret, key = member.add_totp(family), ProofKey()
    ticket, held = member.pending(key), member.factors
    assert held.password is not None
    other = replace(held.password, verifier="a" * 26)
    dynamodb.execute(held.next(password=other).written_after(held))
    with pytest.raises(TicketRefusedError):
        finish(ticket, totp_code(secret, now()), key)


@pytest.mark.parametrize("text", ["", "ptk1.", "ptk1.AAAA", "prt1." + "A" * 43, STRAY])
@pytest.mark.usefixtures("member")
def test_what_is_no_ticket_is_refused(product: Product, text: str) -> None:
    """A text that cannot be one, or is nobody's, charges no account with a failure."""
    with only_throttled(product[0]), pytest.raises(TicketRefusedError):
        finish(text, "000000", ProofKey())


@pytest.mark.usefixtures("member")
def test_a_ticket_opens_nothing_else(product: Product) -> None:
    """It is no access token, no refresh token, and its use is kept nowhere."""
    key = ProofKey()
    ticket = begin(LOGIN, PASSWORD, key).ticket
    proof = key.proof("GET", "https://api.example.test" + WALLETS, access_token=ticket)
    with pytest.raises(InvalidTokenError):
        gate.admit(
            authorization=f"DPoP {ticket}",
            proof=proof,
            method="GET",
            path=WALLETS,
            resource=WALLETS,
            source=SOURCE,
        )
    with unchanged(product[0]), pytest.raises(InvalidGrantError):
        refresh.refresh(ticket, proof=proof_of(key, TOKEN), source=SOURCE, now_s=now())
    with unchanged(product[0]):
        revocation.revoke(ticket, now_s=now())
    secret = ticket.removeprefix(tickets.PREFIX)
    dump = b"\n".join(records.blobs(product[0]))
    assert secret.encode() not in dump
    assert jws.b64url_decode(secret) not in dump


# The second factor


def test_wrong_codes_slow_down_strangers_and_no_known_device(
    member: Person, family: Family
) -> None:
    """After five wrong codes a pause; who has completed a second factor before is not held up."""
    secret, at_s = member.add_totp(family), now() + totp.STEP_S
    known, stranger = ProofKey(), ProofKey()
    finish(member.pending(known, at_s=at_s), totp_code(secret, at_s), known, at_s=at_s)
    at_s += 10 * totp.STEP_S
    ticket = member.pending(stranger, at_s=at_s)
    good = totp_code(secret, at_s)
    wrong = next(
        code
        for code in (f"{number:06}" for number in range(10))
        if code not in {totp_code(secret, at_s + shift * totp.STEP_S) for shift in (-1, 0, 1)}
    )
    for _ in range(backoff.FREE_FAILURES + 1):
        with pytest.raises(SecondFactorRefusedError):
            finish(ticket, wrong, stranger, at_s=at_s)
    with pytest.raises(TooManyRequestsError) as told:
        finish(ticket, good, stranger, at_s=at_s)
    assert told.value.policy == backoff.POLICY
    other = ProofKey()
    with pytest.raises(TooManyRequestsError):
        finish(member.pending(other, at_s=at_s), good, other, at_s=at_s)
    finish(member.pending(known, at_s=at_s), good, known, at_s=at_s)
    later = at_s + told.value.retry_after_s
    finish(
        member.pending(stranger, at_s=later),
        totp_code(secret, later + totp.STEP_S),
        stranger,
        at_s=later,
    )


def test_wrong_codes_never_hold_up_a_passkey(member: Person, family: Family) -> None:
    """However many a stranger guesses, the owner signs in with a passkey, with a password too."""
    member.add_totp(family)
    stranger, at_s = ProofKey(), now()
    ticket = member.pending(stranger, at_s=at_s)
    for _ in range(backoff.FREE_FAILURES + 1):
        with pytest.raises(SecondFactorRefusedError):
            finish(ticket, "not it", stranger, at_s=at_s)
    with pytest.raises(TooManyRequestsError):
        finish(ticket, "not it", stranger, at_s=at_s)
    member.sign_in(at_s=at_s)
    key = ProofKey()
    _by_passkey(member.pending(key, at_s=at_s), member.assertion(key, at_s=at_s), key, at_s=at_s)


def test_the_owner_is_told_of_many_wrong_codes(member: Person, family: Family) -> None:
    """The fifth wrong code in a row says that somebody has the password (ASVS 6.3.5)."""
    member.add_totp(family)
    stranger, at_s = ProofKey(), now()
    ticket = member.pending(stranger, at_s=at_s)
    before = len(records.events(member.account))
    for _ in range(min(backoff.FAILURES_TOLD)):
        with pytest.raises(SecondFactorRefusedError):
            finish(ticket, "not it", stranger, at_s=at_s)
    (told,) = records.events(member.account)[before:]
    assert (told["kind"], told["failures"]) == ("second-factor-failing", 5)


def _by_passkey(ticket: str, answer: Assertion, key: ProofKey, *, at_s: int) -> Family:
    proof = proof_of(key, "/sessions/second-factor", at_s=at_s)
    started = second_factor.by_passkey(ticket, answer, proof=proof, source=SOURCE, now_s=at_s)
    return family_of(started, key)


def test_a_passkey_is_a_second_factor(member: Person) -> None:
    """Password and passkey start a session of the passkey's level."""
    key, at_s = ProofKey(), now()
    ticket = begin(LOGIN, PASSWORD, key).ticket
    family = _by_passkey(ticket, member.assertion(key), key, at_s=at_s)
    claims = jws.claims_of(family.access_token)
    assert (claims["acr"], claims["amr"]) == ("phr", ["pwd", "pop", "user", "mfa"])
    with pytest.raises(TicketRefusedError):
        _by_passkey(ticket, member.assertion(key), key, at_s=at_s)


def test_anothers_passkey_is_no_second_factor(product: Product, member: Person) -> None:
    """Who guessed the password does not finish with a passkey of his own."""
    thief, key = Person.with_account(), ProofKey()
    ticket = member.pending(key)
    for handle in (thief.handle, member.handle):
        answer = thief.assertion(key, misbehaviour=Misbehaviour(user_handle=handle))
        with only_throttled(product[0]), pytest.raises(SignInRefusedError):
            _by_passkey(ticket, answer, key, at_s=now())


def test_a_wrong_answer_of_a_passkey_is_refused(product: Product, member: Person) -> None:
    """By another key's challenge, or with a signature that does not verify."""
    key = ProofKey()
    ticket = member.pending(key)
    answer = member.assertion(ProofKey())
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _by_passkey(ticket, answer, key, at_s=now())
    answer = member.assertion(key, misbehaviour=Misbehaviour(signed_by=jws.new_key()))
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _by_passkey(ticket, answer, key, at_s=now())
