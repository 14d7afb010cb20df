"""Every refusal that the product knows, found by importing all of it."""

import importlib
import pkgutil
from typing import Any

import portcullis
from portcullis.errors import RefusedError, TooManyRequestsError
from portcullis.evidence.errors import StepUpRequiredError
from portcullis.identity.passwords import PasswordRefusedError

_ARGUMENTS: dict[type[RefusedError], dict[str, Any]] = {
    PasswordRefusedError: {"reason": "too short"},
    StepUpRequiredError: {"acr_values": ("phr", "mfa"), "max_age_s": 300},
    TooManyRequestsError: {"policy": "login", "quota": 5, "window_s": 60, "retry_after_s": 30},
}


def concrete() -> list[type[RefusedError]]:
    """Return each refusal that has a code, by code."""
    for module in pkgutil.walk_packages(portcullis.__path__, "portcullis."):
        importlib.import_module(module.name)
    found = {kind for kind in _below(RefusedError) if hasattr(kind, "code")}
    ours = {kind for kind in found if kind.__module__.startswith("portcullis.")}
    return sorted(ours, key=lambda kind: (kind.code, kind.__name__))


def raised(kind: type[RefusedError]) -> RefusedError:
    """Return a refusal of that kind, as it would be raised."""
    return kind(**_ARGUMENTS.get(kind, {}))


def _below(kind: type[RefusedError]) -> set[type[RefusedError]]:
    return {kind}.union(*(_below(child) for child in kind.__subclasses__()))
