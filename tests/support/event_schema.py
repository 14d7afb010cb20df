"""The published schema of events, which is open, and the closed form that our own events must fit.

A receiver ignores what it does not know, so that a kind, a fact or a code can come without a new
version. Of what we write ourselves nothing may be there that the schema does not name.
"""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "event-v1.json"


@cache
def schema() -> dict[str, Any]:
    """Return the schema as it is published; not to be changed."""
    read: dict[str, Any] = json.loads(SCHEMA.read_text())
    return read


def described() -> dict[str, dict[str, Any]]:
    """Return the kinds that it knows, each with the schema of its facts."""
    return {_kind(one): _facts(one) for one in schema()["allOf"]}


def faults(body: object) -> list[str]:
    """Return what is wrong with an event of ours; nothing if all of it is described."""
    return _faults(_ours(), body)


def faults_as_published(body: object) -> list[str]:
    """Return what a receiver who holds an event against the published schema finds wrong."""
    return _faults(_published(), body)


@cache
def _published() -> Any:
    return _validator(schema())


@cache
def _ours() -> Any:
    return _validator(_closed())


def _validator(of: dict[str, Any]) -> Any:
    Draft202012Validator.check_schema(of)
    return Draft202012Validator(of)


def _closed() -> dict[str, Any]:
    closed = copy.deepcopy(schema())
    closed["additionalProperties"] = False
    closed["properties"]["kind"] = {"enum": sorted(described())}
    for one in closed["allOf"]:
        facts = _facts(one)
        facts["additionalProperties"] = False
        for fact in facts.get("properties", {}).values():
            if "anyOf" in fact:
                known, _ = fact.pop("anyOf")
                fact.update(known)
    return closed


def _kind(one: dict[str, Any]) -> str:
    return str(one["if"]["properties"]["kind"]["const"])


def _facts(one: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = one["then"]["properties"]["facts"]
    return facts


def _faults(validator: Any, body: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
