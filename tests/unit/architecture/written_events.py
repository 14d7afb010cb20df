"""Which events the identity zone writes, read from its sources."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.unit.architecture.sources import PRODUCT, tree


@cache
def facts() -> dict[str, frozenset[str]]:
    """Return every kind of event, with the names of its facts.

    Raises:
        ValueError: a kind is no literal, so that nobody can tell.
    """
    found: dict[str, set[str]] = {}
    for file in sorted((PRODUCT / "identity").glob("*.py")):
        for node in ast.walk(tree(file)):
            match node:
                case ast.Call(func=ast.Name(id="Event"), args=[kind, *rest]):
                    for one in _kinds(kind):
                        found.setdefault(one, set()).update(_names(rest))
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="outbox"), attr="opened"), keywords=given
                ):
                    named = {keyword.arg: keyword.value for keyword in given}
                    for one in _kinds(named["kind"]):
                        rest = [named["facts"]] if "facts" in named else []
                        found.setdefault(one, set()).update(_names(rest))
    return {kind: frozenset(names) for kind, names in found.items()}


def _kinds(kind: ast.expr) -> Iterator[str]:
    match kind:
        case ast.Constant(value=str(literal)):
            yield literal
        case ast.IfExp(body=one, orelse=other):
            yield from _kinds(one)
            yield from _kinds(other)
        case ast.Attribute(attr="kind"):
            pass  # of an event that is read where it is made
        case _:
            raise ValueError(ast.unparse(kind))


def _names(facts: list[ast.expr]) -> Iterator[str]:
    for fact in facts:
        for node in ast.walk(fact):
            if isinstance(node, ast.Dict):
                yield from (str(ast.literal_eval(key)) for key in node.keys if key is not None)
