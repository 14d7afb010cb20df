"""The published schema of events, and a check against it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "event-v1.json"


@cache
def schema() -> dict[str, Any]:
    """Return the schema; not to be changed."""
    read: dict[str, Any] = json.loads(SCHEMA.read_text())
    return read


@cache
def _validator() -> Any:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def faults(body: object) -> list[str]:
    """Return what is wrong with the body of an event; nothing if it is one."""
    return [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(body)]
