"""What is deployed: the routes of the public API, and the tables and keys behind them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.session import get_session

from tests.support import iam
from tests.support.iam import NO_RETRY, ROOT
from tests.support.stack import REGION, Stack
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


@cache
def outputs(stack: Stack) -> dict[str, str]:
    """Return the physical names of tables and keys, by their names in the data template."""
    outer = iam.aws(
        stack.endpoint, ROOT, "cloudformation", "describe_stack_resources", StackName=stack.name
    )
    (nested,) = [
        one["PhysicalResourceId"]
        for one in outer["StackResources"]
        if one["LogicalResourceId"] == "Data"
    ]
    described = iam.aws(stack.endpoint, ROOT, "cloudformation", "describe_stacks", StackName=nested)
    return {one["OutputKey"]: one["OutputValue"] for one in described["Stacks"][0]["Outputs"]}


@cache
def root(stack: Stack, service: str) -> Any:
    """Return a client of the account's root, whom no policy binds: for looking, and for planting.

    One for each service: to make a client costs more than what it is asked.
    """
    return get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=stack.endpoint,
        aws_access_key_id=ROOT.access_key,
        aws_secret_access_key=ROOT.secret_key,
        config=NO_RETRY,
    )


def table(stack: Stack, name: str) -> str:
    """Return the physical name of a table of the data template: ``Identity``, ``Once`` ..."""
    return outputs(stack)[f"{name}Table"]


def item(stack: Stack, name: str, pk: str, sk: str | None = None) -> dict[str, Any] | None:
    """Return one item of a table as it is stored, or None."""
    key = {"pk": {"S": pk}} | ({} if sk is None else {"sk": {"S": sk}})
    found: dict[str, Any] | None = (
        root(stack, "dynamodb")
        .get_item(TableName=table(stack, name), Key=key, ConsistentRead=True)
        .get("Item")
    )
    return found


def events(stack: Stack, account: str) -> list[str]:
    """Return the kinds of an account's events, in order."""
    found = root(stack, "dynamodb").query(
        TableName=table(stack, "Identity"),
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"EVENT#{account}"}},
        ConsistentRead=True,
    )
    return [one["kind"]["S"] for one in found["Items"]]
