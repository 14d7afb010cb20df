"""How each function is deployed: what it is told, how long it may take, what it can import."""

import ast
from pathlib import Path

import pytest

from portcullis.aws import clients, hop
from tests.template.settings_reached import settings_of
from tests.template.transformed import (
    ROOT,
    functions,
    parent,
    readable,
    references,
    resources,
    source,
)

GATEWAY_S = 29
"""API Gateway answers by itself after this (its default integration time-out)."""

TOLD_EVERYBODY = {
    "INTERNAL_ORIGIN": "{InternalOrigin}",
    "PUBLIC_ORIGIN": "{PublicOrigin}",
    "RELEASE": "unreleased",
}

ACCESS_TOKEN_KEYS = {"ACCESS_TOKEN_KEYS": "AccessTokenKey"}
ONCE = {"ONCE_TABLE": "OnceTable"}
IDENTITY = {"IDENTITY_TABLE": "IdentityTable"}
STANDING = {"STANDING_TABLE": "StandingTable"}
REFRESH_SECRET = {**ONCE, "IDENTITY_DATA_KEY": "IdentityDataKey"}
BALANCES = {"BALANCES_TABLE": "BalancesTable"}
JOURNAL = {"JOURNAL_TABLE": "JournalTable"}
LEDGER_ONCE = {"LEDGER_ONCE_TABLE": "LedgerOnceTable"}
COMMANDS = {"COMMAND_KEY": "CommandKey"}
RECEIPTS = {"RECEIPT_KEY": "ReceiptKey"}
REGISTRY = {"REGISTRY_TABLE": "RegistryTable"}
BOOK = {**BALANCES, **JOURNAL, **LEDGER_ONCE}
ORDERS = {**ACCESS_TOKEN_KEYS, **COMMANDS, **RECEIPTS}

TOLD: dict[str, dict[str, str]] = {
    "identity-account-options": ONCE,
    "identity-gate": {**IDENTITY, **STANDING, **ONCE, **ACCESS_TOKEN_KEYS},
    "identity-jwks": ACCESS_TOKEN_KEYS,
    "identity-open-account": {**IDENTITY, **STANDING, **ONCE},
    "identity-refresh": {**IDENTITY, **STANDING, **REFRESH_SECRET, **ACCESS_TOKEN_KEYS},
    "identity-revoke": IDENTITY,
    "identity-session-options": ONCE,
    "identity-sign-in": {**IDENTITY, **STANDING, **REFRESH_SECRET, **ACCESS_TOKEN_KEYS},
    "ledger-deposit": {**BOOK, **REGISTRY, **RECEIPTS},
    "ledger-entries": {
        **BOOK,
        **ACCESS_TOKEN_KEYS,
        "LEDGER_DATA_KEY": "LedgerDataKey",
    },
    "ledger-post": {
        **BOOK,
        **STANDING,
        **ORDERS,
        "MONEY_ROLES": "portcullis-money-open-wallet,portcullis-money-order-transfer",
    },
    "ledger-wallets": {**BALANCES, **ACCESS_TOKEN_KEYS},
    "money-list-entries": ACCESS_TOKEN_KEYS,
    "money-list-wallets": ACCESS_TOKEN_KEYS,
    "money-open-wallet": ORDERS,
    "money-order-transfer": ORDERS,
    "operations-register-partner": REGISTRY,
}
"""What each function is told beyond what every one is."""

NEVER_ASKED_FOR = {"ledger-deposit": {"STANDING_TABLE"}}
"""What the search finds and no run reaches: a deposit debits no user, so no standing is read."""

TIMEOUT_S = {
    "identity-account-options": 10,
    "identity-gate": 5,
    "identity-jwks": 5,
    "identity-open-account": 10,
    "identity-refresh": 10,
    "identity-revoke": 10,
    "identity-session-options": 10,
    "identity-sign-in": 10,
    "ledger-deposit": 5,
    "ledger-entries": 5,
    "ledger-post": 5,
    "ledger-wallets": 5,
    "money-list-entries": 12,
    "money-list-wallets": 12,
    "money-open-wallet": 12,
    "money-order-transfer": 12,
    "operations-register-partner": 10,
}

WITH_PASSKEYS = {
    "identity-account-options",
    "identity-open-account",
    "identity-session-options",
    "identity-sign-in",
}


def handler_of(name: str) -> Path:
    """Return a function's handler file."""
    zone, _, endpoint = name.partition("-")
    return ROOT / "functions" / zone / endpoint.replace("-", "_") / "handler.py"


def layers_of(name: str) -> set[str]:
    """Return the layers of a function, without the hash that SAM appends to their names."""
    attached = {one for layer in functions()[name]["Layers"] for one in references(layer)}
    return {layer[: layer.index("Layer") + len("Layer")] for layer in attached}


def test_every_function_is_told_exactly_this() -> None:
    """A setting is in this table or it is not set: a new one is a change of this file."""
    told = {
        name: readable(function["Environment"]["Variables"])
        for name, function in functions().items()
    }
    assert told == {name: {**TOLD_EVERYBODY, **own} for name, own in TOLD.items()}


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_function_has_every_setting_that_it_can_read(name: str) -> None:
    """No path through a handler's code ends at a setting that its deployment leaves out."""
    told = set(functions()[name]["Environment"]["Variables"])
    assert settings_of(handler_of(name)) - told == NEVER_ASKED_FOR.get(name, set())


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_function_is_told_of_nothing_that_it_cannot_read(name: str) -> None:
    """No function knows a table or key that its code has no use for."""
    assert set(TOLD[name]) - settings_of(handler_of(name)) == set()


def test_the_search_sees_a_setting_at_the_end_of_a_long_path(tmp_path: Path) -> None:
    """A call, a reference and a class, each two modules away from the setting, are followed."""
    handler = tmp_path / "handler.py"
    handler.write_text(
        "from portcullis.identity import once\n"
        "from portcullis.edge.evidence import proof_of\n"
        "def handler(event):\n"
        "    return later(once.consume)\n"
        "def later(work):\n"
        "    return work, proof_of\n"
    )
    assert settings_of(handler) == {"ONCE_TABLE", "PUBLIC_ORIGIN"}


def test_a_setting_without_a_literal_name_is_refused(tmp_path: Path) -> None:
    """A name put together at run time would escape the search, so it is not allowed."""
    handler = tmp_path / "handler.py"
    handler.write_text('def handler(zone):\n    return setting(zone + "_TABLE")\n')
    with pytest.raises(ValueError, match="zone"):
        settings_of(handler)


def test_no_secret_is_a_setting() -> None:
    """What a function is told is a name, an origin or an ARN: never a value to be kept secret."""
    told = {
        str(value)
        for function in functions().values()
        for value in readable(function["Environment"]["Variables"]).values()
    }
    declared = {"{PublicOrigin}", "{InternalOrigin}", "unreleased"}
    roles = {TOLD["ledger-post"]["MONEY_ROLES"]}
    assert (
        told - declared - roles
        == {value for own in TOLD.values() for value in own.values()} - roles
    )


def test_the_roles_that_the_ledger_obeys_are_the_ones_that_order() -> None:
    """The names in MONEY_ROLES are those of the two roles that sign commands."""
    roles = {
        readable(role["Properties"]["RoleName"]) for role in resources("AWS::IAM::Role").values()
    }
    assert set(TOLD["ledger-post"]["MONEY_ROLES"].split(",")) <= roles


def test_time_outs_are_these() -> None:
    """How long each function may run is written here."""
    assert {name: function["Timeout"] for name, function in functions().items()} == TIMEOUT_S


def test_time_outs_nest() -> None:
    """Who waits, waits longer: ledger 5 s, hop 8 s, money 12 s, API Gateway 29 s."""
    for ledger in (name for name in TIMEOUT_S if name.startswith("ledger-")):
        for money in (name for name in TIMEOUT_S if name.startswith("money-")):
            assert TIMEOUT_S[ledger] < hop.TIMEOUT_S < TIMEOUT_S[money] < GATEWAY_S
    assert TIMEOUT_S["identity-gate"] < GATEWAY_S


def test_one_call_to_aws_ends_before_the_shortest_function_does() -> None:
    """One try of the SDK, connection and answer, fits into every function's time."""
    assert min(TIMEOUT_S.values()) > clients.CONNECT_TIMEOUT_S + clients.READ_TIMEOUT_S
    assert clients.ATTEMPTS_MAX == 2


@pytest.mark.parametrize("name", sorted(functions()))
def test_the_passkey_libraries_are_where_passkeys_are_verified(name: str) -> None:
    """A function has the core layer, and the passkeys layer only if it needs it."""
    expected = {"CoreLayer", "PasskeysLayer"} if name in WITH_PASSKEYS else {"CoreLayer"}
    assert layers_of(name) == expected


@pytest.mark.parametrize("name", sorted(functions()))
def test_every_function_runs_alike(name: str) -> None:
    """One runtime, one handler name, one architecture, 512 MB."""
    function = functions()[name]
    assert function["Runtime"] == "python3.13"
    assert function["Handler"] == "handler.handler"
    assert function["MemorySize"] == 512
    assert readable(function["Architectures"]) == ["{Architecture}"]


@pytest.mark.parametrize("layer", ["CoreLayer", "PasskeysLayer"])
def test_a_layer_is_built_for_the_architecture_that_its_functions_have(layer: str) -> None:
    """Its compiled modules would not load on the other one."""
    declared = source()["Resources"][layer]
    architecture = {"Ref": "Architecture"}
    assert declared["Metadata"]["BuildArchitecture"] == architecture
    assert declared["Properties"]["CompatibleArchitectures"] == [architecture]


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_function_s_code_is_its_handler_s_folder(name: str) -> None:
    """A function is deployed from the folder that its name says."""
    (resource,) = (
        one
        for one in resources("AWS::Serverless::Function", source()).values()
        if readable(one["Properties"]["FunctionName"]) == f"portcullis-{name}"
    )
    assert ROOT / resource["Properties"]["CodeUri"] == handler_of(name).parent


def test_every_group_of_logs_forgets() -> None:
    """Each log group keeps what the deployment says, and no group is left without an end."""
    groups = resources("AWS::Logs::LogGroup")
    assert {readable(group["Properties"]["LogGroupName"]) for group in groups.values()} == {
        "/portcullis/identity",
        "/portcullis/money",
        "/portcullis/ledger",
        "/portcullis/operations",
        "/portcullis/access/public",
        "/portcullis/access/internal",
    }
    for group in groups.values():
        assert readable(group["Properties"]["RetentionInDays"]) == "{LogRetentionDays}"
    assert parent()["Parameters"]["LogRetentionDays"]["Default"] == 365


def test_handlers_define_one_name_that_lambda_calls() -> None:
    """Every handler file defines the function `handler` that the template names."""
    for name in functions():
        tree = ast.parse(handler_of(name).read_text())
        assert "handler" in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
