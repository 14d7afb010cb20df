"""The bytecode that ships: without it imports are three to five times slower."""

import importlib.util
import py_compile
from pathlib import Path

FLAGS = slice(4, 8)
UNCHECKED_HASH = 0b01
"""PEP 552: hash-based, and its source is not looked at."""


def test_every_module_has_bytecode_that_is_not_checked(built: Path) -> None:
    """Each module of layers and functions is compiled, and loaded without a look at its source."""
    modules = [
        file for pattern in ("*/handler.py", "*/python/**/*.py") for file in built.glob(pattern)
    ]
    assert modules
    stale = [
        str(module.relative_to(built))
        for module in modules
        if _flags(Path(importlib.util.cache_from_source(str(module)))) != UNCHECKED_HASH
    ]
    assert stale == []


def test_no_bytecode_is_without_its_source(built: Path) -> None:
    """What a traceback names can be read."""
    orphans = [
        str(file.relative_to(built))
        for file in built.rglob("*.pyc")
        if not Path(importlib.util.source_from_cache(str(file))).exists()
    ]
    assert orphans == []


def test_the_flags_tell_the_kinds_of_bytecode_apart(tmp_path: Path) -> None:
    """Bytecode that Python would check against its source has other flags."""
    source = tmp_path / "module.py"
    source.write_text("")
    for mode, flags in (
        (py_compile.PycInvalidationMode.TIMESTAMP, 0b00),
        (py_compile.PycInvalidationMode.CHECKED_HASH, 0b11),
        (py_compile.PycInvalidationMode.UNCHECKED_HASH, UNCHECKED_HASH),
    ):
        compiled = py_compile.compile(str(source), invalidation_mode=mode)
        assert compiled is not None
        assert _flags(Path(compiled)) == flags


def _flags(compiled: Path) -> int | None:
    return int.from_bytes(compiled.read_bytes()[FLAGS], "little") if compiled.exists() else None
