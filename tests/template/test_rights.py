"""What each role may do: the whole table. A change of a right is a change of this file.

Read with `docs/threat-model.md`: this is what a thief of one role's credentials holds.
"""

import re

import pytest

from tests.template import policies
from tests.template.policies import Right, rights, roles, statements
from tests.template.transformed import functions, readable, references, resources, short

SHORT = {
    "<ES256, digest>": "StringEquals(kms:SigningAlgorithm=ECDSA_SHA_256)"
    " StringEquals(kms:MessageType=DIGEST)",
    "<through DynamoDB>": "StringEquals(kms:ViaService=dynamodb.us-east-1.amazonaws.com)",
    "<no scan>": "Bool(dynamodb:FullTableScan=false)",
    "<purpose secret>": "StringEquals(kms:EncryptionContext:purpose=secret)",
}
"""Limits that stand in the table below under a shorter name."""

RIGHTS = """\
identity-account-options
    OnceTable dynamodb:GetItem PROOF#*
    OnceTable dynamodb:PartiQLInsert PROOF#* CHALLENGE#*
identity-gate
    AccessTokenKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem SESSION#* SIGHTINGS#*
    IdentityTable dynamodb:UpdateItem SIGHTINGS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:PutItem PROOF#*
    StandingTable dynamodb:BatchGetItem
identity-jwks
    AccessTokenKey kms:GetPublicKey
identity-open-account
    IdentityTable dynamodb:BatchGetItem CREDENTIAL#*
    IdentityTable dynamodb:PartiQLInsert ACCOUNT#* CREDENTIAL#* OUTBOX#* EVENT#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem PROOF#*
    OnceTable dynamodb:GetItem CHALLENGE#*
    OnceTable dynamodb:PartiQLInsert PROOF#*
    OnceTable dynamodb:PartiQLUpdate CHALLENGE#*
    StandingTable dynamodb:PartiQLInsert
identity-refresh
    AccessTokenKey kms:GetPublicKey
    AccessTokenKey kms:Sign <ES256, digest>
    IdentityDataKey kms:Decrypt <purpose secret>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <purpose secret>
    IdentityTable dynamodb:BatchGetItem SESSION#* SIGHTINGS#* OUTBOX#*
    IdentityTable dynamodb:ConditionCheckItem SIGHTINGS#*
    IdentityTable dynamodb:PartiQLInsert EVENT#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* OUTBOX#*
    IdentityTable dynamodb:UpdateItem SESSION#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:GetItem SECRET#refresh#*
    OnceTable dynamodb:PartiQLInsert SECRET#refresh#*
    OnceTable dynamodb:PutItem PROOF#*
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:ConditionCheckItem
identity-revoke
    IdentityTable dynamodb:BatchGetItem SESSION#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
identity-session-options
    OnceTable dynamodb:GetItem PROOF#*
    OnceTable dynamodb:PartiQLInsert PROOF#* CHALLENGE#*
identity-sign-in
    AccessTokenKey kms:GetPublicKey
    AccessTokenKey kms:Sign <ES256, digest>
    IdentityDataKey kms:Decrypt <purpose secret>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <purpose secret>
    IdentityTable dynamodb:BatchGetItem CREDENTIAL#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert SESSION#* EVENT#*
    IdentityTable dynamodb:PartiQLUpdate CREDENTIAL#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem CHALLENGE#*
    OnceTable dynamodb:GetItem PROOF#*
    OnceTable dynamodb:GetItem SECRET#refresh#*
    OnceTable dynamodb:PartiQLInsert PROOF#*
    OnceTable dynamodb:PartiQLInsert SECRET#refresh#*
    OnceTable dynamodb:PartiQLUpdate CHALLENGE#*
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
ledger-deposit
    BalancesTable dynamodb:BatchGetItem WALLET#* HOUSE#*
    BalancesTable dynamodb:PartiQLInsert HOUSE#*
    BalancesTable dynamodb:PartiQLUpdate WALLET#* HOUSE#*
    JournalTable dynamodb:BatchGetItem IDEMPOTENCY#*
    JournalTable dynamodb:GetItem POSTING#*
    JournalTable dynamodb:PartiQLInsert POSTING#* ENTRIES#* IDEMPOTENCY#*
    LedgerOnceTable dynamodb:BatchGetItem COMMAND#*
    LedgerOnceTable dynamodb:PartiQLInsert COMMAND#*
    ReceiptKey kms:GetPublicKey
    ReceiptKey kms:Sign <ES256, digest>
    RegistryTable dynamodb:GetItem PARTNER#*
ledger-entries
    AccessTokenKey kms:GetPublicKey
    BalancesTable dynamodb:GetItem WALLET#*
    JournalTable dynamodb:Query ENTRIES#*
    LedgerDataKey kms:Decrypt <purpose secret>
    LedgerDataKey kms:GenerateDataKeyWithoutPlaintext <purpose secret>
    LedgerOnceTable dynamodb:GetItem SECRET#cursor#*
    LedgerOnceTable dynamodb:PartiQLInsert SECRET#cursor#*
ledger-post
    AccessTokenKey kms:GetPublicKey
    BalancesTable dynamodb:BatchGetItem WALLET#*
    BalancesTable dynamodb:PartiQLInsert WALLET#*
    BalancesTable dynamodb:PartiQLUpdate WALLET#*
    CommandKey kms:GetPublicKey
    JournalTable dynamodb:BatchGetItem IDEMPOTENCY#*
    JournalTable dynamodb:GetItem POSTING#*
    JournalTable dynamodb:PartiQLInsert POSTING#* ENTRIES#* IDEMPOTENCY#*
    LedgerOnceTable dynamodb:BatchGetItem PROOF#* COMMAND#*
    LedgerOnceTable dynamodb:PartiQLInsert PROOF#* COMMAND#*
    ReceiptKey kms:GetPublicKey
    ReceiptKey kms:Sign <ES256, digest>
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
ledger-wallets
    AccessTokenKey kms:GetPublicKey
    BalancesTable dynamodb:Query WALLET#*
money-list-entries
    AccessTokenKey kms:GetPublicKey
    InternalApi/{Stage}/GET/wallets/*/entries execute-api:Invoke
money-list-wallets
    AccessTokenKey kms:GetPublicKey
    InternalApi/{Stage}/GET/wallets execute-api:Invoke
money-open-wallet
    AccessTokenKey kms:GetPublicKey
    CommandKey kms:GetPublicKey
    CommandKey kms:Sign <ES256, digest>
    InternalApi/{Stage}/POST/postings execute-api:Invoke
    ReceiptKey kms:GetPublicKey
money-order-transfer
    AccessTokenKey kms:GetPublicKey
    CommandKey kms:GetPublicKey
    CommandKey kms:Sign <ES256, digest>
    InternalApi/{Stage}/POST/postings execute-api:Invoke
    ReceiptKey kms:GetPublicKey
operations-register-partner
    RegistryTable dynamodb:GetItem PARTNER#*
    RegistryTable dynamodb:PartiQLInsert PARTNER#*
partner-sandbox
    InternalApi/{Stage}/POST/deposits execute-api:Invoke
"""
"""Resource, action, limits: key prefixes are `dynamodb:LeadingKeys`. Logs are tested apart."""

MAY_SIGN = {
    "AccessTokenKey": {"identity-refresh", "identity-sign-in"},
    "CommandKey": {"money-open-wallet", "money-order-transfer"},
    "ReceiptKey": {"ledger-deposit", "ledger-post"},
}
KEEPS_HISTORY = {
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:Query",
}
"""None of these can replace, change or remove an item that is there."""
READS = {
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLSelect",
    "dynamodb:Query",
}
READERS = {"money-list-wallets", "money-list-entries", "ledger-wallets", "ledger-entries"}
PARTITIONLESS = {"StandingTable"}
"""Its keys are account ids, without a type before them: one type of item, PII-free."""
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}


def table() -> str:
    """Return the actual rights in the form of `RIGHTS`."""
    lines: list[str] = []
    for name in sorted(roles()):
        lines.append(name)
        lines += [f"    {right}" for right in policies.of(name) if right.action not in LOGGING]
    text = "\n".join(lines) + "\n"
    for abbreviation, limit in SHORT.items():
        text = text.replace(limit, abbreviation)
    return text


def holders(on: str, *actions: str) -> set[str]:
    """Return the roles that hold one of the actions on a resource."""
    return {right.role for right in rights() if right.on == on and right.action in actions}


def writes(right: Right) -> bool:
    """Return whether a right changes what a table holds."""
    return right.action.startswith("dynamodb:") and right.action not in READS


def test_every_right_of_every_role_stands_in_this_table() -> None:
    """A role may do what is written here, and nothing else."""
    assert table() == RIGHTS


def test_no_right_is_for_every_action_or_every_resource() -> None:
    """No role may do everything of anything, nor anything to everything."""
    wide = [
        str(right)
        for right in rights()
        if "*" in right.action or "?" in right.action or re.match(r"[*?]|arn:.*[*?]", right.on)
    ]
    assert wide == []


def test_the_only_wildcard_in_a_resource_is_the_currency_of_a_statement() -> None:
    """A route's parameter is the one thing that a role's resource leaves open."""
    assert {right.on for right in rights() if "*" in right.on} == {
        "InternalApi/{Stage}/GET/wallets/*/entries"
    }


def test_no_statement_allows_by_leaving_out() -> None:
    """Neither NotAction nor NotResource is used, and nothing but Allow, so the table is whole."""
    shapes = {
        frozenset(statement) - {"Condition"}
        for role in roles().values()
        for statement in statements(role)
    }
    assert shapes == {frozenset({"Effect", "Action", "Resource"})}
    assert all(
        statement["Effect"] == "Allow"
        for role in roles().values()
        for statement in statements(role)
    )


def test_policies_stand_inside_their_roles_alone() -> None:
    """No managed policy, no policy resource, and no role that SAM made: nothing is out of sight."""
    assert [name for name, role in roles().items() if "ManagedPolicyArns" in role] == []
    attached = ("Policy", "ManagedPolicy", "RolePolicy", "UserPolicy", "GroupPolicy")
    assert [kind for kind in attached if resources(f"AWS::IAM::{kind}")] == []
    assert set(roles()) == {*functions(), "partner-sandbox"}


def test_every_function_has_a_role_of_its_own() -> None:
    """No two functions share a role, and a role is called like its function."""
    for name, function in functions().items():
        (resource,) = references(function["Role"])
        assert short(resources("AWS::IAM::Role")[resource]["Properties"]["RoleName"]) == name


def test_only_lambda_can_take_on_a_function_s_role() -> None:
    """A function's role trusts the Lambda service; the sandbox partner's trusts the account."""
    trusted = {
        name: readable(role["AssumeRolePolicyDocument"]["Statement"])
        for name, role in roles().items()
    }
    partner = trusted.pop("partner-sandbox")
    assert partner == [
        {
            "Effect": "Allow",
            "Principal": {"AWS": policies.ACCOUNT_ROOT},
            "Action": ["sts:AssumeRole"],
        }
    ]
    for statement in trusted.values():
        assert statement == [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": ["sts:AssumeRole"],
            }
        ]


def test_the_sandbox_partner_exists_only_where_it_is_asked_for() -> None:
    """A deployment that says nothing has no role that the whole account can take on."""
    role = resources("AWS::IAM::Role")["SandboxPartnerRole"]
    assert role["Condition"] == "HasSandboxPartner"


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_function_writes_the_log_of_its_own_zone(name: str) -> None:
    """Logging is two actions on the zone's own group, where the function really logs."""
    group = f"{name.partition('-')[0].capitalize()}Logs"
    assert readable(functions()[name]["LoggingConfig"]) == {"LogGroup": group}
    logging = [right for right in policies.of(name) if right.action in LOGGING]
    assert {(right.on, right.limits) for right in logging} == {(group, "")}
    assert {right.action for right in logging} == LOGGING


def test_resources_are_named_by_arn() -> None:
    """A resource that is not an ARN matches nothing on AWS, however right the table looks."""
    for role in resources("AWS::IAM::Role").values():
        for statement in statements(role["Properties"]):
            named = statement["Resource"]
            for one in named if isinstance(named, list) else [named]:
                match one:
                    case {"Fn::GetAtt": [_, str(attribute)]}:
                        assert attribute.endswith("Arn")
                    case {"Fn::Sub": str(text)}:
                        assert text.startswith("arn:${AWS::Partition}:execute-api:")
                    case _:
                        pytest.fail(f"{one} is no ARN")


def test_access_to_a_typed_table_is_limited_to_types() -> None:
    """Where keys begin with a type, every right names the types that it is for."""
    unlimited = [
        (right.role, str(right))
        for right in rights()
        if right.action.startswith("dynamodb:")
        and right.on not in PARTITIONLESS
        and not re.fullmatch(r"[A-Z]+#(\w+#)?\*( [A-Z]+#(\w+#)?\*)*", right.limits)
    ]
    assert unlimited == []


def test_no_role_can_remove_an_item() -> None:
    """Nothing is deleted by a function: what ends, ends by status or by TTL."""
    assert [right for right in rights() if re.search("Delete|BatchWrite", right.action)] == []


def test_no_role_can_rewrite_history() -> None:
    """Every right on the Journal reads, or inserts what is not there: append-only by IAM."""
    actions = {right.action for right in rights() if right.on == "JournalTable"}
    assert actions <= KEEPS_HISTORY


def test_no_role_can_rewrite_events() -> None:
    """An event of the outbox is inserted once: whoever writes them cannot put another in place."""
    on_events = [right for right in rights() if "EVENT#" in right.limits]
    assert {right.action for right in on_events} == {"dynamodb:PartiQLInsert"}


@pytest.mark.parametrize("kind", ["ACCOUNT#", "CREDENTIAL#", "EVENT#"])
def test_opening_an_account_touches_no_other_account(kind: str) -> None:
    """The role that opens accounts creates what is not there, and replaces nobody's passkey."""
    held = [
        right
        for right in policies.of("identity-open-account")
        if writes(right) and (kind in right.limits or right.on == "StandingTable")
    ]
    assert {right.action for right in held} == {"dynamodb:PartiQLInsert"}


def test_revoking_needs_no_secret() -> None:
    """A thief of the revoking role ends sessions; it makes no token, and starts no session."""
    held = policies.of("identity-revoke")
    assert {right.on for right in held if right.action.startswith("kms:")} == {"IdentityTableKey"}
    assert [right for right in held if "SECRET#" in right.limits] == []
    inserted = {right.limits for right in held if right.action == "dynamodb:PartiQLInsert"}
    assert inserted == {"EVENT#*"}


def test_nobody_lists_whom_the_platform_knows() -> None:
    """Standing is selected by its whole key: a scan would name every account."""
    selecting = [right for right in rights() if right.action == "dynamodb:PartiQLSelect"]
    assert {right.limits for right in selecting} == {"Bool(dynamodb:FullTableScan=false)"}
    assert [right for right in rights() if right.action == "dynamodb:Scan"] == []


def test_a_zone_s_secret_is_made_but_never_replaced() -> None:
    """Whoever may touch a SECRET item reads it or inserts it: PutItem would swap it."""
    on_secrets = [right for right in rights() if "SECRET#" in right.limits]
    assert {right.action for right in on_secrets} == {"dynamodb:GetItem", "dynamodb:PartiQLInsert"}


@pytest.mark.parametrize("key", sorted(MAY_SIGN))
def test_each_signing_key_signs_for_its_own_roles_alone(key: str) -> None:
    """Tokens are signed by sign-in and refresh, commands by orders, receipts by postings."""
    assert holders(key, "kms:Sign") == MAY_SIGN[key]


def test_there_is_no_other_signing_right() -> None:
    """No role signs with a key that is not in the list of signing keys."""
    assert {right.on for right in rights() if right.action == "kms:Sign"} == set(MAY_SIGN)


@pytest.mark.parametrize("role", sorted(READERS))
def test_a_reader_can_neither_sign_nor_change_anything(role: str) -> None:
    """A reader's role signs nothing and writes no item but the zone's cursor secret, once."""
    held = policies.of(role)
    assert [right for right in held if right.action == "kms:Sign"] == []
    written = {str(right) for right in held if writes(right)}
    assert written <= {"LedgerOnceTable dynamodb:PartiQLInsert SECRET#cursor#*"}


def test_the_money_zone_touches_no_table() -> None:
    """A money role holds no DynamoDB right at all."""
    money = [right for right in rights() if right.role.startswith("money-")]
    assert money
    assert [right for right in money if right.action.startswith("dynamodb:")] == []


def test_the_gate_changes_neither_standing_nor_sessions() -> None:
    """The gate uses proofs up and notes what it saw; whom it lets in, it cannot decide."""
    written = {str(right) for right in policies.of("identity-gate") if writes(right)}
    assert written == {
        "IdentityTable dynamodb:UpdateItem SIGHTINGS#*",
        "OnceTable dynamodb:PutItem PROOF#*",
    }


def test_standing_is_written_by_one_role() -> None:
    """Only who opens an account writes standing, once: nobody can raise one from the dead."""
    written = {
        (right.role, right.action)
        for right in rights()
        if right.on == "StandingTable" and writes(right)
    }
    assert written == {("identity-open-account", "dynamodb:PartiQLInsert")}


def test_the_registry_is_written_by_one_role_that_no_api_reaches() -> None:
    """Partners are registered by one operations function, which API Gateway may not invoke."""
    writers = {right.role for right in rights() if right.on == "RegistryTable" and writes(right)}
    assert writers == {"operations-register-partner"}
    invoked = {
        name
        for permission in resources("AWS::Lambda::Permission").values()
        for name in references(permission["Properties"]["FunctionName"])
    }
    assert "RegisterPartnerFunctionAliaslive" not in invoked


def test_zones_keep_out_of_each_other_s_tables() -> None:
    """A zone's tables are touched by its own roles; the ledger alone reads standing across."""
    owners = {
        "IdentityTable": "identity",
        "StandingTable": "identity",
        "OnceTable": "identity",
        "BalancesTable": "ledger",
        "JournalTable": "ledger",
        "LedgerOnceTable": "ledger",
        "RegistryTable": "ledger",
    }
    across = {
        (right.role, right.on, right.action)
        for right in rights()
        if right.action.startswith("dynamodb:") and right.role.partition("-")[0] != owners[right.on]
    }
    assert across == {
        ("ledger-post", "StandingTable", "dynamodb:BatchGetItem"),
        ("ledger-post", "StandingTable", "dynamodb:PartiQLSelect"),
        ("operations-register-partner", "RegistryTable", "dynamodb:GetItem"),
        ("operations-register-partner", "RegistryTable", "dynamodb:PartiQLInsert"),
    }


def test_no_role_can_change_a_function_a_role_or_a_key() -> None:
    """The services that the roles use are four, and in KMS they use keys and manage none."""
    services = {right.action.partition(":")[0] for right in rights()}
    assert services == {"dynamodb", "execute-api", "kms", "logs"}
    assert {right.action for right in rights() if right.action.startswith("kms:")} == {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:GetPublicKey",
        "kms:Sign",
    }
