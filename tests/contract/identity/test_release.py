"""The operators' release: two persons, one code, three days in which any factor says no."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from functions.identity.release_account.handler import handler
from portcullis.evidence.errors import InvalidCommandError
from portcullis.evidence.orders import BYTES_MAX
from portcullis.identity import recovery_cancelling, recovery_codes, release, standing, tables
from portcullis.identity.operators import CommandReplayedError, TwoOperatorsRequiredError
from portcullis.identity.recovery_codes import RecoveryRefusedError
from portcullis.identity.release import WAIT_S, NoSuchAccountError, Released
from portcullis.identity.standing import Standing
from portcullis.operations import registry
from portcullis.operations.registry import OperatorRegistration, Registration
from tests.contract.conftest import INTERNAL_ORIGIN, PUBLIC_ORIGIN
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Family, Person, now, recover
from tests.contract.identity.race import Race, split
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.events import Context, Sent
from tests.support.faults import TRANSACTION, Loss, Proxy
from tests.support.operator import Operator, Overrides, release_order, release_path
from tests.support.tables import Tables

pytestmark = pytest.mark.contract

NOW = 1_800_000_000
ROLE = "operator"


@pytest.fixture
def alice(product: Product) -> Operator:
    """A registered operator."""
    assert product
    return registered("alice")


@pytest.fixture
def bob(product: Product) -> Operator:
    """Another one."""
    assert product
    return registered("bob")


def registered(name: str, **key: Any) -> Operator:
    """Return a new operator, registered as an administrator does it."""
    operator = Operator(name, **key)
    registry.register_operator(
        OperatorRegistration(operator=name, key=jws.public_jwk(operator.key))
    )
    return operator


def signed(operator: Operator, account: str, *, at_s: int = NOW, **wrong: Any) -> str:
    """Return an operator's command to release an account."""
    return operator.release(INTERNAL_ORIGIN, account, now=at_s, **wrong)


def released(account: str, *by: Operator, at_s: int = NOW) -> Released:
    """Release an account as two honest operators do."""
    compacts = [signed(one, account, at_s=at_s) for one in by]
    return release.release(account, compacts, caller_role=ROLE, now_s=at_s)


def stored_standing(account: str) -> Standing:
    """Return an account's standing."""
    from portcullis.aws import dynamodb  # noqa: PLC0415

    item = dynamodb.get(tables.standing(), tables.standing_key(account))
    assert item is not None
    return Standing.from_item(item)
