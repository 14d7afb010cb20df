"""docs/api has a section for every route, and docs/events.md a row for every event; no other."""

import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from samtranslator.yaml_helper import yaml_parse

from portcullis.edge.response import status_of
from portcullis.evidence import dpop
from portcullis.evidence.errors import EvidenceError
from portcullis.identity.assurance import DEMANDS
from portcullis.identity.ending import Reason
from portcullis.operations.notices import KINDS, REASONS
from portcullis.refusals import LEDGER_REFUSALS
from tests.unit.architecture import written_events
from tests.unit.test_errors_documented import documented as documented_refusals

PAGES = sorted(Path("docs/api").glob("*.md"))
INDEX = Path("docs/api/README.md")
EVENTS = Path("docs/events.md")
DOCUMENTS = sorted([*Path().glob("*.md"), *Path("docs").rglob("*.md")])
NO_ROUTES = {"/", "/{proxy+}"}
BETWEEN_THE_ZONES = {
    ("POST", "/postings"),
    ("GET", "/wallets"),
    ("GET", "/wallets/{currency}/entries"),
}
"""Internal routes that only functions of ours call: no client has a page about them."""
NONCE_WITHOUT_GATE = {("POST", "/oauth/token")}
ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S*)")

type Route = tuple[str, str]


@cache
def resources() -> dict[str, Any]:
    """Return the resources of the template."""
    found: dict[str, Any] = yaml_parse(Path("template.yaml").read_text())["Resources"]
    return found


def public() -> set[Route]:
    """Return the routes of the public API."""
    paths = resources()["PublicApi"]["Properties"]["DefinitionBody"]["paths"]
    return {
        (method.upper(), path)
        for path, methods in paths.items()
        if path not in NO_ROUTES
        for method in methods
    }


def internal() -> set[Route]:
    """Return the routes of the internal API."""
    events = itertools.chain.from_iterable(
        resource["Properties"].get("Events", {}).values()
        for resource in resources().values()
        if resource["Type"] == "AWS::Serverless::Function"
    )
    return {
        (event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for event in events
        if event["Type"] == "Api"
    }


def headings(*pages: Path) -> list[Route]:
    """Return the route of each heading of pages that is one."""
    lines = itertools.chain.from_iterable(page.read_text().splitlines() for page in pages)
    return [
        (found[1], found[2])
        for line in lines
        if (found := re.fullmatch(rf"## {ROUTE.pattern}", line))
    ]


def index() -> dict[Route, tuple[str, ...]]:
    """Return the rows of the table of all routes: who, acr, max age and nonce."""
    row = re.compile(rf"\| \[`{ROUTE.pattern}`\]\((\S+)\) \|(.*)\|")
    return {
        (found[1], found[2]): tuple(cell.strip() for cell in found[4].split("|"))
        for line in INDEX.read_text().splitlines()
        if (found := row.fullmatch(line))
    }


def links() -> Iterator[tuple[Path, str]]:
    """Return each link of a document that leads into the repository."""
    for page in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" not in target:
                yield page, target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def named_refusals(*pages: Path) -> set[tuple[str, str]]:
    """Return what pages name as status and type, in tables and in sentences."""
    text = "\n".join(page.read_text() for page in pages)
    return set(re.findall(r"\b(\d{3}|4xx) (?:\| )?`([a-z]+(?:-[a-z]+)*)`", text))


def refusals_by_place() -> list[tuple[str, str, str]]:
    """Return the rows of docs/errors.md: status, name, and where it comes from."""
    status, rows = "", []
    for line in Path("docs/errors.md").read_text().splitlines():
        if heading := re.match(r"## (\S+)", line):
            status = heading[1]
        elif row := re.match(r"\| `([a-z-]+)` \| (.+?) \| ", line):
            rows.append((status, row[1], row[2]))
    return rows


def pages_of(where: str) -> list[Path]:
    """Return the pages that have a section for a route that is named there."""
    named = re.findall(rf"`{ROUTE.pattern}`", where)
    return [
        page
        for page in PAGES
        if any(fits(route, heading) for route in named for heading in headings(page))
    ]


def fits(named: Route, heading: Route) -> bool:
    """Return whether a route is the one that is named; a star at its end stands for any."""
    (method, path), begins = named, named[1].removesuffix("*")
    return method == heading[0] and (
        heading[1] == path if path == begins else heading[1].startswith(begins)
    )


def told() -> dict[str, tuple[set[str], str]]:
    """Return the rows of the table of events: facts, and whether the owner hears of it."""
    row = re.compile(r"^\| `([a-z-]+)` \| (.*?) ?\| .+ \| (.+) \|$", re.MULTILINE)
    rows = row.findall(EVENTS.read_text())
    return {kind: (set(re.findall(r"`(\w+)`", facts)), heard) for kind, facts, heard in rows}


def test_every_route_of_the_public_api_has_a_section() -> None:
    """And the internal routes that somebody outside calls; each once, and no other."""
    expected = public() | (internal() - BETWEEN_THE_ZONES)
    assert sorted(headings(*PAGES)) == sorted(expected)


def test_the_template_has_what_it_is_known_to_have() -> None:
    """The comparison sees both APIs."""
    assert {("PATCH", "/passkeys/{id}"), ("POST", "/oauth/token")} <= public()
    assert internal() >= BETWEEN_THE_ZONES | {("POST", "/deposits")}


def test_the_table_of_routes_says_what_the_gate_demands() -> None:
    """Level, age and nonce are the gate's own; where there is no gate there is no level."""
    rows = index()
    assert rows.keys() == public()
    for route, (who, acr, max_age, nonce) in rows.items():
        demand = DEMANDS.get(route)
        if demand is None:
            assert who in {"proof", "anybody"}
            assert (acr, max_age) == ("", "")
            assert nonce == ("yes" if route in NONCE_WITHOUT_GATE else "")
        else:
            age = "" if demand.max_age_s is None else str(demand.max_age_s)
            assert (who, acr, max_age) == ("gate", demand.acr, age)
            assert nonce == ("yes" if demand.nonce else "")


def test_the_index_names_every_internal_route() -> None:
    """Each that somebody outside calls; of those between the zones, none."""
    outside = internal() - BETWEEN_THE_ZONES - public()
    listed = INDEX.read_text().partition("\nThe internal API: ")[2].partition("\n")[0]
    assert set(ROUTE.findall(re.sub(r"[`\]]", " ", listed))) == outside


def test_every_refusal_on_a_page_exists_under_its_status() -> None:
    """No page promises a refusal that the product does not have."""
    assert named_refusals(*PAGES) <= set(documented_refusals())


def test_every_refusal_of_an_api_is_on_a_page() -> None:
    """Whatever the routes may answer, a page of theirs names."""
    names = {name for _, name in documented_refusals()}
    text = "\n".join(page.read_text() for page in PAGES)
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_every_refusal_of_a_route_is_on_the_page_of_the_route() -> None:
    """What docs/errors.md says of a route, the route's own page says, under the same status."""
    missing = [
        (status, name, page.name)
        for status, name, where in refusals_by_place()
        for page in pages_of(where)
        if (status, name) not in named_refusals(page)
    ]
    assert missing == []


def test_every_refusal_of_the_ledger_is_on_the_page_about_money() -> None:
    """Whatever crosses the hop is answered to who orders or reads, so it is named there."""
    told = {(str(status_of(kind)), kind.code) for kind in LEDGER_REFUSALS.values()}
    assert told <= named_refusals(Path("docs/api/money.md"))


def test_places_are_read_from_the_list_of_refusals() -> None:
    """The comparison sees routes, and a star as every route that begins so."""
    assert [page.name for page in pages_of("`POST /passkeys*`, `POST /recovery`: full.")] == [
        "passkeys.md",
        "recovery.md",
    ]
    assert sum(1 for _, _, where in refusals_by_place() if pages_of(where)) > 30


def test_every_link_leads_somewhere() -> None:
    """To a file of the repository and, where it names one, to a heading in it."""
    for page, target in links():
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page.resolve()
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page}: {target}"


def test_every_event_is_documented_and_nothing_else() -> None:
    """Kinds and facts of the page are the product's."""
    product, page = written_events.facts(), told()
    assert page.keys() == product.keys()
    for kind, facts in product.items():
        assert facts <= page[kind][0], kind


def test_the_page_says_which_events_the_owner_hears_of() -> None:
    """As the list of notices decides."""
    for kind, (_, heard) in told().items():
        if kind in REASONS:
            assert set(re.findall(r"`([a-z-]+)`", heard)) == REASONS[kind]
        else:
            assert heard == ("yes" if kind in KINDS else "no"), kind


def test_the_reasons_of_an_ended_session_are_documented() -> None:
    """Each reason has its row, and each row its reason."""
    table = EVENTS.read_text().partition("Reasons of `session-ended`:")[2]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == set(get_args(Reason))


def example() -> tuple[str, str, bytes, str]:
    """Return proof, token, body and idempotency key of the worked example."""
    text = INDEX.read_text().partition("### A worked example")[2]
    parts = re.search(r"```text\n(eyJ\S+)\n\n(eyJ\S+)\n\n(\S+)\n```", text)
    token = re.search(r"^token +(\S+)$", text, re.MULTILINE)
    body = re.search(r"^\{\"to_account.+$", text, re.MULTILINE)
    key = re.search(r"`Idempotency-Key: (\S+)`", text)
    assert parts
    assert token
    assert body
    assert key
    return ".".join(parts.groups()), token[1], body[0].encode(), key[1]


def verified(compact: str, token: str) -> dpop.Proof:
    """Verify a proof as the gate would have, in its minute."""
    return dpop.verify(
        compact,
        expected_method="POST",
        expected_url="http://localhost:8080/transfers",
        access_token=token,
        now_s=1_795_462_938,
    )


def test_the_worked_example_verifies() -> None:
    """The proof on the page is one, and it signs the order on the page."""
    compact, token, body, key = example()
    assert len(body) == 88
    dpop.verify_order(verified(compact, token), body=body, idempotency_key=key)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_the_worked_example_is_really_compared(part: int) -> None:
    """With one character changed it is no proof of anything."""
    compact, token, _, _ = example()
    parts = compact.split(".")
    parts[part] = parts[part][:20] + ("A" if parts[part][20] != "A" else "B") + parts[part][21:]
    with pytest.raises(EvidenceError):
        verified(".".join(parts), token)
