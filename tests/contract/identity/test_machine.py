"""Random sequences of everything that identity does end as a model of its promises foretells.

``MACHINE_EXAMPLES=150`` runs that many sequences, new ones each time, and shrinks what it finds.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from portcullis import clock
from portcullis.aws import clients, dynamodb
from portcullis.identity import nonces, starting, tokens
from tests.contract.conftest import RESTRAINER
from tests.contract.identity.conftest import Product
from tests.contract.identity.machine import SESSIONS_MAX, Between, Machine, Watch
from tests.support.functions import Functions

STEPS = 30
EXAMPLES = 12
PATIENCE_S = 30.0

pytestmark = pytest.mark.contract


def test_every_sequence_ends_as_the_model_foretells(
    product: Product, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever order things happen in: no session without a sign-in that was strong enough, no
    live token after a kill, no loss of the last way in, and no more for a provisional factor."""
    watch, between = Watch(), Between()

    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(product[0], watch, between)

    # A busy machine makes answers late, and no answer is an outcome that no model foretells.
    monkeypatch.setattr(clients, "READ_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(clients, "INVOCATION_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(clock, "now_s", watch.read)
    monkeypatch.setattr(dynamodb, "execute", between.before(dynamodb.execute))
    monkeypatch.setattr(dynamodb, "transact", between.before(dynamodb.transact))
    monkeypatch.setattr(starting, "SESSIONS_MAX", SESSIONS_MAX)
    tokens.family_keys()
    nonces.fresh()
    asked = os.environ.get("MACHINE_EXAMPLES")
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=int(asked or EXAMPLES),
            stateful_step_count=STEPS,
            derandomize=asked is None,
            database=None,
            deadline=None,
            # Without a number it only has to tell: each step of shrinking takes seconds.
            phases=(Phase.generate, *([Phase.shrink] if asked else [])),
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    assert functions.calls[RESTRAINER] > 0, "nobody was ever seen elsewhere"
