"""Both emulators, started once for every test of this folder."""

from collections.abc import Iterator

import pytest

from tests.local.emulators import Emulator, our_emulator, stock_emulator


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
