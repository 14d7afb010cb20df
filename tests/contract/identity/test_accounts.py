"""The opening of an account: what opens one, and everything that does not."""

import functools
from typing import Any

import pytest

from portcullis.errors import InfrastructureError
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import accounts, challenges, sign_in
from portcullis.identity.certifier import EnrolmentRefusedError
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.enrolment import PasskeyKnownError
from portcullis.identity.passkeys import PasskeyRefusedError, Registration
from portcullis.settings import setting
from tests.contract.conftest import CERTIFIER
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    OPEN,
    OPEN_OPTIONS,
    SIGN_IN_OPTIONS,
    SOURCE,
    Person,
    now,
    open_account,
    proof_and_compact,
    proof_of,
    registered,
    same_passkey,
)
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled
from tests.support import faults
from tests.support.authenticator import Authenticator, Misbehaviour
from tests.support.dpop import ProofKey
from tests.support.faults import Proxy
from tests.support.functions import Functions

CROWD = 16

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("product")]


def _present(registration: Registration, key: ProofKey, *, at_s: int | None = None) -> str:
    return open_account(registration, key, at_s=at_s)


def _options(key: ProofKey) -> dict[str, Any]:
    return accounts.options(proof=proof_of(key, OPEN_OPTIONS), source=SOURCE, now_s=now())


def test_an_account_is_named_by_its_user_handle_and_can_sign_in() -> None:
    """An opened account is active in its first epoch, and its passkey signs in to it."""
    person = Person.with_account()
    family = person.sign_in()
    assert family.account == person.account
    assert family.stored.epoch == accounts.FIRST_EPOCH
    standing = person.standing
    assert (standing.frozen_until, standing.approval_required_since) == (0, 0)
    assert [one.id for one in person.factors.passkeys] == [person.passkey]
    assert len({Person.with_account().account for _ in range(3)}) == 3


MISBEHAVIOURS = {
    "another origin": Misbehaviour(origin="https://evil.test"),
    "an insecure origin": Misbehaviour(origin="http://api.example.test"),
    "a cross-origin frame": Misbehaviour(cross_origin=True),
    "another relying party": Misbehaviour(rp_id="evil.test"),
    "no verified user": Misbehaviour(user_verified=False),
    "no present user": Misbehaviour(user_present=False),
    "another ceremony": Misbehaviour(ceremony="webauthn.get"),
}


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS)
def test_a_wrong_response_is_refused(product: Product, misbehaviour: Misbehaviour) -> None:
    """A response that is wrong in one way opens nothing and uses nothing up."""
    key = ProofKey()
    registration = registered(Authenticator(), key, misbehaviour=misbehaviour)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(registration, key)


def test_a_challenge_opens_one_account(product: Product) -> None:
    """A response that opened an account opens no second one, with a fresh proof either."""
    key = ProofKey()
    registration = registered(Authenticator(), key)
    _present(registration, key)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(registration, key)


def test_a_challenge_takes_one_passkey(product: Product) -> None:
    """A second passkey under a used challenge opens nothing, and is not added to the account."""
    key = ProofKey()
    options = _options(key)
    first, second = (
        Registration.model_validate(Authenticator().create(options, setting("PUBLIC_ORIGIN")))
        for _ in range(2)
    )
    _present(first, key)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(second, key)


def test_a_challenge_of_another_key_is_refused(product: Product) -> None:
    """Only the key that asked may answer."""
    key = ProofKey()
    registration = registered(Authenticator(), key)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(registration, ProofKey())
    _present(registration, key)


def test_a_challenge_of_another_ceremony_is_refused(product: Product) -> None:
    """A challenge that was given out for a sign-in opens no account."""
    key = ProofKey()
    given = sign_in.options(proof=proof_of(key, SIGN_IN_OPTIONS), source=SOURCE, now_s=now())
    options = {**_options(key), "challenge": given["challenge"]}
    answer = Authenticator().create(options, setting("PUBLIC_ORIGIN"))
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(Registration.model_validate(answer), key)


def test_a_challenge_that_nobody_gave_out_is_refused(product: Product) -> None:
    """A challenge of the client's own making is refused."""
    key = ProofKey()
    registration = registered(Authenticator(), key, misbehaviour=Misbehaviour(challenge=bytes(32)))
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(registration, key)


@pytest.mark.parametrize("late_s", [0, 3_600])
def test_an_old_challenge_is_refused(product: Product, late_s: int) -> None:
    """A challenge lives five minutes, to the second."""
    at_s, answered = now(), []
    for key in (ProofKey(), ProofKey()):
        options = accounts.options(proof=proof_of(key, OPEN_OPTIONS), source=SOURCE, now_s=at_s)
        answer = Authenticator().create(options, setting("PUBLIC_ORIGIN"))
        answered.append((Registration.model_validate(answer), key))
    (timely, its_key), (late, other_key) = answered
    _present(timely, its_key, at_s=at_s + challenges.LIFETIME_S - 1)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(late, other_key, at_s=at_s + challenges.LIFETIME_S + late_s)


def test_a_passkey_is_registered_once(product: Product, person: Person) -> None:
    """A passkey that opens an account cannot be bound to a second one, and keeps its own."""
    key = ProofKey()
    again = same_passkey(person.authenticator, _options(key))
    with only_throttled(product[0]), pytest.raises(PasskeyKnownError):
        _present(again, key)
    assert person.sign_in().account == person.account


def test_a_replayed_proof_opens_nothing(product: Product) -> None:
    """A good response with a used proof is refused, and its challenge stays unused."""
    key = ProofKey()
    registration, used = registered(Authenticator(), key), proof_and_compact(key, OPEN)
    accounts.options(proof=used[0], source=SOURCE, now_s=now())
    with only_throttled(product[0]), pytest.raises(ProofReplayedError):
        open_account(registration, key, shown=used)
    _present(registration, key)


@pytest.mark.parametrize("operation", ["GetItem", "ExecuteTransaction"])
def test_a_failure_of_the_store_opens_nothing(
    product: Product, proxy: Proxy, operation: str
) -> None:
    """When the store does not answer, nothing is opened and everything stays good."""
    key = ProofKey()
    registration, shown = registered(Authenticator(), key), proof_and_compact(key, OPEN)
    proxy.fail_before(operation, times=faults.ALWAYS)
    with only_throttled(product[0]), pytest.raises(InfrastructureError):
        open_account(registration, key, shown=shown)
    proxy.heal()
    open_account(registration, key, shown=shown)


@pytest.mark.parametrize("fault", ["failing", "throttled", "losing"])
def test_a_failure_of_the_certifier_opens_nothing(
    product: Product, functions: Functions, fault: str
) -> None:
    """Without a certificate nothing is opened, and challenge and proof stay good."""
    key = ProofKey()
    registration, shown = registered(Authenticator(), key), proof_and_compact(key, OPEN)
    failing: set[str] = getattr(functions, fault)
    failing.add(CERTIFIER)
    with only_throttled(product[0]), pytest.raises(InfrastructureError):
        open_account(registration, key, shown=shown)
    failing.clear()
    open_account(registration, key, shown=shown)


def test_a_failure_of_kms_opens_nothing(product: Product) -> None:
    """When the certificate cannot be signed, nothing is opened and everything stays good."""
    tables, keys = product
    key = ProofKey()
    registration, shown = registered(Authenticator(), key), proof_and_compact(key, OPEN)
    keys.failing.add("Sign")
    with only_throttled(tables), pytest.raises(InfrastructureError):
        open_account(registration, key, shown=shown)
    keys.failing.clear()
    open_account(registration, key, shown=shown)


def test_a_crowd_that_answers_one_challenge_opens_one_account(product: Product) -> None:
    """Of 16 who present one response at once, each with its own proof, one opens the account."""
    key = ProofKey()
    registration = registered(Authenticator(), key)
    with Race[str](CROWD) as crowd:
        outcomes = crowd.run(*[functools.partial(_present, registration, key)] * CROWD)
    # The certifier may be the first to see that the account is there.
    refusals = (ChallengeRefusedError, PasskeyKnownError, EnrolmentRefusedError)
    (account,) = [one for one in outcomes if not isinstance(one, refusals)]
    assert isinstance(account, str)
    assert [event["kind"] for event in records.events(account)] == ["account-opened"]
    assert len(records.everything(product[0])[product[0].standing]) == 1


def test_a_crowd_with_one_passkey_opens_one_account(product: Product) -> None:
    """One passkey registered under 16 challenges at once opens one account and leaves no other."""
    holder, first = Authenticator(), ProofKey()
    registrations = [registered(holder, first)]
    registrations += [same_passkey(holder, _options(first)) for _ in range(CROWD - 1)]
    with Race[str](CROWD) as crowd:
        deeds = [functools.partial(_present, one, first) for one in registrations]
        granted, _ = split(crowd.run(*deeds), PasskeyKnownError)
    assert len(granted) == 1
    assert len(records.everything(product[0])[product[0].standing]) == 1
    records.events(granted[0])
