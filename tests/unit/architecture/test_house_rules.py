"""The house's rules, read from the sources: where each thing may stand, and where nothing may."""

import os
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.unit.architecture.sources import (
    FUNCTIONS,
    ROOT,
    handler_files,
    imports,
    named,
    packages,
    product_files,
    relative,
    tree,
)

HANDLER_LINES_MAX = 40

SDKS = {"aiobotocore", "boto3", "botocore", "requests", "urllib3"}

CLIENTS = "aws/clients.py"
SETTINGS = "settings.py"
CLOCK = "clock.py"
ENTROPY = "entropy.py"

MAKES_CLIENTS = re.compile(r"(boto3\b.*|botocore\.session\b.*|.*\.(create_client|get_session))")
READS_ENVIRONMENT = re.compile(r"os\.(environb?|getenvb?|putenv|unsetenv)(\..*)?")
READS_CLOCK = re.compile(
    r"time\.(time|time_ns|gmtime|localtime|ctime|clock_gettime)"
    r"|datetime\.(datetime|date)\.(now|utcnow|today)"
)
"""The time of day; how long something took, and a pause, need no seam."""
DRAWS = re.compile(
    r"os\.urandom|(random|secrets|uuid|numpy)(\..*)?|.*\.(generate_private_key|generate_key)"
)

VAGUE = {"base", "common", "core", "helper", "helpers", "lib", "manager", "misc", "util", "utils"}

WITH_PASSKEYS = {"PasskeysLayer"}

PURE = {
    "portcullis.amounts",
    "portcullis.errors",
    "portcullis.evidence.access_token",
    "portcullis.evidence.approvals",
    "portcullis.evidence.assertions",
    "portcullis.evidence.caller",
    "portcullis.evidence.claims",
    "portcullis.evidence.client_data",
    "portcullis.evidence.commands",
    "portcullis.evidence.dpop",
    "portcullis.evidence.encoding",
    "portcullis.evidence.enrolments",
    "portcullis.evidence.errors",
    "portcullis.evidence.jws",
    "portcullis.evidence.keys",
    "portcullis.evidence.levels",
    "portcullis.evidence.meaning",
    "portcullis.evidence.operators",
    "portcullis.evidence.orders",
    "portcullis.evidence.partners",
    "portcullis.evidence.passkey_keys",
    "portcullis.evidence.receipts",
    "portcullis.identity.judge",
    "portcullis.identity.observations",
    "portcullis.ledger.chain",
    "portcullis.refusals",
    "portcullis.schema",
    "portcullis.strict_json",
    "portcullis.vocabulary",
}
"""The same input gives the same output: neither they nor what they import know AWS, settings,
clock or randomness."""

IMPURE = {"portcullis.clock", "portcullis.entropy", "portcullis.log", "portcullis.settings"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Who imports whom in the product, and which libraries."""
    return grimp.build_graph("portcullis", include_external_packages=True, cache_dir=None)


def naming(pattern: re.Pattern[str]) -> set[str]:
    """Return the product's modules that name what the pattern matches."""
    return {
        relative(file)
        for file in product_files()
        if any(pattern.fullmatch(name) for name in named(file))
    }


def deployed() -> dict[str, set[str]]:
    """Return the layers, but the core, of each function of the template, by its folder."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    return {
        resource["Properties"]["CodeUri"].rstrip("/"): {
            layer["Ref"] for layer in resource["Properties"].get("Layers", []) if "Ref" in layer
        }
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def test_a_function_s_folder_holds_its_handler_and_nothing_else() -> None:
    """functions/<zone>/<endpoint>/handler.py is all there is: what is shared is in the layer."""
    files = {
        file.relative_to(FUNCTIONS)
        for file in FUNCTIONS.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert [str(file) for file in files if len(file.parts) != 3 or file.name != "handler.py"] == []


def test_the_template_deploys_every_function_and_no_other() -> None:
    """A folder without a resource is dead, a resource without a folder cannot be built."""
    folders = {file.parent.relative_to(ROOT).as_posix() for file in handler_files()}
    assert set(deployed()) == folders


@pytest.mark.parametrize("handler", handler_files(), ids=lambda file: file.parent.name)
def test_a_handler_is_short(handler: Path) -> None:
    """An endpoint reads on one screen: models, one call, a response."""
    assert len(handler.read_text().splitlines()) <= HANDLER_LINES_MAX


@pytest.mark.parametrize("handler", handler_files(), ids=lambda file: file.parent.name)
def test_a_handler_imports_the_product_and_types(handler: Path) -> None:
    """Neither an SDK, nor the operating system, nor a framework: only the layer's own modules."""
    assert packages(handler) <= {"collections", "portcullis", "typing"}


@pytest.mark.parametrize("handler", handler_files(), ids=lambda file: file.parent.name)
def test_a_handler_calls_its_own_zone(handler: Path) -> None:
    """A function imports one zone at most: the one in whose folder it stands."""
    zone = handler.parent.parent.name
    zones = {"identity", "ledger", "money", "operations"}
    assert {module.split(".")[1] for module in imports(handler) if "." in module} & zones <= {zone}


@pytest.mark.parametrize("handler", handler_files(), ids=lambda file: file.parent.name)
def test_a_handler_says_what_it_answers(handler: Path) -> None:
    """Its first line names the route, or that there is none."""
    body = tree(handler).body[0]
    text = (getattr(getattr(body, "value", None), "value", "") or "").splitlines()[0]
    routed = re.match(r"(GET|POST|PUT|PATCH|DELETE) /\S+( \(internal\))?: .+\.$", text)
    assert routed or handler.parent.name in {
        "certify_enrolment",
        "gate",
        "publish",
        "reconcile",
        "register_operator",
        "register_partner",
        "restrain",
    }


def test_one_module_makes_aws_clients() -> None:
    """Time-outs and retries of the SDK are set in one place, because clients are made there."""
    assert naming(MAKES_CLIENTS) == {CLIENTS}


def test_one_module_reads_the_environment() -> None:
    """What a function is told is read through one seam, which has no defaults."""
    assert naming(READS_ENVIRONMENT) == {SETTINGS}


def test_one_module_reads_the_clock() -> None:
    """The time of day comes through one seam, so that a test may say what time it is."""
    assert naming(READS_CLOCK) == {CLOCK}


def test_one_module_draws_randomness() -> None:
    """Ids, secrets and jitter come through one seam, from the operating system's generator."""
    assert naming(DRAWS) == {ENTROPY}


def test_only_the_seams_import_the_operating_system() -> None:
    """`os` is imported for the environment and for randomness, and by nothing else."""
    assert {relative(file) for file in product_files() if "os" in packages(file)} == {
        ENTROPY,
        SETTINGS,
    }


def test_only_the_ports_import_an_sdk() -> None:
    """AWS and HTTP libraries are imported in `aws/` and in the port to the web alone."""
    importing = {relative(file) for file in product_files() if packages(file) & SDKS}
    assert {name for name in importing if not name.startswith("aws/")} == {"web.py"}


def test_no_module_is_called_after_nothing() -> None:
    """A module has a name from the field: not utils, helpers, common or manager."""
    files = [*product_files(), *handler_files(), *(ROOT / "infra").rglob("*.py")]
    names = {part for file in files for part in file.relative_to(ROOT).with_suffix("").parts}
    vague = {name for name in names if VAGUE & set(name.lower().split("_"))}
    assert vague == set()


def test_nothing_is_imported_at_run_time() -> None:
    """No import by name and no `eval`: what a function can reach is in its sources."""
    dynamic = re.compile(r"__import__|eval|exec|importlib(\..*)?")
    assert naming(dynamic) == set()


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_module_reaches_no_seam(module: str, graph: grimp.ImportGraph) -> None:
    """Neither it nor what it imports knows AWS, settings, the clock, randomness or the log."""
    reached = graph.find_upstream_modules(module)
    assert {one for one in reached if one.startswith("portcullis.aws")} == set()
    assert reached & (IMPURE | SDKS) == set()


def test_all_of_evidence_is_pure() -> None:
    """Every module that verifies evidence is in the list of pure ones."""
    evidence = {
        f"portcullis.evidence.{file.stem}"
        for file in product_files()
        if relative(file).startswith("evidence/") and file.stem != "__init__"
    }
    assert evidence <= PURE


@pytest.mark.parametrize("handler", handler_files(), ids=lambda file: file.parent.name)
def test_who_has_no_passkeys_layer_imports_none_of_it(
    handler: Path, graph: grimp.ImportGraph
) -> None:
    """A function imports `webauthn`, by way of others, if and only if its layer is there."""
    reached = {
        upstream
        for module in imports(handler)
        if module in graph.modules
        for upstream in graph.find_upstream_modules(module)
    }
    has_layer = deployed()[handler.parent.relative_to(ROOT).as_posix()] == WITH_PASSKEYS
    assert ("webauthn" in reached) == has_layer


def test_the_import_contracts_hold() -> None:
    """Zones, evidence, edge and ports import what their contracts in pyproject.toml allow."""
    linted = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "shared", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
