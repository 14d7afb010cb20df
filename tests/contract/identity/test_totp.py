"""TOTP as a factor: enrolled by a first code, forward only, and removed with an approval."""

import functools

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError, TooManyRequestsError
from portcullis.evidence.approvals import Act
from portcullis.identity import tables, throttle, totp, totp_enrolment
from portcullis.identity.factors import PROVISIONAL_S, LastFactorError, NoSuchFactorError
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.second_factor import SecondFactorRefusedError
from portcullis.identity.tickets import TicketRefusedError
from portcullis.identity.totp_enrolment import CONFIRM_S, CodeRefusedError, TotpEnrolledError
from portcullis.refusals import ApprovalRefusedError, ApprovalRequiredError
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    Family,
    Person,
    finish,
    is_admitted,
    now,
    totp_code,
)
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled, unchanged
from tests.support import jws
from tests.support.dpop import ProofKey
from tests.support.faults import TRANSACTION, Proxy

LOGIN, PASSWORD = "alice@example.test", "seven green otters hum"
STEP_S = totp.STEP_S
REMOVE = Act(kind="remove-totp", fields=[])

pytestmark = pytest.mark.contract


@pytest.fixture
def member(person: Person, family: Family) -> Person:
    """Somebody who has a password besides the passkey."""
    person.put_password(family, LOGIN, PASSWORD)
    return person


def _enrolled(family: Family, *, at_s: int | None = None) -> tuple[str, bytes]:
    """Enrol TOTP and return what the enrolment is called, and its secret."""
    made = totp_enrolment.enrol(
        family.principal("POST", "/totp", at_s=at_s), now_s=now() if at_s is None else at_s
    )
    return made["enrolment"], totp.secret_in(made["secret"])


def _confirm(enrolment: str, code: str, family: Family, *, at_s: int | None = None) -> None:
    principal = family.principal("POST", "/totp/confirm", at_s=at_s)
    totp_enrolment.confirm(
        enrolment, code, principal=principal, now_s=now() if at_s is None else at_s
    )


def _other(*codes: str) -> str:
    """A code that is none of these."""
    return next(f"{number:06}" for number in range(10) if f"{number:06}" not in codes)


def _neighbours(secret: bytes, at_s: int) -> list[str]:
    return [totp_code(secret, at_s + shift * STEP_S) for shift in (-1, 0, 1)]


# Enrolment


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_code_of_this_step_or_a_neighbour_confirms(
    person: Person, family: Family, shift: int
) -> None:
    """One step of drift either way, and the owner is told of the new factor."""
    at_s = now()
    enrolment, secret = _enrolled(family)
    _confirm(enrolment, totp_code(secret, at_s + shift * STEP_S), family, at_s=at_s)
    held = person.factors.totp
    assert held is not None
    assert (held.enrolment, held.established_at) == (enrolment, at_s + PROVISIONAL_S)
    assert records.events(person.account)[-1]["kind"] == "totp-added"


def test_any_other_code_confirms_nothing(product: Product, family: Family) -> None:
    """Codes of other steps, or of none, are refused and leave the enrolment as it is."""
    at_s = now()
    enrolment, secret = _enrolled(family)
    good = _neighbours(secret, at_s)
    far = [totp_code(secret, at_s + shift * STEP_S) for shift in (-20, -2, 2, 20)]
    for code in {*far, _other(*good), "", good[1][:5], good[1] + "0", "abcdef"} - set(good):
        with only_throttled(product[0]), pytest.raises(CodeRefusedError):
            _confirm(enrolment, code, family, at_s=at_s)
    _confirm(enrolment, good[1], family, at_s=at_s)


def test_an_enrolment_is_its_accounts_own(product: Product, family: Family) -> None:
    """What another account enrolled, or nobody did, is not confirmed."""
    theirs, secret = _enrolled(Person.with_account().sign_in())
    for enrolment in (theirs, "a" * 26):
        with only_throttled(product[0]), pytest.raises(CodeRefusedError):
            _confirm(enrolment, totp_code(secret, now()), family)


@pytest.mark.parametrize("late_s", [0, 1, 3_600])
def test_an_enrolment_that_nobody_confirmed_expires(
    product: Product, person: Person, late_s: int
) -> None:
    """From ten minutes on it is refused, in a session that is fresh by then."""
    at_s = now()
    enrolment, secret = _enrolled(person.sign_in(at_s=at_s), at_s=at_s)
    late = at_s + CONFIRM_S + late_s
    family = person.sign_in(at_s=late)
    with only_throttled(product[0]), pytest.raises(CodeRefusedError):
        _confirm(enrolment, totp_code(secret, late), family, at_s=late)


def test_an_enrolment_is_confirmed_in_its_last_second(person: Person) -> None:
    """Ten minutes less a second after it was made, its code still confirms it."""
    at_s = now()
    enrolment, secret = _enrolled(person.sign_in(at_s=at_s), at_s=at_s)
    late = at_s + CONFIRM_S - 1
    _confirm(enrolment, totp_code(secret, late), person.sign_in(at_s=late), at_s=late)


def test_a_second_enrolment_does_not_replace_the_first(
    product: Product, person: Person, family: Family
) -> None:
    """While there is TOTP no other is confirmed: it has to be removed first."""
    person.add_totp(family)
    enrolment, secret = _enrolled(family)
    with only_throttled(product[0]), pytest.raises(TotpEnrolledError):
        _confirm(enrolment, totp_code(secret, now()), family)


def test_of_two_enrolments_at_once_one_is_confirmed(person: Person, family: Family) -> None:
    """Two confirmations at one moment leave one TOTP."""
    pending = [_enrolled(family) for _ in range(2)]
    deeds = [
        functools.partial(_confirm, enrolment, totp_code(secret, now()), family)
        for enrolment, secret in pending
    ]
    with Race[None](2) as duel:
        granted, refused = split(duel.run(*deeds), TotpEnrolledError)
    assert (len(granted), len(refused)) == (1, 1)
    held = person.factors.totp
    assert held is not None
    assert held.enrolment in {enrolment for enrolment, _ in pending}


def test_the_approval_of_one_enrolment_confirms_no_other(person: Person, family: Family) -> None:
    """An approval names the enrolment whose secret its owner has seen."""
    first, second = (_enrolled(family)[0] for _ in range(2))
    approval = person.approve(family, Act(kind="add-totp", fields=[first]))
    with pytest.raises(ApprovalRefusedError):
        family.principal(
            "POST",
            "/totp/confirm",
            act=Act(kind="add-totp", fields=[second]),
            approval=approval,
        )


def test_the_secret_is_sealed(product: Product, person: Person, family: Family) -> None:
    """No dump of the tables shows the secret, however it is written."""
    secret = person.add_totp(family)
    dump = b"\n".join(records.blobs(product[0]))
    for text in (secret, totp.text(secret).encode(), secret.hex().encode()):
        assert text not in dump


def test_a_secret_of_another_account_does_not_open(member: Person, family: Family) -> None:
    """A sealed secret that was copied to another account, or enrolment, is no secret there."""
    thief = Person.with_account()
    secret = thief.add_totp(thief.sign_in())
    theirs, own = thief.factors.totp, _factor(member, family)
    assert theirs is not None
    stolen = dynamodb.get(tables.identity(), tables.totp_key(thief.account, theirs.enrolment))
    assert stolen is not None
    records.forge(tables.totp_key(member.account, own), secret=stolen["secret"], last_step=0)
    key = ProofKey()
    ticket = member.pending(key)
    with pytest.raises(InfrastructureError):
        finish(ticket, totp_code(secret, now()), key)


def _factor(person: Person, family: Family) -> str:
    person.add_totp(family)
    held = person.factors.totp
    assert held is not None
    return held.enrolment


# Sign-in


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_code_of_this_step_or_a_neighbour_signs_in(
    member: Person, family: Family, shift: int
) -> None:
    """With a password that stands and an approved TOTP the session has its level."""
    secret, key, at_s = member.add_totp(family), ProofKey(), now() + 10 * STEP_S
    started = finish(
        member.pending(key, at_s=at_s), totp_code(secret, at_s + shift * STEP_S), key, at_s=at_s
    )
    claims = jws.claims_of(started.access_token)
    assert (claims["acr"], claims["amr"]) == ("mfa", ["pwd", "otp", "mfa"])


def test_any_other_code_is_refused_and_the_ticket_stays(member: Person, family: Family) -> None:
    """Codes of steps further off, and of no step, sign nobody in; a good one still does."""
    secret, key, at_s = member.add_totp(family), ProofKey(), now() + 40 * STEP_S
    ticket, good = member.pending(key, at_s=at_s), _neighbours(secret, at_s)
    far = [totp_code(secret, at_s + shift * STEP_S) for shift in (-2, 2)]
    for code in {*far, _other(*good)} - set(good):
        with pytest.raises(SecondFactorRefusedError):
            finish(ticket, code, key, at_s=at_s)
    assert "session-started" not in {one["kind"] for one in records.events(member.account)[2:]}
    finish(ticket, good[1], key, at_s=at_s)


def test_a_code_signs_in_once_and_steps_go_forward_only(member: Person, family: Family) -> None:
    """A used code is dead, and so is every earlier one that was never used."""
    secret, at_s = member.add_totp(family), now() + 10 * STEP_S
    key = ProofKey()
    earlier, used, later = _neighbours(secret, at_s)
    finish(member.pending(key, at_s=at_s), used, key, at_s=at_s)
    ticket = member.pending(key, at_s=at_s)
    for code in {used, earlier} - {later}:
        with pytest.raises(SecondFactorRefusedError):
            finish(ticket, code, key, at_s=at_s)
    finish(ticket, later, key, at_s=at_s)


def test_the_enrolments_own_code_is_burned(member: Person, family: Family) -> None:
    """The code that confirmed TOTP, which may have been watched, signs nobody in."""
    at_s, key = now(), ProofKey()
    enrolment, secret = _enrolled(family)
    code = totp_code(secret, at_s)
    _confirm(enrolment, code, family, at_s=at_s)
    with pytest.raises(SecondFactorRefusedError):
        finish(member.pending(key, at_s=at_s), code, key, at_s=at_s)


def test_of_two_sign_ins_with_one_code_one_succeeds(member: Person, family: Family) -> None:
    """Two tickets and one code at the same moment: one session."""
    secret = member.add_totp(family)
    keys = [ProofKey() for _ in range(2)]
    code = totp_code(secret, now())
    deeds = [functools.partial(finish, member.pending(key), code, key) for key in keys]
    with Race[Family](2) as duel:
        granted, refused = split(duel.run(*deeds), SecondFactorRefusedError)
    assert (len(granted), len(refused)) == (1, 1)
    assert is_admitted(granted[0].key, granted[0].access_token)


def test_a_sign_in_demands_that_its_step_is_still_ahead(
    proxy: Proxy, member: Person, family: Family
) -> None:
    """A later step that is used between its read and its write makes its code an old one."""
    secret, key, at_s = member.add_totp(family), ProofKey(), now() + 10 * STEP_S
    held = member.factors.totp
    assert held is not None
    stored = tables.totp_key(member.account, held.enrolment)
    ticket = member.pending(key, at_s=at_s)
    between = proxy.meanwhile(
        TRANSACTION, lambda: records.forge(stored, last_step=at_s // STEP_S + 1)
    )
    with pytest.raises(SecondFactorRefusedError):
        finish(ticket, totp_code(secret, at_s), key, at_s=at_s)
    assert between.hits == 1


def test_an_unconfirmed_enrolment_is_no_second_factor(member: Person, family: Family) -> None:
    """Before its confirmation no code of it signs in."""
    _, secret = _enrolled(family)
    key = ProofKey()
    with pytest.raises(SecondFactorRefusedError):
        finish(member.pending(key), totp_code(secret, now()), key)


def test_an_unapproved_totp_is_provisional_for_a_day(member: Person, family: Family) -> None:
    """To the second: a thief of a session gains nothing by a TOTP of his own."""
    secret = member.add_totp(family, approved=False)
    held = member.factors.totp
    assert held is not None
    day_after = held.added_at + PROVISIONAL_S
    for at_s, step_s, acr in (
        (now(), 0, "provisional"),
        (day_after - 1, 0, "provisional"),
        (day_after, STEP_S, "mfa"),  # the same step, perhaps, whose code is used by now
    ):
        key = ProofKey()
        ticket = member.pending(key, at_s=at_s)
        started = finish(ticket, totp_code(secret, at_s + step_s), key, at_s=at_s)
        assert jws.claims_of(started.access_token)["acr"] == acr


# Removal


def test_a_removed_totp_signs_in_no_more_and_ends_every_other_session(
    member: Person, family: Family
) -> None:
    """Removal kills every session but the one that removed it, and every pending sign-in."""
    secret, other, key = member.add_totp(family), member.sign_in(), ProofKey()
    ticket = member.pending(key)
    member.remove_totp(family)
    with pytest.raises(TicketRefusedError):
        finish(ticket, totp_code(secret, now()), key)
    with pytest.raises(SecondFactorRefusedError):
        finish(member.pending(key), totp_code(secret, now()), key)
    assert not is_admitted(other.key, other.access_token)
    with pytest.raises(InvalidGrantError):
        other.refresh()
    onward = family.renewed()
    assert is_admitted(onward.key, onward.access_token)
    assert records.events(member.account)[-1]["kind"] == "totp-removed"


def test_a_removal_needs_an_approval(product: Product, person: Person, family: Family) -> None:
    """Nothing is removed on the word of a session alone, nor with a spent approval."""
    person.add_totp(family)
    with unchanged(product[0]), pytest.raises(ApprovalRequiredError):
        totp_enrolment.remove(family.principal("DELETE", "/totp"), now_s=now())


def test_what_is_not_there_is_not_removed(product: Product, person: Person, family: Family) -> None:
    """Without TOTP there is nothing to remove, with an approval either."""
    approval = person.approve(family, REMOVE)
    principal = family.principal("DELETE", "/totp", act=REMOVE, approval=approval)
    with unchanged(product[0]), pytest.raises(NoSuchFactorError):
        totp_enrolment.remove(principal, now_s=now())


def test_the_last_way_in_is_not_removed(product: Product, member: Person, family: Family) -> None:
    """With a password and no passkey left, TOTP stays."""
    secret = member.add_totp(family)
    held = member.factors
    dynamodb.execute(held.next(passkeys=()).written_after(held))
    key = ProofKey()
    started = finish(member.pending(key), totp_code(secret, now()), key)
    principal = started.principal("DELETE", "/totp")
    with unchanged(product[0]), pytest.raises(LastFactorError):
        totp_enrolment.remove(principal, now_s=now())


def test_a_code_that_overtakes_the_removal_does_not_sign_in(member: Person, family: Family) -> None:
    """However a sign-in and a removal fall, no session of the removed factor is live after both."""
    for _ in range(3):
        secret, key = member.add_totp(family), ProofKey()
        ticket, code = member.pending(key), totp_code(secret, now())
        approval = member.approve(family, REMOVE)
        principal = family.principal("DELETE", "/totp", act=REMOVE, approval=approval)
        with Race[Family | None](2) as duel:
            started, removed = duel.run(
                functools.partial(finish, ticket, code, key),
                functools.partial(totp_enrolment.remove, principal, now_s=now()),
            )
        assert removed is None
        if isinstance(started, Family):
            assert not is_admitted(started.key, started.access_token)
        else:
            assert isinstance(started, SecondFactorRefusedError | TicketRefusedError)
        family = family.renewed()


def test_guesses_at_a_confirmation_are_counted(product: Product, person: Person) -> None:
    """Thirty tries an hour are looked at, whatever they are."""
    family = person.sign_in()
    enrolment, secret = _enrolled(family)
    wrong = _other(*_neighbours(secret, now()), *_neighbours(secret, now() + STEP_S))
    for _ in range(throttle.ENROLMENT_BY_ACCOUNT.burst - 1):
        with pytest.raises(CodeRefusedError):
            _confirm(enrolment, wrong, family)
    with unchanged(product[0]), pytest.raises(TooManyRequestsError):
        _confirm(enrolment, totp_code(secret, now()), family)
