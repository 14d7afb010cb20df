"""The stacks as wholes: they can be created, they have room to grow, and a change arrives."""

import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.template.transformed import (
    Document,
    data,
    parent,
    references,
    resources,
    source,
    translated,
    watch,
)

RESOURCES_MAX = 400
"""CloudFormation takes 500 in a stack; what is missing is room for the next zones."""

PASSKEY_FUNCTIONS = {
    "AccountOptionsFunction",
    "AddPasskeyFunction",
    "ApprovalOptionsFunction",
    "ApproveFunction",
    "CertifyEnrolmentFunction",
    "OpenAccountFunction",
    "PasskeyOptionsFunction",
    "RecoverFunction",
    "RecoveryOptionsFunction",
    "SecondFactorFunction",
    "SessionOptionsFunction",
    "SignInFunction",
}

OLDER_KEYS = {
    f"Older{kind}Keys" for kind in ("AccessToken", "Approval", "Enrolment", "Index", "Pepper")
}
RETENTION = {"AuditRetentionDays", "AuditRetentionMode"}


def dependencies(document: Document) -> dict[str, set[str]]:
    """Return what each resource of a stack waits for."""
    declared = document["Resources"]
    return {
        name: {*references(resource.get("Properties", {})), *_explicit(resource)} & set(declared)
        for name, resource in declared.items()
    }


def demand_no_cycle(document: Document) -> None:
    """Pass if the stack's resources can be created one after another.

    Raises:
        CycleError: they cannot; its second argument is the cycle.
    """
    TopologicalSorter(dependencies(document)).prepare()


def _explicit(resource: Document) -> Iterator[str]:
    named = resource.get("DependsOn", [])
    yield from [named] if isinstance(named, str) else named


def versions(template: Document) -> dict[str, str]:
    """Return the logical id of the version that each function's alias leads to."""
    return {
        str(alias["Properties"]["FunctionName"]["Ref"]): alias["Properties"]["FunctionVersion"][
            "Fn::GetAtt"
        ][0]
        for alias in resources("AWS::Lambda::Alias", translated(template)).values()
    }


def republished(template: Document) -> set[str]:
    """Return the functions whose alias leads to a new version after a change of the template."""
    before, after = versions(source()), versions(template)
    assert before.keys() == after.keys()
    return {function for function, version in after.items() if version != before[function]}


def functions_of(template: Document) -> Mapping[str, Document]:
    """Return the functions of an untransformed template."""
    return resources("AWS::Serverless::Function", template)


@pytest.mark.parametrize(
    "document",
    [parent(), data(), watch()],
    ids=["template.yaml", "infra/data.yaml", "infra/watch.yaml"],
)
def test_the_resources_can_be_created_in_some_order(document: Document) -> None:
    """No resource waits for itself by way of others, permissions and policies included."""
    demand_no_cycle(document)


def test_a_cycle_would_be_seen() -> None:
    """A role's name in a key's policy, by reference, is what the search for cycles finds."""
    knot = {
        "Resources": {
            "Role": {"Type": "R", "Properties": {"Key": {"Fn::GetAtt": ["Key", "Arn"]}}},
            "Key": {"Type": "K", "Properties": {"Policy": [{"Fn::Sub": "${Role.Arn}/x"}]}},
        }
    }
    with pytest.raises(CycleError):
        demand_no_cycle(knot)


def test_the_nested_stack_waits_for_nothing_of_its_parent() -> None:
    """Tables and keys know the parent by its name and parameters, so they outlive functions."""
    asked = set(references(parent()["Resources"]["Data"]["Properties"]))
    assert asked == {"AWS::StackName", *OLDER_KEYS, *RETENTION}
    assert set(parent()["Parameters"]) >= OLDER_KEYS | RETENTION
    assert set(data()["Parameters"]) == {"Prefix", *OLDER_KEYS, *RETENTION}


@pytest.mark.parametrize("older", sorted(OLDER_KEYS))
def test_a_list_of_keys_begins_with_the_stack_s_own(older: str) -> None:
    """The current key is first, so it makes; the older ones follow, if a roll-over names any."""
    listed = older.removeprefix("Older")
    key = listed.removesuffix("s")
    assert data()["Outputs"][listed]["Value"] == {
        "Fn::If": [
            f"Has{older}",
            {"Fn::Sub": f"${{{key}.Arn}},${{{older}}}"},
            {"Fn::GetAtt": [key, "Arn"]},
        ]
    }
    assert data()["Conditions"][f"Has{older}"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": older}, ""]}]
    }
    passed = parent()["Resources"]["Data"]["Properties"]["Parameters"]
    assert passed[older] == {"Ref": older}
    assert (parent()["Parameters"][older]["Default"], data()["Parameters"][older]["Default"]) == (
        "",
        "",
    )


def test_every_output_that_is_read_exists() -> None:
    """No function or role asks the nested stack for what it does not give."""
    read = {
        attribute.removeprefix("Outputs.")
        for attribute in _attributes(parent()["Resources"])
        if attribute.startswith("Outputs.")
    }
    assert read <= set(data()["Outputs"]) | set(watch()["Outputs"])


def _attributes(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _attributes(one)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "Fn::GetAtt":
                yield str(inner[1])
            else:
                yield from _attributes(inner)


def test_each_stack_has_room_to_grow(capsys: pytest.CaptureFixture[str]) -> None:
    """A stack holds fewer than 400 resources after the transform."""
    counts = {
        "template.yaml": len(parent()["Resources"]),
        "infra/data.yaml": len(data()["Resources"]),
        "infra/watch.yaml": len(watch()["Resources"]),
    }
    with capsys.disabled():
        sys.stdout.write(f"\nresources: {counts}\n")
    assert max(counts.values()) < RESOURCES_MAX


def test_the_same_template_publishes_nothing() -> None:
    """Without a change no alias moves."""
    assert republished(source()) == set()


def test_a_changed_core_layer_reaches_every_alias() -> None:
    """New code in the core layer is a new version of every function."""
    template = source()
    template["Resources"]["CoreLayer"]["Properties"]["ContentUri"] = "another-hash"
    assert republished(template) == set(functions_of(source()))


def test_a_changed_passkeys_layer_reaches_its_functions_alone() -> None:
    """New code in the passkeys layer is a new version of the functions that have it."""
    template = source()
    template["Resources"]["PasskeysLayer"]["Properties"]["ContentUri"] = "another-hash"
    assert republished(template) == PASSKEY_FUNCTIONS


def test_a_changed_release_reaches_every_alias() -> None:
    """The build's RELEASE publishes what SAM cannot see: parameters and nested outputs."""
    template = source()
    template["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"] = "another"
    assert republished(template) == set(functions_of(source()))


def test_a_changed_handler_reaches_its_own_alias_alone() -> None:
    """New code of one function is a new version of that function."""
    template = source()
    template["Resources"]["GateFunction"]["Properties"]["CodeUri"] = "another-hash"
    assert republished(template) == {"GateFunction"}


def test_a_changed_property_reaches_its_own_alias() -> None:
    """A time-out that only the function's configuration holds is published too."""
    template = source()
    template["Resources"]["GateFunction"]["Properties"]["Timeout"] = 6
    assert republished(template) == {"GateFunction"}


def test_without_both_switches_a_layer_would_not_arrive() -> None:
    """The two settings are not decoration: SAM alone leaves the alias on the old layer."""
    for switch in ("AutoPublishAliasAllProperties", "PublishLambdaVersion"):
        before, after = source(), source()
        for template in (before, after):
            template["Globals"]["Function"].pop(switch, None)
            template["Resources"]["CoreLayer"]["Properties"].pop(switch, None)
        after["Resources"]["CoreLayer"]["Properties"]["ContentUri"] = "another-hash"
        assert versions(before) == versions(after)


def test_no_function_or_version_is_left_behind() -> None:
    """Functions, versions and layers go when they are replaced or their stack is deleted."""
    kinds = ("Function", "Version", "LayerVersion")
    kept = [
        name
        for kind in kinds
        for name, resource in resources(f"AWS::Lambda::{kind}").items()
        if resource.get("DeletionPolicy") != "Delete"
    ]
    assert kept == []
