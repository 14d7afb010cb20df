"""The passkeys of an account: added, renamed, removed, and the last of them never."""

import functools
from dataclasses import replace

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.evidence.approvals import Act
from portcullis.identity import changes, factors, passkey_adding, passkey_list, sign_in, tables
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.enrolment import PasskeyKnownError
from portcullis.identity.factors import (
    PASSKEYS_MAX,
    LastFactorError,
    NoSuchFactorError,
    TooManyPasskeysError,
)
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.gate import SessionTerminatedError
from portcullis.identity.passkey_adding import Addition
from portcullis.identity.passkeys import CounterRegressedError, Registration
from portcullis.identity.starting import SignInRefusedError
from portcullis.refusals import ApprovalRefusedError, ApprovalRequiredError
from portcullis.settings import setting
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    SIGN_IN,
    SOURCE,
    Family,
    Person,
    caller_of,
    is_admitted,
    now,
    proof_of,
    same_passkey,
)
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled, unchanged
from tests.support import jws
from tests.support.authenticator import Authenticator, CeremonyRefusedError, Misbehaviour
from tests.support.dpop import ProofKey
from tests.support.faults import TRANSACTION, Proxy

DUELS = 5
CROWD = 8
LABEL = "the blue one"

pytestmark = pytest.mark.contract


def _acr(family: Family) -> object:
    return jws.claims_of(family.access_token)["acr"]


def _newcomer(person: Person, family: Family, *, approved: bool = True) -> Person:
    """The same person with one passkey more, on another authenticator."""
    holder = Authenticator()
    person.add_passkey(family, holder, approver=person if approved else None)
    return Person(person.account, holder)


def _add(registration: Registration, family: Family) -> object:
    """Add an answered passkey without an approval."""
    who = caller_of(family.key, family.access_token, "POST", "/passkeys")
    return passkey_adding.add(
        Addition(credential=registration),
        principal=changes.principal(who, route=("POST", "/passkeys"), now_s=now()),
        evidence=who,
        now_s=now(),
    )


def _answered(family: Family) -> Registration:
    options = passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now())
    answer = Authenticator().create(options, setting("PUBLIC_ORIGIN"))
    return Registration.model_validate(answer)


# Adding


def test_a_passkey_that_an_older_one_approved_is_a_full_factor_at_once(
    person: Person, family: Family
) -> None:
    """An approved passkey signs in with full assurance, and its owner is told of it."""
    newcomer = _newcomer(person, family)
    assert _acr(newcomer.sign_in()) == "phr"
    (added,) = [one for one in records.events(person.account) if one["kind"] == "passkey-added"]
    factor = person.factors.passkey(newcomer.passkey)
    assert added["passkey"] == factor.id
    assert added["established_at"] == factor.established_at == factor.added_at


def test_a_passkey_that_nobody_approved_is_provisional_for_a_day(
    person: Person, family: Family
) -> None:
    """To the second: until then it signs in provisionally, from then on fully."""
    newcomer = _newcomer(person, family, approved=False)
    day_after = newcomer.factors.passkey(newcomer.passkey).established_at
    assert day_after == newcomer.factors.passkey(newcomer.passkey).added_at + factors.PROVISIONAL_S
    assert _acr(newcomer.sign_in()) == "provisional"
    assert _acr(newcomer.sign_in(at_s=day_after - 1)) == "provisional"
    assert _acr(newcomer.sign_in(at_s=day_after)) == "phr"


def test_the_options_exclude_the_passkeys_that_are_there(person: Person, family: Family) -> None:
    """An authenticator that holds a passkey of the account makes no second one."""
    with pytest.raises(CeremonyRefusedError):
        person.add_passkey(family, person.authenticator)


def test_a_passkey_of_the_account_is_added_once(
    product: Product, person: Person, family: Family
) -> None:
    """The same passkey under a new challenge is a conflict, and changes nothing."""
    options = passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now())
    again = same_passkey(person.authenticator, options)
    with only_throttled(product[0]), pytest.raises(PasskeyKnownError):
        _add(again, family)


def test_a_passkey_of_another_account_stays_its_own(
    product: Product, person: Person, family: Family
) -> None:
    """Nobody adds a passkey that opens somebody else's account."""
    other = Person.with_account()
    options = passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now())
    theirs = same_passkey(other.authenticator, options)
    with only_throttled(product[0]), pytest.raises(PasskeyKnownError):
        _add(theirs, family)
    assert person.account != other.sign_in().account == other.account


def test_a_removed_passkey_is_not_added_again(person: Person, family: Family) -> None:
    """What was removed, perhaps because it was stolen, comes back under no challenge."""
    removed = _newcomer(person, family)
    person.remove_passkey(family, removed.passkey)
    onward = family.renewed()
    options = passkey_adding.options(onward.principal("POST", "/passkeys/options"), now_s=now())
    with pytest.raises(PasskeyKnownError):
        _add(same_passkey(removed.authenticator, options), onward)


def test_a_challenge_of_another_session_adds_nothing(
    product: Product, person: Person, family: Family
) -> None:
    """A passkey is added by the key that asked, and for the account that asked."""
    registration = _answered(family)
    for stranger in (person.sign_in(), Person.with_account().sign_in()):
        with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
            _add(registration, stranger)
    _add(registration, family)


def test_a_challenge_adds_one_passkey(product: Product, family: Family) -> None:
    """A second passkey under a used challenge is refused."""
    options = passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now())
    first, second = (
        Registration.model_validate(Authenticator().create(options, setting("PUBLIC_ORIGIN")))
        for _ in range(2)
    )
    _add(first, family)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _add(second, family)


def test_an_account_holds_sixteen_passkeys(
    product: Product, person: Person, family: Family
) -> None:
    """The seventeenth is refused at its options, and at its addition if there was room before."""
    person.hold(PASSKEYS_MAX - 1)
    registration = _answered(family)
    person.hold(PASSKEYS_MAX)
    with only_throttled(product[0]), pytest.raises(TooManyPasskeysError):
        _add(registration, family)
    with only_throttled(product[0]), pytest.raises(TooManyPasskeysError):
        _answered(family)


def test_of_two_passkeys_for_the_last_place_one_is_added(person: Person, family: Family) -> None:
    """Two additions that both saw room leave sixteen passkeys, not seventeen."""
    person.hold(PASSKEYS_MAX - 1)
    registrations = [_answered(family) for _ in range(2)]
    with Race[object](2) as duel:
        outcomes = duel.run(*(functools.partial(_add, one, family) for one in registrations))
    granted, refused = split(outcomes, TooManyPasskeysError)
    assert (len(granted), len(refused)) == (1, 1)
    assert len(person.factors.passkeys) == PASSKEYS_MAX


# Labels


def test_labels_are_listed_for_their_owner_and_sealed_in_the_table(
    product: Product, person: Person, family: Family
) -> None:
    """The list shows each passkey with its label; no dump of the tables shows one."""
    person.add_passkey(family, Authenticator(), approver=person, label=LABEL)
    passkey_list.rename(
        person.passkey,
        "müllers Telefon",
        principal=family.principal("PATCH", "/passkeys/{id}"),
        now_s=now(),
    )
    listed = passkey_list.show(family.principal("GET", "/passkeys").token)
    assert [one["label"] for one in listed] == ["müllers Telefon", LABEL]
    assert listed[0]["id"] == person.passkey
    assert (listed[0]["last_used_at"], listed[1]["last_used_at"]) != (None, None)
    dump = b"\n".join(records.blobs(product[0]))
    for text in ("müller", LABEL):
        assert text.encode() not in dump


def test_the_list_shows_no_credential_id(person: Person, family: Family) -> None:
    """A passkey has a name of its own in the API: its credential id is nobody's business."""
    listed = passkey_list.show(family.principal("GET", "/passkeys").token)
    raw = person.authenticator.credentials[-1].id
    assert jws.b64url(raw) not in repr(listed)
    assert raw.hex() not in repr(listed)


def test_a_label_belongs_to_its_passkey(person: Person, family: Family) -> None:
    """A sealed label that was moved to another passkey does not open."""
    person.add_passkey(family, Authenticator(), approver=person, label=LABEL)
    held = person.factors
    first, second = held.passkeys
    swapped = (replace(first, label=second.label), second)
    dynamodb.execute(held.next(passkeys=swapped).written_after(held))
    with pytest.raises(InfrastructureError):
        passkey_list.show(family.principal("GET", "/passkeys").token)


def test_only_a_passkey_of_the_account_is_renamed(
    product: Product, person: Person, family: Family
) -> None:
    """Another account's passkey, or none, is not found."""
    other = Person.with_account()
    passkey_list.rename(  # the person's key is there from now on
        person.passkey, "x", principal=family.principal("PATCH", "/passkeys/{id}"), now_s=now()
    )
    for id_ in (other.passkey, "a" * 26, ""):
        principal = family.principal("PATCH", "/passkeys/{id}")
        with unchanged(product[0]), pytest.raises(NoSuchFactorError):
            passkey_list.rename(id_, LABEL, principal=principal, now_s=now())


# Removing


def test_a_removed_passkey_signs_in_no_more_and_ends_every_other_session(
    person: Person, family: Family
) -> None:
    """Removal kills what the passkey had started; the session that removed it goes on."""
    gone = _newcomer(person, family)
    theirs, other = gone.sign_in(), person.sign_in()
    person.remove_passkey(family, gone.passkey)
    with pytest.raises(SignInRefusedError):
        gone.sign_in()
    for ended in (theirs, other):
        assert not is_admitted(ended.key, ended.access_token)
        with pytest.raises(InvalidGrantError):
            ended.refresh()
    onward = family.renewed()
    assert is_admitted(onward.key, onward.access_token)
    assert records.events(person.account)[-1]["kind"] == "passkey-removed"
    assert _acr(person.sign_in()) == "phr"


def test_a_removal_needs_an_approval(product: Product, person: Person, family: Family) -> None:
    """Nothing is removed on the word of a session alone."""
    newcomer = _newcomer(person, family)
    principal = family.principal("DELETE", "/passkeys/{id}")
    with unchanged(product[0]), pytest.raises(ApprovalRequiredError):
        passkey_list.remove(newcomer.passkey, principal=principal, now_s=now())


def test_the_approval_of_one_removal_removes_no_other_passkey(
    person: Person, family: Family
) -> None:
    """An approval names the passkey that is to go."""
    first, second = _newcomer(person, family), _newcomer(person, family)
    approval = person.approve(family, Act(kind="remove-passkey", fields=[first.passkey]))
    with pytest.raises(ApprovalRefusedError):
        family.principal(
            "DELETE",
            "/passkeys/{id}",
            act=Act(kind="remove-passkey", fields=[second.passkey]),
            approval=approval,
        )


def test_the_last_way_in_is_not_removed(product: Product, person: Person, family: Family) -> None:
    """A single passkey stays, though it approves its own removal."""
    act = Act(kind="remove-passkey", fields=[person.passkey])
    approval = person.approve(family, act)
    principal = family.principal("DELETE", "/passkeys/{id}", act=act, approval=approval)
    with unchanged(product[0]), pytest.raises(LastFactorError):
        passkey_list.remove(person.passkey, principal=principal, now_s=now())


def test_a_provisional_passkey_is_no_way_in(
    product: Product, person: Person, family: Family
) -> None:
    """The last established passkey stays, though a provisional one would remain."""
    _newcomer(person, family, approved=False)
    act = Act(kind="remove-passkey", fields=[person.passkey])
    approval = person.approve(family, act)
    principal = family.principal("DELETE", "/passkeys/{id}", act=act, approval=approval)
    with unchanged(product[0]), pytest.raises(LastFactorError):
        passkey_list.remove(person.passkey, principal=principal, now_s=now())


def test_an_unknown_passkey_is_not_removed(
    product: Product, person: Person, family: Family
) -> None:
    """Another account's passkey is not found, and stays that account's."""
    other = Person.with_account()
    act = Act(kind="remove-passkey", fields=[other.passkey])
    approval = person.approve(family, act)
    principal = family.principal("DELETE", "/passkeys/{id}", act=act, approval=approval)
    with unchanged(product[0]), pytest.raises(NoSuchFactorError):
        passkey_list.remove(other.passkey, principal=principal, now_s=now())


def test_two_removals_never_take_the_last_two_passkeys(person: Person, family: Family) -> None:
    """Of two removals at once, each of which would leave the other's passkey, one happens."""
    for _ in range(DUELS):
        other = _newcomer(person, family)
        sessions = [family, other.sign_in()]
        acts = [Act(kind="remove-passkey", fields=[one.passkey]) for one in (other, person)]
        approved = [
            session.principal(
                "DELETE", "/passkeys/{id}", act=act, approval=approver.approve(session, act)
            )
            for session, act, approver in zip(sessions, acts, (person, other), strict=True)
        ]
        removals = [
            functools.partial(passkey_list.remove, act.fields[0], principal=principal, now_s=now())
            for act, principal in zip(acts, approved, strict=True)
        ]
        with Race[None](2) as duel:
            outcomes = duel.run(*removals)
        removed, refused = split(
            outcomes, SessionTerminatedError, LastFactorError, ApprovalRefusedError
        )
        assert (len(removed), len(refused)) == (1, 1)
        (left,) = person.factors.passkeys
        person = next(one for one in (person, other) if one.passkey == left.id)
        family = person.sign_in()


def test_a_removal_that_another_one_overtakes_is_decided_anew(
    proxy: Proxy, person: Person, family: Family
) -> None:
    """A removal that is written between the read and the write of another leaves the last one."""
    other = _newcomer(person, family)
    theirs = other.sign_in()
    act = Act(kind="remove-passkey", fields=[other.passkey])
    approval = person.approve(family, act)
    principal = family.principal("DELETE", "/passkeys/{id}", act=act, approval=approval)
    between = proxy.meanwhile(
        TRANSACTION,
        lambda: other.remove_passkey(theirs, person.passkey),
        matching=lambda body: "passkey-removed" in str(body),
    )
    with pytest.raises(RefusedError):
        passkey_list.remove(other.passkey, principal=principal, now_s=now())
    assert between.hits == 1
    assert [one.id for one in person.factors.passkeys] == [other.passkey]
    assert _acr(other.sign_in()) == "phr"


def test_a_passkey_that_is_removed_during_its_sign_in_does_not_sign_in(
    proxy: Proxy, person: Person, family: Family
) -> None:
    """Removed between the sign-in's read and its write, it starts no session."""
    gone = _newcomer(person, family)
    key = ProofKey()
    answer = gone.assertion(key)
    between = proxy.meanwhile(
        TRANSACTION,
        lambda: person.remove_passkey(family, gone.passkey),
        matching=lambda body: "session-started" in str(body),
    )
    with pytest.raises(SignInRefusedError):
        sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=SOURCE, now_s=now())
    assert between.hits == 1
    assert "session-started" not in [one["kind"] for one in records.events(person.account)[3:]]


def test_a_sign_in_demands_the_factors_that_it_saw(
    proxy: Proxy, person: Person, family: Family
) -> None:
    """Not the kill alone: a passkey that leaves the factors in between starts no session."""
    gone = _newcomer(person, family)
    key = ProofKey()
    answer, held = gone.assertion(key), person.factors
    left = held.without(gone.passkey, now_s=now())
    between = proxy.meanwhile(
        TRANSACTION,
        lambda: dynamodb.execute(left.written_after(held)),
        matching=lambda body: "session-started" in str(body),
    )
    with pytest.raises(SignInRefusedError):
        sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=SOURCE, now_s=now())
    assert between.hits == 1


# Counters


def test_a_crowd_with_a_cloned_passkey_is_reported_once(person: Person) -> None:
    """Many who send one answer with an old counter are all refused, and the owner is told once."""
    person.sign_in()
    key = ProofKey()
    answer = person.assertion(key, misbehaviour=Misbehaviour(sign_count=1))
    stored = dynamodb.get(tables.identity(), _key_of(person))

    def present() -> object:
        return sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=SOURCE, now_s=now())

    with Race[object](CROWD) as crowd:
        granted, refused = split(
            crowd.run(*[present] * CROWD), CounterRegressedError, ChallengeRefusedError
        )
    assert (len(granted), len(refused)) == (0, CROWD)
    assert dynamodb.get(tables.identity(), _key_of(person)) == stored
    kinds = [one["kind"] for one in records.events(person.account)]
    assert kinds == ["account-opened", "session-started", "passkey-counter-regressed"]


def test_a_counter_that_moves_on_in_between_is_not_lowered(proxy: Proxy, person: Person) -> None:
    """A sign-in demands the counter that it saw: a clone's later use is not written over."""
    key = ProofKey()
    answer = person.assertion(key)
    between = proxy.meanwhile(
        TRANSACTION,
        lambda: records.forge(_key_of(person), sign_count=1_000),
        matching=lambda body: "session-started" in str(body),
    )
    with pytest.raises(CounterRegressedError):
        sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=SOURCE, now_s=now())
    assert between.hits == 1
    stored = dynamodb.get(tables.identity(), _key_of(person))
    assert stored is not None
    assert stored["sign_count"] == 1_000


def test_a_cloned_passkey_approves_nothing(person: Person, family: Family) -> None:
    """An answer with an old counter is no approval, and is reported as at a sign-in."""
    clone = person.authenticator.credentials[-1]
    clone.sign_count -= 1
    with pytest.raises(CounterRegressedError):
        person.approve(family, Act(kind="mint-recovery-codes", fields=[]))
    assert records.events(person.account)[-1]["kind"] == "passkey-counter-regressed"
    clone.sign_count += 1
    person.approve(family, Act(kind="mint-recovery-codes", fields=[]))


@pytest.mark.usefixtures("product")
def test_a_synced_passkey_that_counts_nothing_is_no_clone() -> None:
    """A counter that is always zero says nothing (WebAuthn section 6.1.1)."""
    person = Person.with_account(Authenticator(backup_eligible=True, counts=False))
    for _ in range(3):
        family = person.sign_in()
    person.approve(family, Act(kind="mint-recovery-codes", fields=[]))
    assert "passkey-counter-regressed" not in {
        one["kind"] for one in records.events(person.account)
    }


def _key_of(person: Person) -> dynamodb.Key:
    return tables.credential_key(person.authenticator.credentials[-1].id)
