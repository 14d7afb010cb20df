"""The templates as CloudFormation gets them: SAM's transform done, intrinsics made readable.

A test of what somebody wrote proves little: SAM adds roles, permissions, versions and stages. So
the tests here read what comes out of its translator, which needs no network.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
STACK = "portcullis"

type Document = dict[str, Any]
type Resources = dict[str, Document]

PSEUDO = {
    "AWS::StackName": STACK,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::AccountId": "000000000000",
    "Prefix": STACK,
}
"""What AWS itself, and the parent stack, put in the place of these."""

_PLACEHOLDER = re.compile(r"\$\{([^!][^}]*)\}")


def source() -> Document:
    """Return `template.yaml` as it was written; the caller may change it."""
    return copy.deepcopy(_parsed("template.yaml"))


def translated(template: Document) -> Document:
    """Return what CloudFormation gets for a template that `sam package` has uploaded.

    The name of what is uploaded is a hash of it: here it is the local path, or what a test put
    there instead.
    """
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for member in ("CodeUri", "ContentUri"):
            if member in properties:
                properties[member] = f"s3://uploaded/{properties[member]}"
        if "Location" in properties:
            properties["Location"] = f"https://s3.amazonaws.com/uploaded/{properties['Location']}"
    session = boto3.session.Session(region_name=REGION)
    made: Document = Translator({}, Parser(), boto_session=session).translate(template, {})
    return made


@cache
def parent() -> Document:
    """Return the transformed `template.yaml`; not to be changed."""
    return translated(source())


@cache
def data() -> Document:
    """Return `infra/data.yaml`, which has nothing to transform; not to be changed."""
    return _parsed("infra/data.yaml")


@cache
def watch() -> Document:
    """Return `infra/watch.yaml`, which has nothing to transform; not to be changed."""
    return _parsed("infra/watch.yaml")


def resources(kind: str, document: Document | None = None) -> Resources:
    """Return the resources of one type, by logical id; of the parent stack if none is named."""
    found = (document or parent())["Resources"]
    return {name: one for name, one in found.items() if one["Type"] == kind}


def functions() -> dict[str, Document]:
    """Return the properties of every function, by its name without the stack's."""
    return {
        short(one["Properties"]["FunctionName"]): one["Properties"]
        for one in resources("AWS::Lambda::Function").values()
    }


def short(name: Any) -> str:
    """Return a name of the stack's, such as a role's, without the stack's own name before it."""
    return str(readable(name)).removeprefix(f"{STACK}-")


def readable(value: Any) -> Any:
    """Return a value with its intrinsics replaced by the names that a reader knows.

    A table or key of the nested stack becomes its logical id there; a resource of this one its
    own; a pseudo parameter what AWS makes of it; a parameter its name in braces. A list of keys
    is what it is where no older keys are named.
    """
    match value:
        case list():
            made: Any = [readable(one) for one in value]
        case {"Ref": str(name)}:
            made = _named(name)
        case {"Fn::GetAtt": [str(resource), str(attribute)]}:
            made = _attribute(resource, attribute)
        case {"Fn::Split": [_, joined]}:
            made = [readable(joined)]
        case {"Fn::Sub": [str(text), dict(variables)]}:
            made = _substituted(text, {name: readable(one) for name, one in variables.items()})
        case {"Fn::Sub": str(text)}:
            made = _substituted(text, {})
        case dict():
            made = {name: readable(one) for name, one in value.items()}
        case _:
            made = value
    return made


def references(value: Any) -> Iterator[str]:
    """Yield the logical ids, parameters and pseudo parameters that a value refers to."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        match name, inner:
            case "Ref", str():
                yield inner
            case "Fn::GetAtt", [str(resource), *_]:
                yield resource
            case "Fn::Sub", [str(text), dict(variables)]:
                yield from _placeholders(text, bound=variables)
                yield from references(variables)
            case "Fn::Sub", str():
                yield from _placeholders(inner, bound={})
            case _:
                yield from references(inner)


def _parsed(path: str) -> Document:
    parsed: Document = yaml_parse((ROOT / path).read_text())
    return parsed


def _named(name: str) -> str:
    if name in PSEUDO:
        return PSEUDO[name]
    return name if name in parent()["Resources"] else f"{{{name}}}"


def _attribute(resource: str, attribute: str) -> str:
    if attribute.startswith("Outputs."):
        output = data()["Outputs"][attribute.removeprefix("Outputs.")]["Value"]
        return _behind(output)
    return resource


def _behind(output: Any) -> str:
    match output:
        case {"Fn::If": [_, _, otherwise]}:
            return _behind(otherwise)
        case {"Fn::GetAtt": [str(table), "StreamArn"]}:
            return f"{table}Stream"
    (name,) = references(output)
    return name


def _substituted(text: str, variables: Mapping[str, Any]) -> str:
    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        if name in variables:
            return str(variables[name])
        resource, _, attribute = name.partition(".")
        return _attribute(resource, attribute) if attribute else _named(name)

    return _PLACEHOLDER.sub(replaced, text)


def _placeholders(text: str, *, bound: Mapping[str, Any]) -> Iterator[str]:
    for name in _PLACEHOLDER.findall(text):
        if name not in bound:
            yield name.split(".", 1)[0]
