"""Which settings a handler can come to read: found in the sources, without running them.

Every function, class and module is a node; it leads to whatever its source names. That is a little
more than what is ever called, and never less, as long as the product has no dynamic imports.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.template.transformed import ROOT

PACKAGE = "portcullis"
READERS = {"setting", "settings_list"}

type Node = tuple[str, str]
"""A module and what stands at its top level: a name, or "" for the module's own statements."""


@dataclass
class Module:
    """One module's top level.

    Attributes:
        definitions: The functions, classes and assignments, by name.
        imports: What a name brought in by an import stands for.
        statements: Everything else, executed on import.
    """

    definitions: dict[str, ast.stmt] = field(default_factory=dict)
    imports: dict[str, Node] = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)


def settings_of(handler: Path) -> set[str]:
    """Return the names of the settings that a handler can read.

    Raises:
        ValueError: a setting's name is no literal, so that nobody can tell.
    """
    found: set[str] = set()
    start = _module_of(handler)
    seen: set[Node] = set()
    waiting: list[Node] = [
        (str(handler), ""),
        *((str(handler), name) for name in start.definitions),
    ]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        module = start if node[0] == str(handler) else _product(node[0])
        for statement in _source(module, node[1]):
            found.update(_read(statement))
            waiting.extend(_leads_to(statement, node[0], module))
    return found


def _source(module: Module, name: str) -> list[ast.stmt]:
    return [module.definitions[name]] if name in module.definitions else module.statements


def _read(statement: ast.stmt) -> Iterator[str]:
    for call in ast.walk(statement):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        if call.func.id not in READERS:
            continue
        match call.args:
            case [ast.Constant(value=str(name))]:
                yield name
            case [ast.Name()]:
                pass  # `settings_list` hands its own argument on
            case _:
                raise ValueError(ast.unparse(call))


def _leads_to(statement: ast.stmt, home: str, module: Module) -> Iterator[Node]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            if node.id in module.definitions:
                yield home, node.id
            elif node.id in module.imports:
                yield from _known(*module.imports[node.id])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            target, name = module.imports.get(node.value.id, ("", ""))
            if name == "" and target:
                yield from _known(target, node.attr)


def _known(module: str, name: str) -> Iterator[Node]:
    """Yield where a name is defined, through the modules that hand it on."""
    if not _is_ours(module):
        return
    found = _product(module)
    if name in found.imports:
        yield from _known(*found.imports[name])
    yield module, name
    yield module, ""


def _is_ours(module: str) -> bool:
    return module.split(".", 1)[0] == PACKAGE


@cache
def _product(module: str) -> Module:
    path = ROOT / "shared" / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return _module_of(file)


@cache
def _module_of(file: Path) -> Module:
    module = Module()
    for statement in ast.parse(file.read_text()).body:
        match statement:
            case ast.ImportFrom(module=str(origin), names=names):
                for one in names:
                    module.imports[one.asname or one.name] = _imported(origin, one.name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                module.definitions[name] = statement
            case _:
                module.statements.append(statement)
    return module


def _imported(origin: str, name: str) -> Node:
    """Return what `from origin import name` brings: a module of ours, or something in one."""
    path = ROOT / "shared" / Path(*origin.split(".")) / name
    if _is_ours(origin) and (path.is_dir() or path.with_suffix(".py").exists()):
        return f"{origin}.{name}", ""
    return origin, name
