"""The deployed stack that the system tests talk to.

They start their own, on free ports; PORTCULLIS_STACK names a running one to be used instead.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.ports import free_ports
from infra.local.stack import start
from tests.support.stack import Stack

HERE = Path(__file__).parent
NAME = "portcullis-test"
TIMEOUT_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests in one worker: there is one stack."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)
            # The first one builds and deploys the stack, and a life passes by every cold function.
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
            item.add_marker(pytest.mark.xdist_group("system"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of this session alone, or the running one that the environment names."""
    chosen = os.environ.get("PORTCULLIS_STACK")
    if chosen:
        yield Stack.load(chosen)
        return
    local = tmp_path_factory.mktemp("local")
    running = start(name=NAME, ports=free_ports(), home=local / NAME)
    try:
        yield Stack.load(NAME, local=local)
    finally:
        running.stop()
