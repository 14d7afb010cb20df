"""The gaps are for one release of the emulator, and say so."""

from importlib import metadata
from types import ModuleType

import pytest

from infra.local import stock


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another release of the emulator stops the start and asks for a review."""
    monkeypatch.setattr(stock, "version", lambda _: "1.5.34")
    with pytest.raises(stock.StockChangedError, match=r"ministack 1\.5\.34 is installed.*review"):
        stock.require_pinned_version()


def test_the_installed_release_is_the_pinned_one() -> None:
    """The release that the gaps are written for is the one that is installed."""
    assert metadata.version("ministack") == stock.PINNED_VERSION


def test_missing_private_name_is_refused() -> None:
    """A private name that is gone stops the start and is named."""
    with pytest.raises(stock.StockChangedError, match="emulator has no _gone"):
        stock.take(ModuleType("emulator"), "_gone")


def test_refusal_of_the_emulator_is_shown() -> None:
    """What the emulator refuses of a template stops the deployment with its reason."""
    with pytest.raises(stock.RefusedError, match="no such thing"):
        stock.accept((404, {}, b"no such thing"))
