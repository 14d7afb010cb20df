"""The deployed stack that the system tests talk to.

They start their own, on free ports; PORTCULLIS_STACK names a running one to be used instead.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tests.support.stage import Stage

HERE = Path(__file__).parent
NAME = "portcullis-test"
TIMEOUT_S = 900


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests in one worker: there is one stack."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)
            # The first one builds and deploys the stack, and a life passes by every cold function.
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
            item.add_marker(pytest.mark.xdist_group("system"))


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage | None]:
    """A staged stack of this session alone, unless the environment names a running one."""
    if os.environ.get("PORTCULLIS_STACK"):
        yield None
        return
    with Stage.opened(NAME, local=tmp_path_factory.mktemp("local")) as stage:
        yield stage


@pytest.fixture(scope="session")
def stack(staged: Stage | None) -> Stack:
    """The stack of this session, at the machine's own time and address."""
    return staged.stack if staged else Stack.load(os.environ["PORTCULLIS_STACK"])


@pytest.fixture
def stage(staged: Stage | None) -> Iterator[Stage]:
    """The same stack, for a test that moves its clock or comes from elsewhere.

    The clock goes back afterwards. Throttles do not like that (``throttle``): who has moved it must
    come from networks of their own.
    """
    if staged is None:
        pytest.skip("a stack that somebody runs believes nobody about the clock or an address")
    yield staged
    staged.clock.put_ahead(0)
