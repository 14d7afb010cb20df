"""What is deployed: the routes of the public API."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.template import test_apis
from tests.template.transformed import readable, resources, short

SAFE = frozenset({"GET"})


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route of the public API, as the transformed template has it.

    Attributes:
        name: Method and path, such as ``PATCH /passkeys/{id}``.
        is_gated: Whether the gate stands before it.
        function: The function behind it, without the stack's name.
    """

    name: str
    is_gated: bool
    function: str

    @property
    def method(self) -> str:
        """The method."""
        return self.name.partition(" ")[0]

    @property
    def resource(self) -> str:
        """The path, as API Gateway spells it."""
        return self.name.partition(" ")[2]

    @property
    def is_safe(self) -> bool:
        """Whether it only reads (RFC 9110 section 9.2.1)."""
        return self.method in SAFE

    def path(self, **parameters: str) -> str:
        """Return the path with its parameters filled in."""
        return self.resource.format(**parameters)

    def answers(self, method: str, path: str) -> bool:
        """Return whether a request is this route's, if no route without parameters is closer."""
        pattern = re.sub(r"\{\w+\}", "[^/]+", self.resource)
        return method == self.method and re.fullmatch(pattern, path) is not None


@cache
def routes() -> tuple[Route, ...]:
    """Return every route of the public API that a function answers; literal paths first."""
    return tuple(sorted(_routes(), key=lambda one: ("{" in one.name, one.name)))


def _routes() -> Iterator[Route]:
    made = resources("AWS::Lambda::Function")
    for name, operation in test_apis.operations("PublicApi"):
        wall, target = test_apis.route(operation)
        if target != "mock":
            function = short(readable(made[target]["Properties"]["FunctionName"]))
            yield Route(name=name, is_gated=wall == test_apis.GATED, function=function)


def route_of(method: str, target: str) -> Route:
    """Return the route that a request was for."""
    path = target.partition("?")[0]
    return next(one for one in routes() if one.answers(method, path))
