"""The emulator as published: which release, and how a gap takes hold of a private name of it."""

from http import HTTPStatus
from importlib.metadata import version
from types import ModuleType
from typing import Any

PINNED_VERSION = "1.5.33"


class StockChangedError(RuntimeError):
    """The installed emulator is not the one the gaps were written against."""

    def __init__(self, difference: str) -> None:
        super().__init__(
            f"{difference}; infra/local is written for ministack {PINNED_VERSION}: "
            "review every gap before changing the pin"
        )


class RefusedError(ValueError):
    """The emulator refused what a template asks for."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(f"the emulator refused: {answer.decode(errors='replace')}")


def require_pinned_version() -> None:
    """Accept exactly the release the gaps were written against.

    Raises:
        StockChangedError: another release is installed.
    """
    installed = version("ministack")
    if installed != PINNED_VERSION:
        difference = f"ministack {installed} is installed"
        raise StockChangedError(difference)


def require(owner: ModuleType, *names: str) -> None:
    """Make sure that *owner* still has every private name a gap calls.

    Raises:
        StockChangedError: a name is missing.
    """
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        difference = f"{owner.__name__} has no {', '.join(missing)}"
        raise StockChangedError(difference)


def take(owner: ModuleType, name: str) -> Any:
    """Return what *name* is in *owner*, to be wrapped.

    Raises:
        StockChangedError: the name is missing.
    """
    require(owner, name)
    return getattr(owner, name)


def accept(answer: tuple[int, dict[str, str], bytes]) -> None:
    """Go on if the emulator's handler accepted a request.

    Raises:
        RefusedError: it did not.
    """
    status, _, body = answer
    if status >= HTTPStatus.BAD_REQUEST:
        raise RefusedError(body)
