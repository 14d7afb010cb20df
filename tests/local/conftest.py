"""Both emulators, started once for every test of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.emulators import Emulator, our_emulator, stock_emulator

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests in one worker: it starts the two emulators."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("local"))


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator as published."""
    with stock_emulator(tmp_path_factory.mktemp("stock")) as running:
        yield running


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator as this product runs it."""
    with our_emulator(tmp_path_factory.mktemp("ours")) as running:
        yield running
