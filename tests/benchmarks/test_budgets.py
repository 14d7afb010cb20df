"""`make bench`: each operation's calls and round trips against its budget, and its CPU time.

Counts are held: one too many fails. CPU time is printed and never held, for it is this machine's:
process time, so with the key service of the tests, which signs in the same process, and without
DynamoDB Local, which is another one.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from portcullis.aws import clients
from portcullis.identity import sign_in
from portcullis.source import Source
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    SIGN_IN,
    SOURCE,
    TOKEN,
    Family,
    Person,
    admit,
    now,
    proof_of,
)
from tests.contract.ledger import orders
from tests.contract.ledger.bank import ROLES, Bank
from tests.support.dpop import ProofKey
from tests.support.faults import Proxy
from tests.support.meter import Meter, Rounds

RUNS = 25
LONG_AGO_S = 120
"""An age at which a sighting is due again."""

VERIFICATION_US = 50
"""One ES256 signature verified by hand, claims and all."""
CALL_US = {"Get": 122, "Put": 153, "Update": 153, "Execute": 183, "Transact": 183}
"""One call by a thin SigV4 client over http, by the first word of the operation; KMS as a read.

Both measured apart on a machine like this one, 2026-11-23: botocore takes 700 to 870.
"""

type Deed = Callable[[], object]
type Prepare = Callable[[], Deed]
"""Makes all that a client brings, and returns what is then measured."""


@dataclass(frozen=True)
class Operation:
    """What is measured, and how much it may cost.

    Attributes:
        prepare: Makes one such request.
        calls: Most calls to AWS, retries and all.
        rounds: Most of them one after the other (the budget of the design, section 11).
        verifications: How many signatures it has to verify, for the floor.
    """

    prepare: Prepare
    calls: int
    rounds: int
    verifications: int


@dataclass(frozen=True)
class Cpu:
    """Microseconds of CPU: the median and the best run, which a busy machine parts."""

    median: float
    best: float


@dataclass(frozen=True)
class Measured:
    """One operation's cost."""

    counts: dict[str, int]
    rounds: int
    cpu_us: Cpu

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(self.counts.values())

    def floor_us(self, verifications: int) -> int:
        """Return what the calls and verifications would take by the thinnest means measured."""
        calls = sum(
            next((us for word, us in CALL_US.items() if name.startswith(word)), CALL_US["Get"])
            * count
            for name, count in self.counts.items()
        )
        return calls + verifications * VERIFICATION_US


def _operations(product: Product, person: Person) -> dict[str, Operation]:
    return {
        "gate, GET": Operation(_admission(person, "GET"), 1, 1, 2),
        "gate, unsafe method": Operation(_admission(person, "POST"), 2, 1, 2),
        "gate, GET with a due sighting": Operation(_due_sighting(product, person), 2, 2, 2),
        "refresh": Operation(_refresh(person), 3, 3, 1),
        "passkey sign-in": Operation(_sign_in(person), 5, 4, 3),
        "ledger, transfer": Operation(_transfer(Bank(*product)), 3, 3, 3),
    }


def _session(person: Person) -> Family:
    family = person.sign_in()
    admit(family.key, family.access_token)  # the first sight of its generation
    return family


def _admission(person: Person, method: str) -> Prepare:
    family = _session(person)
    return lambda: lambda: admit(family.key, family.access_token, method=method)


def _due_sighting(product: Product, person: Person) -> Prepare:
    family = _session(person)

    def prepare() -> Deed:
        records.see(product[0], family.sid, seen_at=now() - LONG_AGO_S)
        return lambda: admit(family.key, family.access_token)

    return prepare


def _refresh(person: Person) -> Prepare:
    family = _session(person)
    held = [family.refresh_token]

    def prepare() -> Deed:
        presented, proof = held[-1], proof_of(family.key, TOKEN)
        return lambda: held.append(family.refresh(presented, proof=proof).refresh_token)

    return prepare


def _sign_in(person: Person) -> Prepare:
    # Each from a network of its own in one country: in a shared one, the throttle of a second
    # that others came in writes twice (tests/contract/identity/test_budgets.py).
    networks = itertools.count(64)

    def prepare() -> Deed:
        key = ProofKey()
        answer, proof = person.assertion(key), proof_of(key, SIGN_IN)
        address = f"81.2.{next(networks)}.142"
        source = Source.of(address=address, user_agent=SOURCE.user_agent)
        return lambda: sign_in.sign_in(answer, proof=proof, source=source, now_s=now())

    return prepare


def _transfer(bank: Bank) -> Prepare:
    giver, taker = bank.holder("1000.00"), bank.holder()

    def prepare() -> Deed:
        command = bank.command("transfer", giver, orders.transfer(taker.account, "1.00"))
        return lambda: bank.obey(command, role=ROLES["transfer"])

    return prepare


def _cpu_us(prepare: Prepare) -> Cpu:
    prepare()()  # warm: keys, secrets and connections are there
    spent = []
    for _ in range(RUNS):
        deed = prepare()
        before = time.process_time()
        deed()
        spent.append((time.process_time() - before) * 1e6)
    return Cpu(median=statistics.median(spent), best=min(spent))


def _row(name: str, operation: Operation, measured: Measured) -> str:
    return (
        f"{name:<31}{measured.calls:>5} /{operation.calls:>2}"
        f"{measured.rounds:>7} /{operation.rounds:>2}"
        f"{measured.cpu_us.median:>10.0f}{measured.cpu_us.best:>8.0f}"
        f"{measured.floor_us(operation.verifications):>10}"
    )


def test_every_operation_keeps_its_budget(
    product: Product,
    person: Person,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No operation asks AWS more often, or waits for it more times, than it may."""
    operations = _operations(product, person)
    cpu_us = {name: _cpu_us(operation.prepare) for name, operation in operations.items()}
    proxy: Proxy = request.getfixturevalue("proxy")  # from here on, or its time would be ours
    meter = Meter(proxy, product[1])
    rounds = Rounds(*(clients.client(service) for service in ("dynamodb", "kms")))
    measured: dict[str, Measured] = {}
    for name, operation in operations.items():
        deed = operation.prepare()
        meter.read(), rounds.read()
        deed()
        measured[name] = Measured(meter.read(), rounds.read(), cpu_us[name])
    with capsys.disabled():
        print(f"\n\n{'':<31}{'calls':>9}{'rounds':>11}{'CPU us':>10}{'best':>8}{'floor':>10}")
        for name, one in measured.items():
            print(_row(name, operations[name], one))
        print(f"\ncalls and rounds: counted / allowed. CPU: median and best of {RUNS} runs; floor:")
        print(
            "the same calls and verifications by the thinnest client measured, on a quiet machine."
        )
    over = [
        name
        for name, one in measured.items()
        if one.calls > operations[name].calls or one.rounds > operations[name].rounds
    ]
    assert over == []
