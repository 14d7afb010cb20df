"""Contention: retried a bounded number of times, then given up with nothing changed."""

from collections.abc import Callable

import pytest

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ContentionError
from portcullis.errors import InfrastructureError
from portcullis.identity import once, refresh, revocation, sign_in
from portcullis.identity.families import InvalidGrantError
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    OPEN,
    SIGN_IN,
    SIGN_IN_OPTIONS,
    SOURCE,
    TOKEN,
    Family,
    Person,
    admit,
    now,
    open_account,
    proof_and_compact,
    proof_of,
    registered,
)
from tests.contract.identity.records import only_throttled, unchanged
from tests.support import faults
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey
from tests.support.faults import TRANSACTION, Proxy

pytestmark = pytest.mark.contract

type Deed = Callable[[], object]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without pauses: how often is promised here, not how fast."""
    monkeypatch.setattr(entropy, "jitter_s", lambda _: 0.0)


def _rotation(person: Person) -> Deed:
    return person.session_at(1).refresh


def _retry(person: Person) -> Deed:
    family = person.session_at(1)
    family.refresh()
    return family.refresh


def _reuse(person: Person) -> Deed:
    family = person.session_at(1)
    family.refresh(family.refresh().refresh_token)
    return family.refresh


def _revocation(person: Person) -> Deed:
    family = person.session_at(1)
    return lambda: revocation.revoke(family.refresh_token, now_s=now())


def _challenge(_: Person) -> Deed:
    proof = proof_of(ProofKey(), SIGN_IN_OPTIONS)
    return lambda: sign_in.options(proof=proof, source=SOURCE, now_s=now())


def _sign_in(person: Person) -> Deed:
    key = ProofKey()
    answer, proof = person.assertion(key), proof_of(key, SIGN_IN)
    return lambda: sign_in.sign_in(answer, proof=proof, source=SOURCE, now_s=now())


def _opening(_: Person) -> Deed:
    key = ProofKey()
    registration, shown = registered(Authenticator(), key), proof_and_compact(key, OPEN)
    return lambda: open_account(registration, key, shown=shown)


TRANSACTIONS = pytest.mark.parametrize(
    "prepare",
    [_rotation, _retry, _reuse, _revocation, _challenge, _sign_in, _opening],
    ids=lambda prepare: prepare.__name__.strip("_"),
)


@TRANSACTIONS
def test_endless_conflict_is_given_up_with_nothing_changed(
    product: Product, proxy: Proxy, person: Person, prepare: Callable[[Person], Deed]
) -> None:
    """A transaction that others keep colliding with is tried a bounded number of times."""
    deed = prepare(person)
    conflict = proxy.conflict(TRANSACTION, times=faults.ALWAYS)
    with only_throttled(product[0]), pytest.raises(InfrastructureError):
        deed()
    assert conflict.hits == dynamodb.CONTENTION_ROUNDS_MAX


@TRANSACTIONS
def test_conflict_that_passes_is_not_seen(
    proxy: Proxy, person: Person, prepare: Callable[[Person], Deed]
) -> None:
    """A collision that passes within the bound leaves no trace in what the caller hears."""
    deed = prepare(person)
    conflict = proxy.conflict(TRANSACTION, times=dynamodb.CONTENTION_ROUNDS_MAX - 1)
    if prepare is _reuse:
        with pytest.raises(InvalidGrantError):
            deed()
    else:
        deed()
    assert conflict.hits == dynamodb.CONTENTION_ROUNDS_MAX - 1


@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_every_kind_of_contention_is_retried(proxy: Proxy, family: Family, reason: str) -> None:
    """Whichever action is hit, and by whichever kind of contention, the rotation goes on."""
    cancelled = [
        proxy.cancel(TRANSACTION, *["None"] * position, reason, times=2) for position in range(2)
    ]
    family.refresh()
    assert [one.hits for one in cancelled] == [2, 2]
    assert family.stored.generation == 2


@pytest.mark.parametrize(
    "reason", ["ItemCollectionSizeLimitExceeded", "ValidationException", "AccessDenied", "None"]
)
def test_a_failure_that_is_no_contention_is_not_repeated(
    product: Product, proxy: Proxy, family: Family, reason: str
) -> None:
    """What waiting cannot mend is given up at once, even beside contention."""
    for reasons in ((reason,), ("TransactionConflict", reason)):
        if reasons == ("TransactionConflict", "None"):
            continue
        cancelled = proxy.cancel(TRANSACTION, *reasons)
        with unchanged(product[0]), pytest.raises(InfrastructureError):
            family.refresh()
        assert cancelled.hits == 1
        proxy.heal()
    family.refresh()


def test_a_failed_condition_beside_contention_is_decided_anew(proxy: Proxy, family: Family) -> None:
    """A condition that failed is not waited for: the state is read again, and it decides."""
    mixed = proxy.cancel(TRANSACTION, "ConditionalCheckFailed", "TransactionConflict")
    proxy.calls.clear()
    family.refresh()
    assert mixed.hits == 1
    assert (proxy.calls["BatchGetItem"], proxy.count(TRANSACTION)) == (2, 2)


def test_endlessly_failing_conditions_are_given_up(
    product: Product, proxy: Proxy, family: Family
) -> None:
    """A state that never agrees with what was read ends in a bounded number of rounds."""
    failing = proxy.cancel(TRANSACTION, "ConditionalCheckFailed", times=faults.ALWAYS)
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        family.refresh()
    assert failing.hits == refresh.ROUNDS_MAX


@pytest.mark.parametrize(
    "code", ["TransactionConflictException", "ProvisionedThroughputExceededException"]
)
def test_a_proof_that_cannot_be_used_up_does_not_pass(
    product: Product, proxy: Proxy, family: Family, code: str
) -> None:
    """Contention on the proof's own item is no permission."""
    proxy.refuse("PutItem", code, times=faults.ALWAYS)
    proof = proof_of(family.key, TOKEN)
    with unchanged(product[0]), pytest.raises(ContentionError):
        once.consume(proof)
    assert proxy.calls["PutItem"] <= 2
    proxy.heal()
    once.consume(proof)


def test_a_first_sight_that_cannot_be_written_does_not_pass(
    product: Product, proxy: Proxy, family: Family
) -> None:
    """The first sight of a generation is written before its request passes, or it does not."""
    proxy.refuse("UpdateItem", "TransactionConflictException", times=faults.ALWAYS)
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        admit(family.key, family.access_token)
    proxy.heal()
    admit(family.key, family.access_token)
