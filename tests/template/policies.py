"""Every right of every role, and every statement of every key policy, one line each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.template.transformed import STACK, Document, data, readable, resources, short

LEADING_KEYS = "dynamodb:LeadingKeys"
PRINCIPAL = "aws:PrincipalArn"
ROLE_ARN = f"arn:aws:iam::000000000000:role/{STACK}-"
ACCOUNT_ROOT = "arn:aws:iam::000000000000:root"

type Policy = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Right:
    """One action that one role may do on one resource, within limits (empty: none)."""

    role: str
    on: str
    action: str
    limits: str

    def __str__(self) -> str:
        return f"{self.on} {self.action} {self.limits}".rstrip()


@dataclass(frozen=True)
class Admission:
    """One statement of a key's policy: whom the key itself admits, to what, under which terms."""

    key: str
    sid: str
    actions: frozenset[str]
    roles: frozenset[str]
    """Empty: whomever IAM allows."""
    terms: str


def rights() -> list[Right]:
    """Return every right of every role of the transformed template, in order."""
    return sorted(
        Right(name, _target(on), action, limits(statement))
        for name, role in roles().items()
        for statement in statements(role)
        for action in _each(statement["Action"])
        for on in _each(readable(statement["Resource"]))
    )


def of(role: str) -> list[Right]:
    """Return the rights of one role."""
    return [right for right in rights() if right.role == role]


def roles() -> dict[str, Document]:
    """Return the properties of every role, by its name without the stack's."""
    return {
        short(role["Properties"]["RoleName"]): role["Properties"]
        for role in resources("AWS::IAM::Role").values()
    }


def statements(role: Policy) -> Iterator[Policy]:
    """Yield the statements of a role's inline policies."""
    for policy in role.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def admissions() -> list[Admission]:
    """Return every statement of every key's policy."""
    return [
        Admission(
            key=name,
            sid=statement["Sid"],
            actions=frozenset(_each(statement["Action"])),
            roles=frozenset(_admitted(statement)),
            terms=limits(statement),
        )
        for name, key in resources("AWS::KMS::Key", data()).items()
        for statement in key["Properties"]["KeyPolicy"]["Statement"]
    ]


def limits(statement: Policy) -> str:
    """Return a statement's conditions on one line.

    A limit to partitions is two conditions, because `ForAllValues` holds for no value at all:
    it is short only where it is whole.
    """
    conditions = {
        (operator, name): value
        for operator, named in readable(statement.get("Condition", {})).items()
        for name, value in named.items()
        if name != PRINCIPAL
    }
    words = []
    if conditions.get(("Null", LEADING_KEYS)) == "false":
        prefixes = conditions.pop(("ForAllValues:StringLike", LEADING_KEYS), None)
        if prefixes is not None:
            del conditions["Null", LEADING_KEYS]
            words = list(prefixes)
    words += [
        f"{operator}({name}={'|'.join(_each(value))})"
        for (operator, name), value in conditions.items()
    ]
    return " ".join(words)


def _admitted(statement: Policy) -> Iterator[str]:
    for name in _each(
        readable(statement.get("Condition", {})).get("ArnEquals", {}).get(PRINCIPAL, [])
    ):
        assert name.startswith(ROLE_ARN), f"{name} is no role of the stack's"
        yield name.removeprefix(ROLE_ARN)


def _target(resource: str) -> str:
    return resource.removeprefix("arn:aws:execute-api:us-east-1:000000000000:")


def _each(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
