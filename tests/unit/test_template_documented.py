"""What docs/ counts and lists of the template, and of the items in its tables, is what is there."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from samtranslator.yaml_helper import yaml_parse

from portcullis.evidence.orders import OrderKind, PostingKind
from tests.unit.architecture import sources

ARCHITECTURE = Path("docs/architecture.md").read_text()
DEPLOYMENT = Path("docs/first-deploy.md").read_text()
FROM_THE_EXAMPLE_ON = DEPLOYMENT.partition("```toml\n")[2]


def template(path: str) -> dict[str, Any]:
    """Return a template as it is written."""
    found: dict[str, Any] = yaml_parse(Path(path).read_text())
    return found


def count(path: str, kind: str) -> int:
    """Return how many resources of a kind a template has."""
    return sum(1 for one in template(path)["Resources"].values() if one["Type"] == kind)


def section(title: str) -> str:
    """Return a section of docs/architecture.md."""
    return ARCHITECTURE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def row_of(parameter: str) -> str:
    """Return the row of the table of parameters that names it, or nothing."""
    rows = re.findall(r"^\| `.+$", FROM_THE_EXAMPLE_ON, re.MULTILINE)
    return next((row for row in rows if f"`{parameter}`" in row.split("|")[1]), "")


@pytest.mark.parametrize(
    ("noun", "path", "kind"),
    [
        ("REST APIs", "template.yaml", "AWS::Serverless::Api"),
        ("functions", "template.yaml", "AWS::Serverless::Function"),
        ("tables", "infra/data.yaml", "AWS::DynamoDB::Table"),
    ],
)
def test_what_is_counted_is_there(noun: str, path: str, kind: str) -> None:
    """APIs, functions and tables are as many as the first sentence says."""
    counted = re.search(rf"(\d+) {noun}", ARCHITECTURE)
    assert counted
    assert int(counted[1]) == count(path, kind) > 1


def test_every_type_of_item_is_in_the_table_of_tables_and_no_other() -> None:
    """Each prefix of a partition key that code writes or reads has a row."""
    keys = re.compile(r"f\"([A-Z]{2,})#")
    written = {key for file in sources.product_files() for key in keys.findall(file.read_text())}
    assert {"SESSION", "POSTING", "PARTNER", "SECRET"} <= written
    assert written == set(re.findall(r"`([A-Z]{2,})#", section("Tables")))


def test_every_order_of_operators_is_in_the_section_on_authority() -> None:
    """What the ledger does not post is what operators order."""
    orders = set(get_args(PostingKind)) | {
        kind for part in get_args(OrderKind) for kind in get_args(part)
    }
    operators = orders - set(get_args(PostingKind))
    assert len(operators) == 4
    assert {kind for kind in orders if f"`{kind}`" not in section("Authority")} == set()


@pytest.mark.parametrize("name", sorted(template("template.yaml")["Parameters"]))
def test_every_parameter_is_on_the_page_about_the_first_deployment(name: str) -> None:
    """In the table with its default or, where it has none or is of your domains, the example."""
    default = template("template.yaml")["Parameters"][name].get("Default")
    if row := row_of(name):
        assert (str(default) or "empty") in row.split("|")[2]
    else:
        assert f'"{name}=' in FROM_THE_EXAMPLE_ON


def test_no_other_parameter_is_on_that_page() -> None:
    """What was taken out of the template is taken out of the page."""
    table = FROM_THE_EXAMPLE_ON.partition("| parameter |")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines()[2:] for name in re.findall("`(.+?)`", row.split("|")[1])
    }
    named |= set(re.findall(r'^    "(\w+)=', FROM_THE_EXAMPLE_ON, re.MULTILINE))
    assert named == template("template.yaml")["Parameters"].keys()
