"""docs/errors.md lists every refusal, and nothing that is none."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from portcullis.edge import request as requests
from portcullis.edge import response
from portcullis.edge.response import status_of
from portcullis.errors import RefusedError
from portcullis.identity import gate
from portcullis.refusals import LEDGER_REFUSALS
from portcullis.vocabulary import PROBLEM_PREFIX
from tests.unit import refusals

KEBAB_CASE = re.compile(r"[a-z]+(-[a-z]+)*")
KINDS = refusals.concrete()
ANY_4XX = "4xx"

type Told = tuple[str, str]
"""A status, and a name."""


def documented() -> list[Told]:
    """Return what the page lists: each table's rows under its heading's status."""
    status, rows = "", []
    for line in Path("docs/errors.md").read_text().splitlines():
        if heading := re.match(r"## (\S+)", line):
            status = heading[1]
        elif (row := re.match(r"\| `([a-z-]+)` \| (.+) \| (.+) \|$", line)) and status != "The":
            rows.append((status, row[1]))
    return rows


def of_functions() -> set[Told]:
    """Return what functions answer."""
    return {(str(status_of(kind)), kind.code) for kind in KINDS}


def of_the_gate() -> set[Told]:
    """Return what the gate denies, by the promises of what it calls: always 401."""
    promised = f"{gate.admit.__doc__}{requests.single_headers.__doc__}"
    names = set(re.findall(r"(\w+Error):", promised))
    return {("401", kind.code) for kind in KINDS if kind.__name__ in names}


@cache
def of_the_gateway() -> frozenset[tuple[str, str, str]]:
    """Return status, name and title of what API Gateway answers by itself."""
    template = yaml_parse(Path("template.yaml").read_text())
    return frozenset(_problems(template["Resources"]))


def _problems(node: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(node, list):
        for each in node:
            yield from _problems(each)
    if not isinstance(node, dict):
        return
    for response_of in node.get("GatewayResponses", {}).values():
        yield from _problem(
            response_of.get("StatusCode", ANY_4XX), response_of, "ResponseTemplates"
        )
    if node.get("type") == "mock":
        for answer in node["responses"].values():
            yield from _problem(answer["statusCode"], answer, "responseTemplates")
    for child in node.values():
        yield from _problems(child)


def _problem(status: object, answer: Any, member: str) -> Iterator[tuple[str, str, str]]:
    text = answer[member]["application/json"]
    if not isinstance(text, str) or "$context" in text:
        return  # no refusal, or the gate's own words
    problem = json.loads(text)
    assert str(problem.get("status", ANY_4XX)) == str(status)
    yield str(status), problem["type"].removeprefix(PROBLEM_PREFIX), problem["title"]


def test_every_refusal_is_documented_and_nothing_else() -> None:
    """The page and the product list the same names under the same statuses."""
    gateway = {(status, name) for status, name, _ in of_the_gateway()}
    assert set(documented()) == of_functions() | of_the_gate() | gateway


def test_nothing_is_documented_twice() -> None:
    """One line for each name under each status."""
    rows = documented()
    assert len(rows) == len(set(rows))


def test_the_comparison_sees_something() -> None:
    """Each source has what it is known to have."""
    assert ("409", "insufficient-funds") in of_functions()
    assert ("401", "proof-replayed") in of_the_gate()
    assert {"429", "404", ANY_4XX} <= {status for status, _, _ in of_the_gateway()}


def test_the_gateway_says_the_functions_words() -> None:
    """A name has one title, whoever answers it."""
    titles = {kind.code: kind.title for kind in KINDS}
    for _, name, title in of_the_gateway():
        assert titles.get(name, title) == title


def test_the_names_of_oauth_are_documented() -> None:
    """The table of `error` is the product's."""
    page = Path("docs/errors.md").read_text().partition("## The names of OAuth")[2]
    table = {
        name: error
        for error, names in re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", page, re.MULTILINE)
        for name in re.findall(r"`([a-z-]+)`", names)
    }
    assert table == response._OAUTH_ERRORS


def test_each_code_is_one_refusal() -> None:
    """No two classes share a code."""
    codes = [kind.code for kind in KINDS]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_a_code_is_in_kebab_case_and_a_title_is_a_constant(kind: type[RefusedError]) -> None:
    """A title is one line of plain text that nothing is put into."""
    assert KEBAB_CASE.fullmatch(kind.code)
    assert not set('{}%$<>\\"') & set(kind.title)
    assert kind.title.isascii()
    assert kind.title.isprintable()
    assert kind.title.endswith(".")
    assert len(kind.title) <= 100
    assert str(refusals.raised(kind)) == kind.title


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_a_refusal_is_of_one_category(kind: type[RefusedError]) -> None:
    """Every refusal but a defect of ours has a category with a status."""
    categories = [base for base in kind.__mro__ if base in response.STATUS]
    assert categories or kind is response.InternalError
    assert kind.__doc__


def test_the_ledger_never_says_401() -> None:
    """A session is the gate's to judge: across the hop there are 400, 403, 404, 409 and 422."""
    assert {status_of(kind) for kind in LEDGER_REFUSALS.values()} == {400, 403, 404, 409, 422}
