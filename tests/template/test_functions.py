"""How each function is deployed: what it is told, how long it may take, what it can import."""

import ast
from dataclasses import astuple
from pathlib import Path

import pytest

from portcullis.aws import clients, hop
from portcullis.identity.verifiers import ACCEPTED, Parameters
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
ENROLMENT_KEYS = {"ENROLMENT_KEYS": "EnrolmentKey"}
APPROVAL_KEYS = {"APPROVAL_KEYS": "ApprovalKey"}
INDEX_KEYS = {"INDEX_KEYS": "IndexKey"}
PEPPER_KEYS = {"PEPPER_KEYS": "PepperKey"}
ONCE = {"ONCE_TABLE": "OnceTable"}
IDENTITY = {"IDENTITY_TABLE": "IdentityTable"}
STANDING = {"STANDING_TABLE": "StandingTable"}
ACCOUNTS = {**IDENTITY, **STANDING, **ONCE}
APPROVED = {**ACCESS_TOKEN_KEYS, **APPROVAL_KEYS, **ENROLMENT_KEYS}
DATA_KEY = {"IDENTITY_DATA_KEY": "IdentityDataKey"}
REFRESH_SECRET = {**DATA_KEY, "REFRESH_SECRETS": "{RefreshSecrets}"}
CERTIFIER = {"CERTIFIER_FUNCTION": "CertifyEnrolmentFunctionAliaslive"}
JUDGING = {
    "RESTRAIN_FUNCTION": "RestrainFunctionAliaslive",
    "PLACES_DATABASE": "{PlacesDatabase}",
    "NETWORKS_DATABASE": "{NetworksDatabase}",
    "IMPOSSIBLE_TRAVEL": "{ImpossibleTravel}",
}
AAGUIDS = {"PASSKEY_AAGUIDS": "{PasskeyAaguids}"}
ROOTS = {"PASSKEY_ROOTS": "{PasskeyRoots}"}
ARGON2 = {
    "ARGON2_ITERATIONS": "{Argon2Iterations}",
    "ARGON2_LANES": "{Argon2Lanes}",
    "ARGON2_MEMORY_KIB": "{Argon2MemoryKib}",
}
SIGN_IN = {**REFRESH_SECRET, **ACCESS_TOKEN_KEYS, **JUDGING}
BREACHES = {
    "BREACH_LOOKUP_FAILURE": "{BreachLookupFailure}",
    "BREACH_LOOKUP_URL": "{BreachLookupUrl}",
}
OPERATOR_ROLE = {"OPERATOR_ROLE": "portcullis-operator"}
BALANCES = {"BALANCES_TABLE": "BalancesTable"}
JOURNAL = {"JOURNAL_TABLE": "JournalTable"}
LEDGER_ONCE = {"LEDGER_ONCE_TABLE": "LedgerOnceTable"}
COMMANDS = {"COMMAND_KEY": "CommandKey"}
RECEIPTS = {"RECEIPT_KEY": "ReceiptKey"}
REGISTRY = {"REGISTRY_TABLE": "RegistryTable"}
OUTSIDE = {
    "AUDIT_BUCKET": "AuditBucket",
    "EVENT_BUS": "EventBus",
    "NOTICES_TOPIC": "NoticesTopic",
}
BOOK = {**BALANCES, **JOURNAL, **LEDGER_ONCE}
ORDERS = {**ACCESS_TOKEN_KEYS, **COMMANDS, **RECEIPTS}

TOLD: dict[str, dict[str, str]] = {
    "identity-account-options": {**ONCE, **AAGUIDS},
    "identity-add-passkey": {**ACCOUNTS, **APPROVED, **DATA_KEY, **CERTIFIER},
    "identity-approval-options": {**IDENTITY, **STANDING, **ONCE, **ACCESS_TOKEN_KEYS},
    "identity-approve": {**ACCOUNTS, **APPROVED, **DATA_KEY},
    "identity-cancel-recovery": {**ACCOUNTS, **ACCESS_TOKEN_KEYS},
    "identity-certify-enrolment": {**ACCOUNTS, **APPROVED, **INDEX_KEYS, **AAGUIDS, **ROOTS},
    "identity-confirm-totp": {**ACCOUNTS, **APPROVED, **DATA_KEY},
    "identity-end-session": {**ACCOUNTS, **ACCESS_TOKEN_KEYS},
    "identity-end-sessions": {**ACCOUNTS, **ACCESS_TOKEN_KEYS},
    "identity-enrol-totp": {**IDENTITY, **ONCE, **ACCESS_TOKEN_KEYS, **DATA_KEY},
    "identity-gate": {**ACCOUNTS, **ACCESS_TOKEN_KEYS, **DATA_KEY, **JUDGING},
    "identity-jwks": ACCESS_TOKEN_KEYS,
    "identity-lift-lockdown": {**ACCOUNTS, **REGISTRY, **OPERATOR_ROLE},
    "identity-lift-quarantine": {**ACCOUNTS, **REGISTRY, **OPERATOR_ROLE},
    "identity-list-passkeys": {**IDENTITY, **ACCESS_TOKEN_KEYS, **DATA_KEY},
    "identity-list-sessions": {**IDENTITY, **STANDING, **ACCESS_TOKEN_KEYS},
    "identity-lock-down": {**ACCOUNTS, **REGISTRY, **OPERATOR_ROLE},
    "identity-mint-recovery-codes": {**ACCOUNTS, **APPROVED, **INDEX_KEYS},
    "identity-open-account": {**ACCOUNTS, **CERTIFIER},
    "identity-passkey-options": {**IDENTITY, **ONCE, **ACCESS_TOKEN_KEYS, **AAGUIDS},
    "identity-password-sign-in": {**ACCOUNTS, **ARGON2, **INDEX_KEYS, **PEPPER_KEYS, **DATA_KEY},
    "identity-put-password": {
        **ACCOUNTS,
        **ARGON2,
        **BREACHES,
        **APPROVED,
        **INDEX_KEYS,
        **PEPPER_KEYS,
        **DATA_KEY,
    },
    "identity-recover": {**ACCOUNTS, **INDEX_KEYS, **CERTIFIER},
    "identity-recovery-options": {**ACCOUNTS, **INDEX_KEYS, **AAGUIDS},
    "identity-refresh": {**ACCOUNTS, **REFRESH_SECRET, **ACCESS_TOKEN_KEYS, **JUDGING},
    "identity-release-account": {**IDENTITY, **ONCE, **REGISTRY, **INDEX_KEYS, **OPERATOR_ROLE},
    "identity-remove-passkey": {**ACCOUNTS, **APPROVED},
    "identity-remove-totp": {**ACCOUNTS, **APPROVED},
    "identity-rename-passkey": {**ACCOUNTS, **ACCESS_TOKEN_KEYS, **DATA_KEY},
    "identity-restrain": {**IDENTITY, **STANDING},
    "identity-revoke": IDENTITY,
    "identity-second-factor": {**ACCOUNTS, **SIGN_IN, **ENROLMENT_KEYS},
    "identity-session-options": ONCE,
    "identity-sign-in": {**ACCOUNTS, **SIGN_IN, **ENROLMENT_KEYS},
    "ledger-deposit": {**BOOK, **REGISTRY, **RECEIPTS},
    "ledger-entries": {**BOOK, **ACCESS_TOKEN_KEYS, "LEDGER_DATA_KEY": "LedgerDataKey"},
    "ledger-post": {
        **BOOK,
        **STANDING,
        **ORDERS,
        **APPROVAL_KEYS,
        **ENROLMENT_KEYS,
        "MONEY_ROLES": "portcullis-money-open-wallet,portcullis-money-order-transfer",
    },
    "ledger-wallets": {**BALANCES, **ACCESS_TOKEN_KEYS},
    "money-list-entries": ACCESS_TOKEN_KEYS,
    "money-list-wallets": ACCESS_TOKEN_KEYS,
    "money-open-wallet": ORDERS,
    "money-order-transfer": ORDERS,
    "operations-publish": {**IDENTITY, **OUTSIDE},
    "operations-reconcile": {**IDENTITY, **OUTSIDE},
    "operations-register-operator": REGISTRY,
    "operations-register-partner": REGISTRY,
}
"""What each function is told beyond what every one is."""

WITHOUT_APPROVAL = (
    "identity-approval-options",
    "identity-cancel-recovery",
    "identity-end-session",
    "identity-end-sessions",
    "identity-enrol-totp",
    "identity-passkey-options",
    "identity-rename-passkey",
)
NEVER_ASKED_FOR = {
    "ledger-deposit": {"APPROVAL_KEYS", "ENROLMENT_KEYS", "STANDING_TABLE"},
    **{name: {"APPROVAL_KEYS", "ENROLMENT_KEYS"} for name in WITHOUT_APPROVAL},
}
"""What the search finds and no run reaches: a deposit debits no user, so no standing is read and
nothing is approved; a route without an act to approve verifies no approval."""

TIMEOUT_S = {
    "identity-account-options": 10,
    "identity-add-passkey": 15,
    "identity-approval-options": 10,
    "identity-approve": 10,
    "identity-cancel-recovery": 10,
    "identity-certify-enrolment": 3,
    "identity-confirm-totp": 10,
    "identity-end-session": 10,
    "identity-end-sessions": 10,
    "identity-enrol-totp": 10,
    "identity-gate": 15,
    "identity-jwks": 5,
    "identity-lift-lockdown": 10,
    "identity-lift-quarantine": 10,
    "identity-list-passkeys": 10,
    "identity-list-sessions": 10,
    "identity-lock-down": 10,
    "identity-mint-recovery-codes": 10,
    "identity-open-account": 15,
    "identity-passkey-options": 10,
    "identity-password-sign-in": 10,
    "identity-put-password": 10,
    "identity-recover": 15,
    "identity-recovery-options": 10,
    "identity-refresh": 15,
    "identity-release-account": 10,
    "identity-remove-passkey": 10,
    "identity-remove-totp": 10,
    "identity-rename-passkey": 10,
    "identity-restrain": 3,
    "identity-revoke": 10,
    "identity-second-factor": 15,
    "identity-session-options": 10,
    "identity-sign-in": 15,
    "ledger-deposit": 5,
    "ledger-entries": 5,
    "ledger-post": 5,
    "ledger-wallets": 5,
    "money-list-entries": 12,
    "money-list-wallets": 12,
    "money-open-wallet": 12,
    "money-order-transfer": 12,
    "operations-publish": 60,
    "operations-reconcile": 240,
    "operations-register-operator": 10,
    "operations-register-partner": 10,
}

WITH_PASSKEYS = {
    "identity-account-options",
    "identity-add-passkey",
    "identity-approval-options",
    "identity-approve",
    "identity-certify-enrolment",
    "identity-open-account",
    "identity-passkey-options",
    "identity-recover",
    "identity-recovery-options",
    "identity-second-factor",
    "identity-session-options",
    "identity-sign-in",
}

OWN_PLACES = {"Fn::If": ["HasPlacesLayer", {"Ref": "PlacesLayerArn"}, {"Ref": "AWS::NoValue"}]}
"""The deployment's own layer of location databases, where it has one."""

MEMORY_MB = 512
WHOLE_CPU_MB = 1769
"""AWS Lambda developer guide, "Configure function memory": one virtual CPU."""
ARGON2_PARAMETERS = ("Argon2MemoryKib", "Argon2Iterations", "Argon2Lanes")
WITH_ARGON2 = {"identity-password-sign-in", "identity-put-password"}


def handler_of(name: str) -> Path:
    """Return a function's handler file."""
    zone, _, endpoint = name.partition("-")
    return ROOT / "functions" / zone / endpoint.replace("-", "_") / "handler.py"


def layers_of(name: str) -> set[str]:
    """Return the layers of a function, without the hash that SAM appends to their names."""
    layers = [layer for layer in functions()[name]["Layers"] if layer != OWN_PLACES]
    attached = {one for layer in layers for one in references(layer)}
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


def test_who_asks_the_certifier_waits_for_two_of_its_answers() -> None:
    """The certifier ends before its caller gives up, and a lost answer is asked for once more."""
    assert 2 * TIMEOUT_S["identity-certify-enrolment"] <= clients.INVOCATION_TIMEOUT_S
    tries_s = clients.ATTEMPTS_MAX * (clients.CONNECT_TIMEOUT_S + clients.INVOCATION_TIMEOUT_S)
    asking = {name for name, told in TOLD.items() if told.keys() & CERTIFIER.keys()}
    assert asking == {"identity-add-passkey", "identity-open-account", "identity-recover"}
    for name in asking:
        assert tries_s < TIMEOUT_S[name] < GATEWAY_S


def test_who_has_restraint_done_waits_for_two_of_its_answers() -> None:
    """Restraint, a cold start included, ends before its caller gives up; a lost answer costs two.

    So a kill that fails is alarmed by whoever asked for it, and not cut off with it.
    """
    assert 2 * TIMEOUT_S["identity-restrain"] <= clients.INVOCATION_TIMEOUT_S
    tries_s = clients.ATTEMPTS_MAX * (clients.CONNECT_TIMEOUT_S + clients.INVOCATION_TIMEOUT_S)
    asking = {name for name, told in TOLD.items() if told.keys() & JUDGING.keys()}
    assert asking == {
        "identity-gate",
        "identity-refresh",
        "identity-second-factor",
        "identity-sign-in",
    }
    for name in asking:
        assert tries_s < TIMEOUT_S[name] < GATEWAY_S


def test_who_locates_may_have_a_database_to_locate_by() -> None:
    """Whoever judges has the deployment's own layer of places if there is one, and nobody else."""
    located = {name for name, one in functions().items() if OWN_PLACES in one["Layers"]}
    assert located == {name for name, told in TOLD.items() if told.keys() & JUDGING.keys()}
    assert parent()["Parameters"]["PlacesLayerArn"]["Default"] == ""


def test_the_settings_of_argon2_are_costs_that_the_product_accepts() -> None:
    """What the template asks for by default is accepted, and it can ask for every accepted cost."""
    declared = {name: parent()["Parameters"][name] for name in ARGON2_PARAMETERS}
    default = Parameters(*(int(one["Default"]) for one in declared.values()))
    assert default in ACCEPTED
    for place, one in enumerate(declared.values()):
        wanted = {astuple(cost)[place] for cost in ACCEPTED}
        assert {int(value) for value in one["AllowedValues"]} == wanted


def test_only_the_sign_in_with_a_password_is_capped_and_only_if_it_is_asked_for() -> None:
    """A young account has none to reserve, so a deployment that says nothing has no cap."""
    capped = {
        name: function["ReservedConcurrentExecutions"]
        for name, function in functions().items()
        if "ReservedConcurrentExecutions" in function
    }
    assert capped == {
        "identity-password-sign-in": {
            "Fn::If": [
                "HasPasswordConcurrency",
                {"Ref": "PasswordConcurrency"},
                {"Ref": "AWS::NoValue"},
            ]
        }
    }
    assert parent()["Parameters"]["PasswordConcurrency"]["Default"] == 0
    assert parent()["Conditions"]["HasPasswordConcurrency"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "PasswordConcurrency"}, 0]}]
    }


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
    """One runtime, one handler name, one architecture, 512 MB; a whole processor for Argon2."""
    function = functions()[name]
    assert function["Runtime"] == "python3.13"
    assert function["Handler"] == "handler.handler"
    assert function["MemorySize"] == (WHOLE_CPU_MB if name in WITH_ARGON2 else MEMORY_MB)
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
