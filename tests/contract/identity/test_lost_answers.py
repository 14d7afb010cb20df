"""Committed, then lost: what the SDK repeats must look like success, never like an attack.

Each single-use write is done by the engine and its answer withheld, so that the SDK sends it
again: once with DynamoDB's own memory of the transaction (`ClientRequestToken`), and once without
it, where the repetition fails its own condition and only the attempt id tells whose it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from portcullis.aws import secret
from portcullis.errors import InfrastructureError
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import accounts, families, once, revocation, sessions, sign_in, tokens
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.gate import SessionTerminatedError
from portcullis.identity.standing import QUARANTINED
from portcullis.source import Source
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    ELSEWHERE,
    OPEN_OPTIONS,
    SIGN_IN,
    SIGN_IN_OPTIONS,
    SOURCE,
    TOKEN,
    Family,
    Person,
    admit,
    family_of,
    now,
    open_account,
    proof_of,
    registered,
)
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey
from tests.support.faults import TRANSACTION, Dropped, Fault, Loss, Operation, Proxy

NOWHERE = Source.of(address="10.0.0.1", user_agent=SOURCE.user_agent)
"""An address that no database places."""
ATTEMPTS = 2
"""What the product's SDK may try for one call."""

pytestmark = pytest.mark.contract


@dataclass(frozen=True)
class Losing:
    """The way to the tables, and how it loses the next answer."""

    proxy: Proxy
    by: Loss

    def next(self, operation: Operation) -> Fault:
        """Lose the answer to the next request of *operation*, once it is committed."""
        self.proxy.calls.clear()
        return self.proxy.lose_answer(operation, by=self.by)


@pytest.fixture(
    params=[(Loss.DROPPED, False), (Loss.ERROR, True), (Loss.SILENCE, True)],
    ids=["dropped-remembered", "error-own-condition", "silence-own-condition"],
)
def losing(request: pytest.FixtureRequest, proxy: Proxy) -> Losing:
    """A way that loses answers, with and without DynamoDB's memory of transactions."""
    by, proxy.without_idempotency = request.param
    tokens.family_keys()  # the zone's secret is there: its making is a test of its own
    return Losing(proxy, by)


def _was_repeated(losing: Losing, fault: Fault) -> None:
    assert fault.hits == 1
    assert losing.proxy.count(fault.operations) == ATTEMPTS


def test_a_rotation(losing: Losing, family: Family) -> None:
    """A rotation whose answer was lost yields its tokens, rotates once, and keeps its retry."""
    lost = losing.next(TRANSACTION)
    rotated = family.refresh()
    _was_repeated(losing, lost)
    session = family.stored
    assert (session.status, session.generation, session.retries) == (sessions.LIVE, 2, 0)
    admit(family.key, rotated.access_token)
    family.refresh(rotated.refresh_token)


def test_a_sealed_retry(losing: Losing, family: Family) -> None:
    """A sealed retry whose answer was lost yields the same successor and counts once."""
    rotated = family.refresh()
    lost = losing.next(TRANSACTION)
    retried = family.refresh()
    _was_repeated(losing, lost)
    assert retried.refresh_token == rotated.refresh_token
    session = family.stored
    assert (session.status, session.generation, session.retries) == (sessions.LIVE, 2, 1)
    family.refresh(retried.refresh_token)


def test_the_begin_of_a_baseline(losing: Losing, person: Person) -> None:
    """A sign-in whose answer was lost is judged from its first request on, as any."""
    key = ProofKey()
    answer, proof = person.assertion(key), proof_of(key, SIGN_IN)
    lost = losing.next(TRANSACTION)
    started = sign_in.sign_in(answer, proof=proof, source=SOURCE, now_s=now())
    _was_repeated(losing, lost)
    family = family_of(started, key)
    with pytest.raises(SessionTerminatedError):
        admit(family.key, family.access_token, source=ELSEWHERE)
    assert person.standing.is_quarantined


def test_a_kill(losing: Losing, person: Person) -> None:
    """A kill whose answer was lost refuses its request, and kills once, with one event."""
    family = person.sign_in()
    lost = losing.next(TRANSACTION)
    with pytest.raises(SessionTerminatedError):
        admit(family.key, family.access_token, source=ELSEWHERE)
    _was_repeated(losing, lost)
    assert (person.standing.status, person.standing.epoch) == (QUARANTINED, 2)
    told = [event["kind"] for event in records.events(person.account)]
    assert told.count("account-quarantined") == 1
    assert len(records.verdicts(person.account)) == 1


def test_a_demand(losing: Losing, person: Person) -> None:
    """A demand whose answer was lost lets its request pass once it stands, and is told once."""
    family = person.sign_in()
    lost = losing.next(TRANSACTION)
    admit(family.key, family.access_token, source=NOWHERE)
    _was_repeated(losing, lost)
    assert person.standing.approval_required_since > 0
    told = [event["kind"] for event in records.events(person.account)]
    assert told.count("approval-demanded") == 1


def test_a_first_sight_of_a_place(losing: Losing, person: Person) -> None:
    """A new place whose recording lost its answer is known: it demands nothing again."""
    family = person.sign_in()
    lost = losing.next("UpdateItem")
    for _ in range(2):
        admit(family.key, family.access_token, source=NOWHERE)
    _was_repeated(losing, lost)
    told = [event["kind"] for event in records.events(person.account)]
    assert told.count("approval-demanded") == 1


def test_a_sign_in(losing: Losing, person: Person) -> None:
    """A sign-in whose answer was lost yields the tokens of the one session that it started."""
    key = ProofKey()
    answer = person.assertion(key)
    lost = losing.next(TRANSACTION)
    started = sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=SOURCE, now_s=now())
    _was_repeated(losing, lost)
    family = family_of(started, key)
    admit(key, started.access_token)
    kinds = [(event["kind"], event.get("sid")) for event in records.events(person.account)]
    assert kinds == [("account-opened", None), ("session-started", family.sid)]
    family.refresh()


def test_the_opening_of_an_account(losing: Losing) -> None:
    """An opening whose answer was lost yields the account that it opened, with one event."""
    key, authenticator = ProofKey(), Authenticator()
    registration = registered(authenticator, key)
    lost = losing.next(TRANSACTION)
    account = open_account(registration, key)
    _was_repeated(losing, lost)
    assert [event["kind"] for event in records.events(account)] == ["account-opened"]
    assert Person(account, authenticator).sign_in().account == account


@pytest.mark.parametrize(
    ("path", "options"),
    [(OPEN_OPTIONS, accounts.options), (SIGN_IN_OPTIONS, sign_in.options)],
    ids=["open-account", "sign-in"],
)
def test_a_challenge(losing: Losing, path: str, options: Callable[..., dict[str, object]]) -> None:
    """A challenge whose storing lost its answer is given out, and its proof is used up."""
    key = ProofKey()
    proof = proof_of(key, path)
    lost = losing.next(TRANSACTION)
    given = options(proof=proof, source=SOURCE, now_s=now())
    _was_repeated(losing, lost)
    assert given["challenge"]
    with pytest.raises(ProofReplayedError):
        options(proof=proof, source=SOURCE, now_s=now())


def test_the_answer_to_such_a_challenge(losing: Losing, person: Person) -> None:
    """A challenge whose storing lost its answer can be answered."""
    lost = losing.next(TRANSACTION)
    family = person.sign_in()
    assert lost.hits == 1
    admit(family.key, family.access_token)


def test_the_use_of_a_proof(losing: Losing, family: Family) -> None:
    """A proof whose use lost its answer counts as used by its own request, and by no other."""
    proof = proof_of(family.key, TOKEN)
    lost = losing.next("PutItem")
    once.consume(proof)
    _was_repeated(losing, lost)
    with pytest.raises(ProofReplayedError):
        once.consume(proof)


def test_a_request_at_the_gate(losing: Losing, family: Family) -> None:
    """An unsafe request whose proof's use lost its answer passes."""
    lost = losing.next("PutItem")
    admit(family.key, family.access_token, method="POST")
    _was_repeated(losing, lost)


def test_a_first_sight(losing: Losing, family: Family) -> None:
    """A first sight whose answer was lost lets its request pass, and is recorded."""
    rotated = family.refresh()
    lost = losing.next("UpdateItem")
    admit(family.key, rotated.access_token)
    _was_repeated(losing, lost)
    losing.proxy.calls.clear()
    admit(family.key, rotated.access_token)
    assert losing.proxy.calls == {"BatchGetItem": 1}
    with pytest.raises(InvalidGrantError):
        family.refresh()


def test_a_revocation(losing: Losing, family: Family) -> None:
    """An ending whose answer was lost is an ending, with one event."""
    lost = losing.next(TRANSACTION)
    revocation.revoke(family.refresh_token, now_s=now())
    _was_repeated(losing, lost)
    assert family.stored.status == sessions.ENDED
    assert records.ends(family.account, family.sid) == ["revoked"]


def test_the_end_of_a_reused_family(losing: Losing, person: Person) -> None:
    """A reuse whose ending lost its answer is refused as ever, and ends the family once."""
    family = person.session_at(1)
    family.refresh(family.refresh().refresh_token)
    lost = losing.next(TRANSACTION)
    with pytest.raises(InvalidGrantError):
        family.refresh()
    _was_repeated(losing, lost)
    assert records.ends(family.account, family.sid) == ["refresh-token-reused"]


@pytest.mark.parametrize("forgetful", [False, True], ids=["remembered", "own-condition"])
def test_the_making_of_the_zones_secret(product: Product, proxy: Proxy, *, forgetful: bool) -> None:
    """The first user of the zone's secret finds what it made, though the answer was lost."""
    proxy.without_idempotency = forgetful
    lost = proxy.lose_answer("ExecuteTransaction")
    made = tokens.family_keys().mint(families.Handle.new(bytes(16)), 1)
    text = tokens.family_keys().text(made)
    assert lost.hits == 1
    secret.secret.cache_clear()  # another environment reads the same
    assert tokens.family_keys().parse(text) == made
    assert product[1].calls["GenerateDataKeyWithoutPlaintext"] == 1


# Beyond one repetition


@pytest.mark.parametrize("forgetful", [False, True], ids=["remembered", "own-condition"])
def test_a_retry_between_a_rotation_and_its_repetition(
    proxy: Proxy, family: Family, *, forgetful: bool
) -> None:
    """A rotation knows itself again by its proof, when a retry has already moved the session."""
    proxy.without_idempotency = forgetful
    retried: list[str] = []
    lost = proxy.lose_answer(TRANSACTION)
    between = proxy.meanwhile(TRANSACTION, lambda: retried.append(family.refresh().refresh_token))
    rotated = family.refresh()
    assert (lost.hits, between.hits) == (1, 1)
    assert retried == [rotated.refresh_token]
    assert (family.stored.status, family.stored.retries) == (sessions.LIVE, 1)
    family.refresh(rotated.refresh_token)


def test_a_rotation_that_is_never_confirmed_is_found_by_the_sealed_retry(
    proxy: Proxy, family: Family
) -> None:
    """When every answer is lost the caller hears 503, and its own retry gets the successor."""
    lost = proxy.lose_answer(TRANSACTION, times=ATTEMPTS)
    with pytest.raises(InfrastructureError):
        family.refresh()
    assert lost.hits == ATTEMPTS
    assert family.stored.generation == 2
    retried = family.refresh()
    assert family.stored.generation == 2
    family.refresh(retried.refresh_token)


def test_anothers_attempt_is_not_ones_own(proxy: Proxy, person: Person) -> None:
    """A proof used by another request meanwhile is a replay even to one that has to repeat."""
    proof = proof_of(person.key, TOKEN)
    first, second = person.session_at(1), person.session_at(1)
    proxy.without_idempotency = True
    proxy.calls.clear()

    def overtake() -> None:
        first.refresh(proof=proof)
        raise Dropped

    lost = proxy.meanwhile(TRANSACTION, overtake)
    with pytest.raises(ProofReplayedError):
        second.refresh(proof=proof)
    assert lost.hits == 1
    assert proxy.count(TRANSACTION) == 1 + ATTEMPTS
    assert second.stored.generation == 1
