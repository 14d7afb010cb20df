"""Whom each key itself admits: the whole table. A role must pass this wall and its own policy."""

import pytest

from tests.template import policies
from tests.template.policies import Admission, admissions, rights, roles
from tests.template.transformed import data, readable, resources

ADMINISTRATION = {
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
}
"""What IAM may allow anybody of the account: to manage a key, never to use it."""

USES_KEYS = {
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateMac",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:Sign",
    "kms:VerifyMac",
}

ES256 = "StringEquals(kms:SigningAlgorithm=ECDSA_SHA_256) StringEquals(kms:MessageType=DIGEST)"
SECRETS = (
    "StringEquals(kms:EncryptionContext:purpose=secret)"
    " ForAllValues:StringEquals(kms:EncryptionContextKeys=purpose|name)"
    " Null(kms:EncryptionContextKeys=false)"
)
"""Both context keys and no other, and the purpose; no context at all is refused."""
THROUGH_DYNAMODB = "StringEquals(kms:ViaService=dynamodb.us-east-1.amazonaws.com)"

SIGNING_KEYS = ("AccessTokenKey", "CommandKey", "ReceiptKey")
SECRET_KEYS = ("IdentityDataKey", "LedgerDataKey")

IDENTITY_TABLE_USERS = {
    "identity-gate",
    "identity-open-account",
    "identity-refresh",
    "identity-revoke",
    "identity-sign-in",
}
WRAPPING = {"kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"}

ADMITTED: dict[tuple[str, str], tuple[set[str], set[str], str]] = {
    ("IdentityTableKey", "TableUse"): (
        {"kms:Decrypt", "kms:GenerateDataKey"},
        IDENTITY_TABLE_USERS,
        THROUGH_DYNAMODB,
    ),
    ("IdentityTableKey", "TableCreation"): (
        {"kms:CreateGrant"},
        set(),
        f"{THROUGH_DYNAMODB} Bool(kms:GrantIsForAWSResource=true)",
    ),
    ("AccessTokenKey", "Sign"): (
        {"kms:Sign"},
        {"identity-refresh", "identity-sign-in"},
        ES256,
    ),
    ("AccessTokenKey", "Verify"): (
        {"kms:GetPublicKey"},
        {
            "identity-gate",
            "identity-jwks",
            "identity-refresh",
            "identity-sign-in",
            "ledger-entries",
            "ledger-post",
            "ledger-wallets",
            "money-list-entries",
            "money-list-wallets",
            "money-open-wallet",
            "money-order-transfer",
        },
        "",
    ),
    ("IdentityDataKey", "WrapSecrets"): (
        WRAPPING,
        {"identity-refresh", "identity-sign-in"},
        SECRETS,
    ),
    ("CommandKey", "Sign"): (
        {"kms:Sign"},
        {"money-open-wallet", "money-order-transfer"},
        ES256,
    ),
    ("CommandKey", "Verify"): (
        {"kms:GetPublicKey"},
        {"ledger-post", "money-open-wallet", "money-order-transfer"},
        "",
    ),
    ("ReceiptKey", "Sign"): (
        {"kms:Sign"},
        {"ledger-deposit", "ledger-post"},
        ES256,
    ),
    ("ReceiptKey", "Verify"): (
        {"kms:GetPublicKey"},
        {"ledger-deposit", "ledger-post", "money-open-wallet", "money-order-transfer"},
        "",
    ),
    ("LedgerDataKey", "WrapSecrets"): (WRAPPING, {"ledger-entries"}, SECRETS),
}
"""By key and statement: actions, roles (none: whomever IAM allows), terms."""


def by_statement() -> dict[tuple[str, str], Admission]:
    """Return the statements that say who may use a key."""
    return {(one.key, one.sid): one for one in admissions() if one.sid != "Administration"}


def test_every_use_of_every_key_stands_in_this_table() -> None:
    """A key admits whom and what is written here, on these terms, and nobody else."""
    actual = {
        name: (set(one.actions), set(one.roles), one.terms) for name, one in by_statement().items()
    }
    assert actual == ADMITTED


@pytest.mark.parametrize("key", sorted(resources("AWS::KMS::Key", data())))
def test_managing_a_key_is_not_using_it(key: str) -> None:
    """What IAM may allow anybody is management alone: no administrator decrypts or signs."""
    (administration,) = (
        one for one in admissions() if (one.key, one.sid) == (key, "Administration")
    )
    assert administration.actions == ADMINISTRATION
    assert not administration.actions & USES_KEYS
    assert administration.terms == ""


def test_the_stack_can_manage_its_own_aliases() -> None:
    """An alias needs the key's leave as well: without it the first deployment on AWS fails."""
    managed = {"kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"}
    aliased = {"IdentityTableKey", *SIGNING_KEYS, *SECRET_KEYS}
    allowed = {
        one.key
        for one in admissions()
        if one.sid == "Administration" and managed <= set(one.actions)
    }
    assert allowed == aliased


def test_whoever_may_use_a_key_is_named() -> None:
    """Only a grant to an AWS service is open to whomever IAM allows; each other use names roles."""
    unnamed = {name for name, one in by_statement().items() if not one.roles}
    assert unnamed == {("IdentityTableKey", "TableCreation")}


def test_the_account_is_the_only_principal() -> None:
    """No key names a role as principal: recreated, it would silently lose its access."""
    principals = {
        str(readable(statement["Principal"]))
        for key in resources("AWS::KMS::Key", data()).values()
        for statement in key["Properties"]["KeyPolicy"]["Statement"]
    }
    assert principals == {str({"AWS": policies.ACCOUNT_ROOT})}


def test_a_key_admits_only_roles_that_exist() -> None:
    """A name in a key's policy is the name of a role of the stack."""
    assert {role for one in admissions() for role in one.roles} <= set(roles())


def test_key_and_role_agree() -> None:
    """What a key lets a role do, the role's own policy allows, and the other way round."""
    by_key = {
        (role, one.key, action)
        for one in admissions()
        for role in one.roles
        for action in one.actions
    }
    by_role = {
        (right.role, right.on, right.action)
        for right in rights()
        if right.action.startswith("kms:")
    }
    assert by_role == by_key


@pytest.mark.parametrize("key", SIGNING_KEYS)
def test_a_signing_key_demands_its_algorithm_twice(key: str) -> None:
    """Key and role both demand ES256 over a digest, so neither alone can loosen it."""
    assert by_statement()[key, "Sign"].terms == ES256
    assert {
        right.limits for right in rights() if (right.on, right.action) == (key, "kms:Sign")
    } == {ES256}


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_symmetric_key_demands_its_context(key: str) -> None:
    """Nothing is wrapped or unwrapped without a name and the purpose, by key and by role."""
    assert by_statement()[key, "WrapSecrets"].terms == SECRETS
    held = {right.limits for right in rights() if right.on == key}
    assert held == {"StringEquals(kms:EncryptionContext:purpose=secret)"}


@pytest.mark.parametrize("key", SIGNING_KEYS)
def test_a_signing_key_can_do_nothing_but_sign(key: str) -> None:
    """A key pair signs on P-256 and cannot encrypt, whatever a policy says."""
    properties = resources("AWS::KMS::Key", data())[key]["Properties"]
    assert (properties["KeySpec"], properties["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


@pytest.mark.parametrize("key", ["IdentityTableKey", *SECRET_KEYS])
def test_a_symmetric_key_rotates(key: str) -> None:
    """KMS renews the key material each year."""
    assert resources("AWS::KMS::Key", data())[key]["Properties"]["EnableKeyRotation"] is True
