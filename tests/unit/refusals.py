"""Every refusal that the product knows, found by importing all of it."""

import importlib
import pkgutil

import portcullis
from portcullis.errors import RefusedError


def concrete() -> list[type[RefusedError]]:
    """Return each refusal that has a code, by code."""
    for module in pkgutil.walk_packages(portcullis.__path__, "portcullis."):
        importlib.import_module(module.name)
    found = {kind for kind in _below(RefusedError) if hasattr(kind, "code")}
    ours = {kind for kind in found if kind.__module__.startswith("portcullis.")}
    return sorted(ours, key=lambda kind: (kind.code, kind.__name__))


def _below(kind: type[RefusedError]) -> set[type[RefusedError]]:
    return {kind}.union(*(_below(child) for child in kind.__subclasses__()))
