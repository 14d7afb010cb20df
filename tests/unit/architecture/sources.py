"""The product's sources as syntax trees: what a module imports, names and calls."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PRODUCT = ROOT / "shared" / "portcullis"
FUNCTIONS = ROOT / "functions"


def product_files() -> list[Path]:
    """Return every module of the product."""
    return sorted(PRODUCT.rglob("*.py"))


def handler_files() -> list[Path]:
    """Return every handler."""
    return sorted(FUNCTIONS.glob("*/*/handler.py"))


@cache
def tree(file: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(file.read_text(), filename=str(file))


def imports(file: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it; of `from a import b` also `a.b`."""
    found: set[str] = set()
    for node in ast.walk(tree(file)):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=str(module), level=0, names=names):
                found |= {module, *(f"{module}.{name.name}" for name in names)}
    return found


def packages(file: Path) -> set[str]:
    """Return the top-level packages that a file imports."""
    return {module.partition(".")[0] for module in imports(file)}


def named(file: Path) -> Iterator[str]:
    """Yield every dotted name in a file, such as `time.time`, with its imports spelled out."""
    aliases = _aliases(file)
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Name | ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            yield ".".join([aliases.get(first, first), *rest])


def relative(file: Path) -> str:
    """Return a module's path inside the product."""
    return file.relative_to(PRODUCT).as_posix()


def _aliases(file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in ast.walk(tree(file)):
        match node:
            case ast.Import(names=names):
                found |= {name.asname: name.name for name in names if name.asname}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {name.asname or name.name: f"{module}.{name.name}" for name in names}
    return found
