"""Round trips, counted at the endpoints: what each operation may ask of AWS once it is warm."""

import threading

import pytest

from portcullis.identity import accounts, revocation, sign_in
from portcullis.identity.families import InvalidGrantError
from portcullis.source import Source
from tests.contract.conftest import CERTIFIER
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    OPEN,
    SIGN_IN,
    SIGN_IN_OPTIONS,
    TOKEN,
    Family,
    Person,
    admit,
    now,
    proof_and_compact,
    proof_of,
    registered,
)
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey
from tests.support.faults import Proxy
from tests.support.functions import Functions
from tests.support.meter import Meter

MEETING_TIMEOUT_S = 5.0
ALONE = Source.of(address="198.51.100.7", user_agent="")
"""From a network where nobody else comes from."""

pytestmark = pytest.mark.contract


@pytest.fixture
def meter(product: Product, proxy: Proxy, family: Family) -> Meter:
    """A meter on a warm environment: keys and secret are there, and a gate has seen a token."""
    admit(family.key, family.access_token)
    return Meter(proxy, product[1])


def test_a_read_at_the_gate_is_one_round_trip(meter: Meter, family: Family) -> None:
    """In steady state the gate asks once for a GET."""
    for _ in range(3):
        admit(family.key, family.access_token)
        assert meter.read() == {"BatchGetItem": 1}


def test_an_unsafe_request_at_the_gate_is_one_round_trip_wide(
    meter: Meter, proxy: Proxy, family: Family
) -> None:
    """In steady state an unsafe request asks twice, and both are on their way at once."""
    meeting = threading.Barrier(2)
    for operation in ("BatchGetItem", "PutItem"):
        # Each waits for the other: one after the other they would wait in vain.
        proxy.meanwhile(operation, lambda: meeting.wait(MEETING_TIMEOUT_S))
    admit(family.key, family.access_token, method="POST")
    assert meter.read() == {"BatchGetItem": 1, "PutItem": 1}
    assert not meeting.broken


def test_a_first_sight_is_two_round_trips(meter: Meter, family: Family) -> None:
    """The first request of a generation writes its sight, and no later one does."""
    rotated = family.refresh()
    meter.read()
    admit(family.key, rotated.access_token)
    assert meter.read() == {"BatchGetItem": 1, "UpdateItem": 1}
    admit(family.key, rotated.access_token)
    assert meter.read() == {"BatchGetItem": 1}


def test_a_refresh_is_three_round_trips(meter: Meter, family: Family) -> None:
    """A rotation and a retry each read once, sign once and write once."""
    for _ in ("rotation", "retry"):
        family.refresh()
        assert meter.read() == {"BatchGetItem": 1, "Sign": 1, "TransactWriteItems": 1}


def test_a_refused_refresh_signs_nothing(meter: Meter, family: Family) -> None:
    """A stranger with a live token costs one read; a spent one is read, and its end written."""
    proof = proof_of(ProofKey(), TOKEN)
    with pytest.raises(InvalidGrantError):
        family.refresh(proof=proof)
    assert meter.read() == {"BatchGetItem": 1}
    family.refresh(family.refresh().refresh_token)
    meter.read()
    with pytest.raises(InvalidGrantError):
        family.refresh()
    assert meter.read() == {"BatchGetItem": 2, "ExecuteTransaction": 1}


def test_a_sign_in_is_four_round_trips(meter: Meter, person: Person) -> None:
    """After its options, a sign-in is throttled, reads once, signs once and writes once.

    The second read, of where the account's other sessions are, is beside the signature.
    """
    key = ProofKey()
    answer = person.assertion(key)
    meter.read()
    sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=ALONE, now_s=now())
    assert meter.read() == {
        "UpdateItem": 1,
        "BatchGetItem": 2,
        "Sign": 1,
        "ExecuteTransaction": 1,
    }


def test_a_sign_in_among_others_is_five_round_trips(meter: Meter, person: Person) -> None:
    """In a network that others come from in the same second, only the throttle writes once more."""
    at_s, key = now(), ProofKey()
    for expected in (1, 2):
        answer = person.assertion(key)
        meter.read()
        sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=ALONE, now_s=at_s)
        assert meter.read() == {
            "UpdateItem": expected,
            "BatchGetItem": 2,
            "Sign": 1,
            "ExecuteTransaction": 1,
        }


def test_options_are_two_round_trips(meter: Meter) -> None:
    """A challenge is given out with one write, after the throttle's."""
    sign_in.options(proof=proof_of(ProofKey(), SIGN_IN_OPTIONS), source=ALONE, now_s=now())
    assert meter.read() == {"UpdateItem": 1, "ExecuteTransaction": 1}


def test_the_opening_of_an_account_is_four_round_trips_and_three_of_the_certifier(
    meter: Meter, functions: Functions
) -> None:
    """An opening is throttled, reads, asks the certifier, who reads twice and signs, and writes."""
    key = ProofKey()
    registration, (proof, compact) = registered(Authenticator(), key), proof_and_compact(key, OPEN)
    meter.read()
    functions.calls.clear()
    accounts.open_account(
        registration, proof=proof, compact_proof=compact, source=ALONE, now_s=now()
    )
    assert functions.calls == {CERTIFIER: 1}
    # The challenge is read here and there: the certifier takes nobody's word.
    assert meter.read() == {"UpdateItem": 1, "GetItem": 3, "Sign": 1, "ExecuteTransaction": 1}


def test_a_revocation_is_two_round_trips(meter: Meter, family: Family) -> None:
    """A revocation reads once and writes once; of an ended session it reads once."""
    revocation.revoke(family.refresh_token, now_s=now())
    assert meter.read() == {"BatchGetItem": 1, "ExecuteTransaction": 1}
    revocation.revoke(family.refresh_token, now_s=now())
    assert meter.read() == {"BatchGetItem": 1}
