"""Sign-in with a passkey: what starts a session, and everything that does not."""

import functools

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import accounts, challenges, sign_in, tables
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.passkeys import Assertion, CounterRegressedError, PasskeyRefusedError
from portcullis.identity.standing import AccountRestrictedError
from portcullis.identity.starting import SignInRefusedError
from portcullis.identity.tokens import Tokens
from portcullis.settings import setting
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    OPEN_OPTIONS,
    SIGN_IN,
    SIGN_IN_OPTIONS,
    SOURCE,
    Person,
    admit,
    family_of,
    now,
    proof_of,
)
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled
from tests.support import faults, jws
from tests.support.authenticator import Authenticator, Misbehaviour
from tests.support.dpop import ProofKey
from tests.support.faults import TRANSACTION, Proxy

CROWD = 16
REPETITIONS_MAX = 20

pytestmark = pytest.mark.contract


def _present(answer: Assertion, key: ProofKey, *, at_s: int | None = None) -> Tokens:
    now_s = now() if at_s is None else at_s
    return sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=SOURCE, now_s=now_s)


def test_a_sign_in_starts_one_session(person: Person) -> None:
    """A sign-in yields tokens of a session bound to its key, and reports it with one event."""
    family = person.sign_in()
    token = admit(family.key, family.access_token)
    session = family.stored
    assert (token.sub, token.sid, token.gen) == (person.account, session.sid, 1)
    assert token.cnf.jkt == session.jkt == family.key.jkt
    assert (token.acr, token.amr) == ("phr", ["pop", "user", "mfa"])
    assert [event["kind"] for event in records.events(person.account)] == [
        "account-opened",
        "session-started",
    ]


MISBEHAVIOURS = {
    "another origin": Misbehaviour(origin="https://api.example.test.evil.test"),
    "another port": Misbehaviour(origin="https://api.example.test:8443"),
    "an insecure origin": Misbehaviour(origin="http://api.example.test"),
    "a subdomain": Misbehaviour(origin="https://www.api.example.test"),
    "a cross-origin frame": Misbehaviour(cross_origin=True),
    "another relying party": Misbehaviour(rp_id="evil.test"),
    "a parent relying party": Misbehaviour(rp_id="example.test"),
    "no verified user": Misbehaviour(user_verified=False),
    "no present user": Misbehaviour(user_present=False),
    "another ceremony": Misbehaviour(ceremony="webauthn.create"),
    "another key": Misbehaviour(signed_by=jws.new_key()),
}


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS)
def test_a_wrong_response_is_refused(
    product: Product, person: Person, misbehaviour: Misbehaviour
) -> None:
    """A response that is wrong in one way starts nothing and uses nothing up."""
    key = ProofKey()
    answer = person.assertion(key, misbehaviour=misbehaviour)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(answer, key)


@pytest.mark.parametrize("count", [1, 2])
def test_a_counter_that_does_not_grow_is_refused(
    product: Product, person: Person, count: int
) -> None:
    """A counter that stands still or runs back is a cloned authenticator's: its owner is told."""
    person.sign_in()
    person.sign_in()
    key = ProofKey()
    answer = person.assertion(key, misbehaviour=Misbehaviour(sign_count=count))
    credential = tables.credential_key(person.authenticator.credentials[-1].id)
    stored = dynamodb.get(tables.identity(), credential)
    with pytest.raises(CounterRegressedError):
        _present(answer, key)
    assert dynamodb.get(tables.identity(), credential) == stored
    assert [event["kind"] for event in records.events(person.account)[3:]] == [
        "passkey-counter-regressed"
    ]
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(answer, key)  # told once, whoever sends the answer again
    person.sign_in()


@pytest.mark.parametrize("eligible", [False, True])
def test_a_passkey_that_changes_its_backup_eligibility_is_refused(
    product: Product, *, eligible: bool
) -> None:
    """Web Authentication section 6.1.3: whether a passkey may be synced never changes."""
    person = Person.with_account(Authenticator(backup_eligible=eligible))
    person.sign_in()
    person.authenticator.backup_eligible = not eligible
    key = ProofKey()
    answer = person.assertion(key)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(answer, key)


def test_the_user_handle_of_another_account_is_refused(product: Product, person: Person) -> None:
    """A passkey opens the account that it was registered for, whatever handle comes with it."""
    other = Person.with_account()
    for handle in (other.handle, bytes(16), b"short", bytes(64)):
        key = ProofKey()
        answer = person.assertion(key, misbehaviour=Misbehaviour(user_handle=handle))
        with only_throttled(product[0]), pytest.raises(SignInRefusedError):
            _present(answer, key)


def test_a_missing_user_handle_is_refused(product: Product, person: Person) -> None:
    """A discoverable passkey always says whose it is; without that there is no sign-in."""
    key = ProofKey()
    answer = person.assertion(key)
    nameless = answer.response.model_copy(update={"userHandle": None})
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(answer.model_copy(update={"response": nameless}), key)


def test_an_unknown_passkey_is_refused(product: Product, person: Person) -> None:
    """A passkey that was never registered is refused, though its handle is an account's."""
    stranger = Person(person.account, Authenticator())
    options = accounts.options(proof=proof_of(ProofKey(), OPEN_OPTIONS), source=SOURCE, now_s=now())
    options["user"]["id"] = jws.b64url(person.handle)
    stranger.authenticator.create(options, setting("PUBLIC_ORIGIN"))
    key = ProofKey()
    answer = stranger.assertion(key)
    with only_throttled(product[0]), pytest.raises(SignInRefusedError):
        _present(answer, key)


def test_the_id_of_anothers_passkey_is_refused(product: Product, person: Person) -> None:
    """A response under another passkey's id does not verify with that passkey's key."""
    other = Person.with_account()
    key = ProofKey()
    answer = person.assertion(key)
    theirs = jws.b64url(other.authenticator.credentials[-1].id)
    swapped = answer.model_copy(update={"id": theirs, "rawId": theirs})
    with only_throttled(product[0]), pytest.raises(SignInRefusedError):
        _present(swapped, key)


# The challenge


def test_a_challenge_is_answered_once(product: Product, person: Person) -> None:
    """A response that started a session starts no second one, with a fresh proof either."""
    key = ProofKey()
    answer = person.assertion(key)
    _present(answer, key)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(answer, key)


def test_a_challenge_of_another_key_is_refused(product: Product, person: Person) -> None:
    """Only the key that asked may answer: no login CSRF, no challenge swap."""
    key = ProofKey()
    answer = person.assertion(key)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(answer, ProofKey())
    _present(answer, key)


def test_a_challenge_of_another_ceremony_is_refused(product: Product, person: Person) -> None:
    """A challenge that was given out to open an account does not sign in."""
    key = ProofKey()
    options = accounts.options(proof=proof_of(key, OPEN_OPTIONS), source=SOURCE, now_s=now())
    request = {"challenge": options["challenge"], "rpId": options["rp"]["id"]}
    answer = person.authenticator.get(request, setting("PUBLIC_ORIGIN"))
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(Assertion.model_validate(answer), key)


def test_a_challenge_that_nobody_gave_out_is_refused(product: Product, person: Person) -> None:
    """A challenge of the client's own making is refused."""
    key = ProofKey()
    for challenge in (bytes(32), b"x", b""):
        answer = person.assertion(key, misbehaviour=Misbehaviour(challenge=challenge))
        with (
            only_throttled(product[0]),
            pytest.raises((ChallengeRefusedError, PasskeyRefusedError)),
        ):
            _present(answer, key)


@pytest.mark.parametrize("late_s", [0, 1, 3_600])
def test_an_old_challenge_is_refused(product: Product, person: Person, late_s: int) -> None:
    """A challenge lives five minutes, to the second."""
    key, at_s = ProofKey(), now()
    timely, late = (person.assertion(key, at_s=at_s) for _ in range(2))
    _present(timely, key, at_s=at_s + challenges.LIFETIME_S - 1)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _present(late, key, at_s=at_s + challenges.LIFETIME_S + late_s)


# The proof, the standing, the services


def test_a_replayed_proof_starts_nothing(product: Product, person: Person) -> None:
    """A good response with a used proof is refused, and its challenge stays unused."""
    key = ProofKey()
    answer, used = person.assertion(key), proof_of(key, SIGN_IN)
    sign_in.options(proof=used, source=SOURCE, now_s=now())
    with only_throttled(product[0]), pytest.raises(ProofReplayedError):
        sign_in.sign_in(answer, proof=used, source=SOURCE, now_s=now())
    _present(answer, key)


def test_a_proof_gives_out_one_challenge(product: Product, person: Person) -> None:
    """A proof that was used for options gives out no second challenge, of either ceremony."""
    assert person
    used = proof_of(ProofKey(), SIGN_IN_OPTIONS)
    sign_in.options(proof=used, source=SOURCE, now_s=now())
    for options in (sign_in.options, accounts.options):
        with only_throttled(product[0]), pytest.raises(ProofReplayedError):
            options(proof=used, source=SOURCE, now_s=now())


def test_a_restricted_account_does_not_sign_in(product: Product, person: Person) -> None:
    """While its standing does not allow it, an account starts no session."""
    records.restrict(product[0], person.account)
    key = ProofKey()
    answer = person.assertion(key)
    with only_throttled(product[0]), pytest.raises(AccountRestrictedError):
        _present(answer, key)


def test_a_stranger_does_not_learn_of_a_restriction(product: Product, person: Person) -> None:
    """A response that does not verify hears nothing about the account's standing."""
    records.restrict(product[0], person.account)
    key = ProofKey()
    answer = person.assertion(key, misbehaviour=Misbehaviour(signed_by=jws.new_key()))
    with pytest.raises(PasskeyRefusedError):
        _present(answer, key)


def test_a_quarantine_during_a_sign_in_leaves_no_session(
    product: Product, proxy: Proxy, person: Person
) -> None:
    """A kill between a sign-in's read and its write is obeyed: no session, no event."""
    key = ProofKey()
    answer = person.assertion(key)
    killed = proxy.meanwhile(
        TRANSACTION,
        lambda: records.kill(product[0], person.account, status=records.RESTRICTED),
        matching=lambda body: "session-started" in str(body),
    )
    with pytest.raises(AccountRestrictedError):
        _present(answer, key)
    assert killed.hits == 1
    assert [event["kind"] for event in records.events(person.account)] == ["account-opened"]


def test_a_kill_during_a_sign_in_leaves_no_session_of_the_old_epoch(
    product: Product, proxy: Proxy, person: Person
) -> None:
    """A sign-in that straddles a kill belongs to the new epoch, wholly."""
    key = ProofKey()
    answer = person.assertion(key)
    killed = proxy.meanwhile(
        TRANSACTION,
        lambda: records.kill(product[0], person.account),
        matching=lambda body: "session-started" in str(body),
    )
    family = family_of(_present(answer, key), key)
    assert killed.hits == 1
    assert family.stored.epoch == accounts.FIRST_EPOCH + 1
    assert admit(key, family.access_token).epoch == accounts.FIRST_EPOCH + 1
    assert [event.get("sid") for event in records.events(person.account)] == [None, family.sid]


def test_a_failure_of_kms_uses_nothing_up(product: Product, person: Person) -> None:
    """When the signature cannot be had, challenge, counter and proof stay good."""
    key = ProofKey()
    answer, proof = person.assertion(key), proof_of(key, SIGN_IN)
    product[1].failing.add("Sign")
    with only_throttled(product[0]), pytest.raises(InfrastructureError):
        sign_in.sign_in(answer, proof=proof, source=SOURCE, now_s=now())
    product[1].failing.clear()
    sign_in.sign_in(answer, proof=proof, source=SOURCE, now_s=now())


@pytest.mark.parametrize("operation", ["BatchGetItem", "ExecuteTransaction"])
def test_a_failure_of_the_store_starts_nothing(
    product: Product, proxy: Proxy, person: Person, operation: str
) -> None:
    """When the store does not answer, nothing is started and everything stays good."""
    key = ProofKey()
    person.sign_in()
    answer, proof = person.assertion(key), proof_of(key, SIGN_IN)
    proxy.fail_before(operation, times=faults.ALWAYS)
    with only_throttled(product[0]), pytest.raises(InfrastructureError):
        sign_in.sign_in(answer, proof=proof, source=SOURCE, now_s=now())
    proxy.heal()
    sign_in.sign_in(answer, proof=proof, source=SOURCE, now_s=now())


# Many at once


def test_a_crowd_that_answers_one_challenge_starts_one_session(person: Person) -> None:
    """Of 16 who present one response at once, each with its own proof, one gets a session."""
    for _ in range(5):
        before = len(records.events(person.account))
        key = ProofKey()
        answer = person.assertion(key)
        with Race[Tokens](CROWD) as crowd:
            outcomes = crowd.run(*[functools.partial(_present, answer, key)] * CROWD)
        # A batch read is no snapshot: a loser may see the counter moved before the challenge used.
        granted, _ = split(outcomes, ChallengeRefusedError, PasskeyRefusedError)
        assert len(granted) == 1
        added = records.events(person.account)[before:]
        assert [event["sid"] for event in added] == [family_of(granted[0], key).sid]
        admit(key, granted[0].access_token)


def _until_signed_in(answer: Assertion, key: ProofKey) -> Tokens:
    for _ in range(REPETITIONS_MAX):
        try:
            return _present(answer, key)
        except InfrastructureError:
            continue  # 503: the same request may be sent again
    raise AssertionError("never signed in")


def test_sign_ins_of_one_account_at_once_number_their_events(product: Product) -> None:
    """Sixteen devices that sign in at once get a session each, their events in unbroken order."""
    assert product
    person = Person.with_account(Authenticator(backup_eligible=True, counts=False))
    keys = [ProofKey() for _ in range(CROWD)]
    deeds = [functools.partial(_until_signed_in, person.assertion(key), key) for key in keys]
    with Race[Tokens](CROWD) as crowd:
        started, _ = split(crowd.run(*deeds), AccountRestrictedError)
    families = [family_of(tokens, key) for tokens, key in zip(started, keys, strict=True)]
    reported = [event["sid"] for event in records.events(person.account)[1:]]
    assert sorted(reported) == sorted(family.sid for family in families)
    for family in families:
        assert admit(family.key, family.access_token).sid == family.sid
