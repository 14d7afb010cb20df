"""Once, and not twice: each flow repeated, doubled, and with its answer lost."""

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import person as persons
from portcullis.identity import sessions, tables, tokens
from portcullis.identity.tokens import Tokens
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.flows import FLOWS, Flow
from tests.contract.identity.people import Family, Person
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled
from tests.support import faults, jws
from tests.support.faults import TRANSACTION, Loss, Proxy

pytestmark = pytest.mark.contract

EACH = pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)


@pytest.fixture(autouse=True)
def _warm(person: Person) -> None:
    """Keys and secrets are there: their making is a transaction of its own."""
    persons.ensured(person.account)
    tables.throttle_secret()


def _kinds(person: Person) -> list[str]:
    return [event["kind"] for event in records.events(person.account)]


@EACH
def test_the_same_request_again_is_refused(
    product: Product, person: Person, family: Family, flow: Flow
) -> None:
    """What came a second time, with the very same proof, is refused and changes nothing."""
    deed = flow.prepare(person, family)
    before = _kinds(person)
    deed()
    assert _kinds(person)[len(before) :] == list(flow.kinds)
    with only_throttled(product[0]), pytest.raises(flow.repeated):
        deed()


@EACH
def test_of_the_same_request_twice_at_once_one_counts(
    person: Person, family: Family, flow: Flow
) -> None:
    """Two copies of one request at the same moment: one is done, and reported, once."""
    deed = flow.prepare(person, family)
    before = _kinds(person)
    with Race[object](2) as duel:
        granted, refused = split(duel.run(deed, deed), RefusedError)
    assert (len(granted), len(refused)) == (1, 1)
    assert _kinds(person)[len(before) :] == list(flow.kinds)


@EACH
def test_what_the_store_did_not_take_may_be_sent_again(
    proxy: Proxy, person: Person, family: Family, flow: Flow
) -> None:
    """When the store fails nothing is done, and the very same request succeeds afterwards."""
    deed = flow.prepare(person, family)
    before = _kinds(person)
    failed = proxy.fail_before(TRANSACTION, times=faults.ALWAYS)
    with pytest.raises(InfrastructureError):
        deed()
    assert failed.hits > 0
    proxy.heal()
    assert _kinds(person) == before
    if flow.guesses:
        with pytest.raises(ProofReplayedError):
            deed()
    else:
        deed()
        assert _kinds(person)[len(before) :] == list(flow.kinds)


@EACH
@pytest.mark.parametrize("forgetful", [False, True], ids=["remembered", "own-condition"])
def test_a_lost_answer_is_a_success(
    proxy: Proxy, person: Person, family: Family, flow: Flow, *, forgetful: bool
) -> None:
    """Committed, and its answer lost: the SDK's repetition is this very attempt's success."""
    deed = flow.prepare(person, family)
    before = _kinds(person)
    proxy.without_idempotency = forgetful
    lost = proxy.lose_answer(TRANSACTION, by=Loss.ERROR if forgetful else Loss.DROPPED)
    proxy.calls.clear()
    yielded = deed()
    assert (lost.hits, proxy.count(TRANSACTION)) == (1, 2)
    assert _kinds(person)[len(before) :] == list(flow.kinds)
    if isinstance(yielded, Tokens):
        sid = str(jws.claims_of(yielded.access_token)["sid"])
        stored = dynamodb.get(tables.identity(), tables.session_key(sid))
        assert stored is not None
        digest = tokens.family_keys().parse(yielded.refresh_token).digest
        assert (stored["status"], stored["current"]) == (sessions.LIVE, digest)
    with pytest.raises(flow.repeated):
        deed()
