"""Recovery: a code lets a new passkey in, provisionally, and lowers nothing."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError, TooManyRequestsError
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import StepUpRequiredError
from portcullis.identity import (
    accounts,
    assurance,
    recovery,
    recovery_cancelling,
    recovery_codes,
    standing,
    throttle,
)
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.enrolment import PasskeyKnownError
from portcullis.identity.factors import (
    PASSKEYS_MAX,
    PROVISIONAL_S,
    RECOVERED_MAX,
    TooManyPasskeysError,
)
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.passkeys import PasskeyRefusedError, Registration
from portcullis.identity.recovery_cancelling import NoRecoveryError
from portcullis.identity.recovery_codes import CODES_COUNT, RecoveryRefusedError
from portcullis.identity.standing import (
    FREEZE_S,
    AccountFrozenError,
    AccountRestrictedError,
)
from portcullis.identity.starting import SignInRefusedError
from portcullis.refusals import ApprovalRequiredError
from portcullis.settings import setting
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    OPEN_OPTIONS,
    SOURCE,
    Family,
    Person,
    is_admitted,
    now,
    proof_and_compact,
    proof_of,
    recover,
    same_passkey,
)
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled
from tests.support import jws
from tests.support.authenticator import Authenticator, Misbehaviour
from tests.support.dpop import ProofKey

READS = [route for route, one in assurance.DEMANDS.items() if one.acr == assurance.PROVISIONAL]
DEMANDING = [route for route in assurance.DEMANDS if route not in READS]

pytestmark = pytest.mark.contract


@pytest.fixture
def codes(person: Person, family: Family) -> list[str]:
    """The recovery codes of this person."""
    return person.mint_codes(family)


def _options(code: str, key: ProofKey) -> dict[str, Any]:
    proof = proof_of(key, "/recovery/options")
    return recovery.options(code, proof=proof, source=SOURCE, now_s=now())


def _answered(
    code: str, key: ProofKey, holder: Authenticator | None = None, **wrong: Any
) -> Registration:
    answer = (holder or Authenticator()).create(
        _options(code, key),
        setting("PUBLIC_ORIGIN"),
        misbehaviour=Misbehaviour(**wrong),
    )
    return Registration.model_validate(answer)


def _present(
    code: str,
    registration: Registration,
    key: ProofKey,
    *,
    shown: tuple[Proof, str] | None = None,
) -> tuple[str, int]:
    proof, compact = shown or proof_and_compact(key, "/recovery")
    return recovery.recover(
        code, registration, proof=proof, compact_proof=compact, source=SOURCE, now_s=now()
    )


def _recovered(person: Person, code: str) -> Person:
    """The same person with the passkey that a code has brought."""
    holder = Authenticator()
    recover(code, holder)
    return Person(person.account, holder)


def _acr(family: Family) -> object:
    return jws.claims_of(family.access_token)["acr"]


# Codes


def test_codes_are_ten_and_the_table_does_not_know_them(
    product: Product, person: Person, codes: list[str]
) -> None:
    """Ten of 128 bits, none of which, in any spelling, is in a dump of the tables."""
    assert len(set(codes)) == len(codes) == CODES_COUNT
    dump = b"\n".join(records.blobs(product[0])).upper()
    for code in codes:
        plain = code.replace("-", "")
        assert len(plain) == 26
        assert plain.encode() not in dump
        assert code.encode() not in dump
    assert records.events(person.account)[-1]["kind"] == "recovery-codes-minted"


def test_minting_needs_an_approval(product: Product, family: Family) -> None:
    """A session alone gets no codes."""
    principal = family.principal("POST", "/recovery-codes")
    with only_throttled(product[0]), pytest.raises(ApprovalRequiredError):
        recovery_codes.mint(principal, now_s=now())


def test_a_code_may_be_typed_as_people_type(person: Person, codes: list[str]) -> None:
    """Small letters, spaces and no hyphens are the same code."""
    sloppy = codes[0].replace("-", " ").lower() + " "
    assert _recovered(person, sloppy).sign_in().account == person.account


def _unknown(_: Person, __: list[str]) -> str:
    return recovery_codes.new_code()


def _used(person: Person, codes: list[str]) -> str:
    _recovered(person, codes[0])
    return codes[0]


def _burned(person: Person, codes: list[str]) -> str:
    person.mint_codes(person.sign_in())
    return codes[0]


def _cancelled(person: Person, codes: list[str]) -> str:
    principal = person.sign_in().principal("DELETE", "/recovery")
    recovery_cancelling.cancel(principal, now_s=now())
    return codes[0]


def _mistyped(_: Person, codes: list[str]) -> str:
    return ("B" if codes[0][0] == "A" else "A") + codes[0][1:]


REFUSED: dict[str, Callable[[Person, list[str]], str]] = {
    "unknown": _unknown,
    "used": _used,
    "burned by new ones": _burned,
    "burned by a cancellation": _cancelled,
    "mistyped": _mistyped,
    "too short": lambda _, codes: codes[0][:-1],
    "too long": lambda _, codes: codes[0] + "A",
    "two at once": lambda _, codes: codes[0] + codes[1],
    "of other letters": lambda _, codes: codes[0][:-1] + "1",
    "nothing": lambda _, __: "",
}


@pytest.mark.parametrize("spoil", REFUSED.values(), ids=REFUSED)
def test_every_code_that_is_not_good_has_one_answer(
    person: Person, codes: list[str], spoil: Callable[[Person, list[str]], str]
) -> None:
    """Whatever is wrong with it, it recovers no account, and nobody learns why."""
    code = spoil(person, codes)
    before = person.factors
    with pytest.raises(RecoveryRefusedError) as refused:
        _options(code, ProofKey())
    assert (type(refused.value), refused.value.faults) == (RecoveryRefusedError, ())
    assert person.factors == before


@pytest.mark.parametrize("spoil", [_used, _burned, _cancelled], ids=["used", "burned", "cancelled"])
def test_a_code_that_was_spent_after_its_options_recovers_nothing(
    product: Product,
    person: Person,
    codes: list[str],
    spoil: Callable[[Person, list[str]], str],
) -> None:
    """The code is looked at again when the passkey comes."""
    key = ProofKey()
    registration = _answered(codes[0], key)
    spoil(person, codes)
    with only_throttled(product[0]), pytest.raises(RecoveryRefusedError):
        _present(codes[0], registration, key)


def test_guesses_are_counted_by_network(product: Product, person: Person) -> None:
    """From one network 120 codes an hour are looked at."""
    for _ in range(throttle.RECOVERY_BY_NETWORK.burst):
        throttle.admit(throttle.RECOVERY_BY_NETWORK, SOURCE.network, now_s=now())
    with only_throttled(product[0]), pytest.raises(TooManyRequestsError):
        _options(recovery_codes.new_code(), ProofKey())
    assert person.sign_in().account == person.account


# What a recovery does


def test_a_recovery_ends_every_session_and_freezes(
    person: Person, family: Family, codes: list[str]
) -> None:
    """All sessions die, removals are frozen for a day, and the owner is told."""
    other, before = person.sign_in(), now()
    holder = Authenticator()
    account, frozen_until = recover(codes[0], holder)
    assert account == person.account
    for ended in (family, other):
        assert not is_admitted(ended.key, ended.access_token)
        with pytest.raises(InvalidGrantError):
            ended.refresh()
    assert person.standing.frozen_until == frozen_until
    assert before + FREEZE_S <= frozen_until <= now() + FREEZE_S
    started = records.events(person.account)[-1]
    assert (started["kind"], started["by"]) == ("recovery-started", "code")
    assert started["passkey"] == Person(account, holder).passkey
    assert codes[0] not in repr(started)


def test_its_passkey_is_provisional_for_a_day_and_the_old_one_is_not(
    person: Person, codes: list[str]
) -> None:
    """Until the very second the new passkey is provisional, the older one full all the time."""
    late = _recovered(person, codes[0])
    day_after = late.factors.passkey(late.passkey).established_at
    assert now() < day_after <= now() + PROVISIONAL_S
    assert _acr(late.sign_in()) == assurance.PROVISIONAL
    assert _acr(person.sign_in()) == assurance.PHR
    assert _acr(late.sign_in(at_s=day_after - 1)) == assurance.PROVISIONAL
    assert _acr(late.sign_in(at_s=day_after)) == assurance.PHR


def test_a_provisional_session_reads_and_does_nothing_else(
    person: Person, codes: list[str]
) -> None:
    """Every route of the gate's table that demands more is closed to it."""
    family = _recovered(person, codes[0]).sign_in()
    for method, resource in READS:
        assert family.principal(method, resource).token.acr == assurance.PROVISIONAL
    assert {method for method, _ in READS} == {"GET"}
    for method, resource in DEMANDING:
        with pytest.raises(StepUpRequiredError) as refused:
            family.principal(method, resource)
        assert assurance.PROVISIONAL not in refused.value.acr_values


def test_a_passkey_cannot_be_removed_for_a_day(person: Person, codes: list[str]) -> None:
    """Neither by whoever recovered nor by the owner: who of the two is the thief is not known."""
    late = _recovered(person, codes[0])
    family, until = person.sign_in(), person.standing.frozen_until
    with pytest.raises(AccountFrozenError):
        person.remove_passkey(family, late.passkey)
    last = person.sign_in(at_s=until - 1)
    with pytest.raises(AccountFrozenError):
        person.remove_passkey(last, late.passkey, at_s=until - 1)
    after = person.sign_in(at_s=until)
    person.remove_passkey(after, late.passkey, at_s=until)


def test_totp_cannot_be_removed_for_a_day(person: Person, family: Family) -> None:
    """The freeze is for every factor."""
    person.add_totp(family)
    _recovered(person, person.mint_codes(family)[0])
    again, until = person.sign_in(), person.standing.frozen_until
    with pytest.raises(AccountFrozenError):
        person.remove_totp(again)
    person.remove_totp(person.sign_in(at_s=until), at_s=until)


def test_a_recovery_does_not_shorten_a_freeze(person: Person, codes: list[str]) -> None:
    """A freeze that lasts longer already is kept, and told."""
    long_s = now() + 10 * FREEZE_S
    dynamodb.execute(standing.raised(person.standing, frozen_until=long_s))
    _, until = recover(codes[0], Authenticator())
    assert person.standing.frozen_until == until == long_s


def test_a_recovery_lifts_no_quarantine(product: Product, person: Person, codes: list[str]) -> None:
    """A quarantined account stays so: the new passkey signs in to nothing."""
    records.kill(product[0], person.account, status=records.RESTRICTED)
    late = _recovered(person, codes[0])
    assert person.standing.status == records.RESTRICTED
    for somebody in (late, person):
        with pytest.raises(AccountRestrictedError):
            somebody.sign_in()
    day_after = late.factors.passkey(late.passkey).established_at
    with pytest.raises(AccountRestrictedError):
        late.sign_in(at_s=day_after)


# The ceremony


def test_a_code_of_another_account_does_not_answer(
    product: Product, person: Person, codes: list[str]
) -> None:
    """A challenge that one account's code opened enrols nothing by another account's code."""
    other = Person.with_account()
    theirs = other.mint_codes(other.sign_in())
    key = ProofKey()
    registration = _answered(codes[0], key)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(theirs[0], registration, key)
    assert len(person.factors.passkeys) == len(other.factors.passkeys) == 1


def test_a_challenge_of_another_key_or_ceremony_is_refused(
    product: Product, codes: list[str]
) -> None:
    """Only the key that showed the code may answer, and only to this ceremony."""
    key = ProofKey()
    registration = _answered(codes[0], key)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(codes[0], registration, ProofKey())
    opening = accounts.options(proof=proof_of(key, OPEN_OPTIONS), source=SOURCE, now_s=now())
    answer = Authenticator().create(opening, setting("PUBLIC_ORIGIN"))
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(codes[0], Registration.model_validate(answer), key)
    _present(codes[0], registration, key)


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://evil.test"},
        {"rp_id": "evil.test"},
        {"user_verified": False},
        {"cross_origin": True},
        {"ceremony": "webauthn.get"},
    ],
    ids=["origin", "relying party", "verification", "frame", "ceremony"],
)
def test_a_wrong_response_spends_no_code(
    product: Product, person: Person, codes: list[str], wrong: dict[str, Any]
) -> None:
    """A response that is wrong in one way enrols nothing, and the code stays good."""
    key = ProofKey()
    registration = _answered(codes[0], key, **wrong)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(codes[0], registration, key)
    assert _recovered(person, codes[0]).sign_in().account == person.account


def test_a_passkey_that_is_known_is_refused(
    product: Product, person: Person, codes: list[str]
) -> None:
    """Neither the account's own passkey nor another account's comes in by a code."""
    for holder in (person.authenticator, Person.with_account().authenticator):
        key = ProofKey()
        registration = same_passkey(holder, _options(codes[0], key))
        with only_throttled(product[0]), pytest.raises(PasskeyKnownError):
            _present(codes[0], registration, key)


def test_a_recovery_has_room_of_its_own(product: Product, person: Person, codes: list[str]) -> None:
    """An owner who lost sixteen passkeys can remove none, and comes in; four times at most."""
    person.hold(PASSKEYS_MAX)
    assert _recovered(person, codes[0]).sign_in().account == person.account
    key = ProofKey()
    registration = _answered(codes[1], key)
    person.hold(PASSKEYS_MAX + RECOVERED_MAX)
    with only_throttled(product[0]), pytest.raises(TooManyPasskeysError):
        _present(codes[1], registration, key)


@pytest.mark.parametrize("operation", ["Sign", "GenerateMac"])
def test_a_failure_of_kms_spends_nothing(
    product: Product, person: Person, codes: list[str], operation: str
) -> None:
    """When the certificate or the code's MAC cannot be had, everything stays good."""
    key = ProofKey()
    registration, shown = _answered(codes[0], key), proof_and_compact(key, "/recovery")
    product[1].failing.add(operation)
    with only_throttled(product[0]), pytest.raises(InfrastructureError):
        _present(codes[0], registration, key, shown=shown)
    product[1].failing.clear()
    _present(codes[0], registration, key, shown=shown)
    assert len(person.factors.passkeys) == 2


def test_one_code_recovers_once_of_many_at_once(person: Person, codes: list[str]) -> None:
    """Four who present one code at the same moment, each with a passkey: one comes in."""
    lanes = [ProofKey() for _ in range(4)]
    deeds = [functools.partial(_present, codes[0], _answered(codes[0], key), key) for key in lanes]
    with Race[tuple[str, int]](len(lanes)) as crowd:
        granted, refused = split(crowd.run(*deeds), RecoveryRefusedError)
    assert (len(granted), len(refused)) == (1, len(lanes) - 1)
    assert len(person.factors.passkeys) == 2
    kinds = [one["kind"] for one in records.events(person.account)]
    assert kinds.count("recovery-started") == 1


# Cancellation


def test_an_older_factor_cancels(person: Person, codes: list[str]) -> None:
    """The new passkey is gone, its session dead, all codes burned; the freeze stays."""
    late = _recovered(person, codes[0])
    theirs = late.sign_in()
    family, until = person.sign_in(), person.standing.frozen_until
    recovery_cancelling.cancel(family.principal("DELETE", "/recovery"), now_s=now())
    assert [one.id for one in person.factors.passkeys] == [person.passkey]
    with pytest.raises(SignInRefusedError):
        late.sign_in()
    assert not is_admitted(theirs.key, theirs.access_token)
    with pytest.raises(InvalidGrantError):
        theirs.refresh()
    for code in codes[1:]:
        with pytest.raises(RecoveryRefusedError):
            recovery_codes.find(code, now_s=now())
    assert person.standing.frozen_until == until
    onward = family.renewed()
    assert is_admitted(onward.key, onward.access_token)
    cancelled = records.events(person.account)[-1]
    assert (cancelled["kind"], cancelled["passkeys"]) == ("recovery-cancelled", [late.passkey])


def test_what_was_recovered_long_ago_is_not_cancelled(person: Person, codes: list[str]) -> None:
    """A recovered passkey that has become full stays, though codes are burned."""
    late = _recovered(person, codes[0])
    day_after = late.factors.passkey(late.passkey).established_at
    family = person.sign_in(at_s=day_after)
    principal = family.principal("DELETE", "/recovery", at_s=day_after)
    recovery_cancelling.cancel(principal, now_s=day_after)
    assert {one.id for one in person.factors.passkeys} == {person.passkey, late.passkey}
    assert person.factors.codes == ""


def test_a_passkey_that_was_added_provisionally_is_not_cancelled(
    person: Person, family: Family, codes: list[str]
) -> None:
    """Only what a recovery brought is taken back."""
    person.add_passkey(family, holder := Authenticator())
    late = _recovered(person, codes[0])
    principal = person.sign_in().principal("DELETE", "/recovery")
    recovery_cancelling.cancel(principal, now_s=now())
    left = {one.id for one in person.factors.passkeys}
    assert left == {person.passkey, Person(person.account, holder).passkey}
    assert late.passkey not in left


def test_whoever_recovered_does_not_cancel(person: Person, codes: list[str]) -> None:
    """A provisional session cannot burn the codes that its owner still has."""
    family = _recovered(person, codes[0]).sign_in()
    with pytest.raises(StepUpRequiredError):
        family.principal("DELETE", "/recovery")


def test_there_is_nothing_to_cancel(product: Product, family: Family) -> None:
    """Without a recovery and without codes a cancellation changes nothing."""
    principal = family.principal("DELETE", "/recovery")
    with only_throttled(product[0]), pytest.raises(NoRecoveryError):
        recovery_cancelling.cancel(principal, now_s=now())


def test_a_recovery_and_its_cancellation_leave_no_recovered_session(
    person: Person, codes: list[str]
) -> None:
    """However a recovered sign-in and a cancellation fall, none of its sessions is live after."""
    late = _recovered(person, codes[0])
    principal = person.sign_in().principal("DELETE", "/recovery")
    with Race[Family | None](2) as duel:
        started, cancelled = duel.run(
            late.sign_in, functools.partial(recovery_cancelling.cancel, principal, now_s=now())
        )
    assert cancelled is None
    if isinstance(started, Family):
        assert not is_admitted(started.key, started.access_token)
    else:
        assert isinstance(started, SignInRefusedError)
