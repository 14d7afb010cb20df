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
PERSONS = (
    "StringEquals(kms:EncryptionContext:purpose=identity)"
    " ForAllValues:StringEquals(kms:EncryptionContextKeys=purpose|account)"
    " Null(kms:EncryptionContextKeys=false) Null(kms:EncryptionContext:account=false)"
)
"""The same of one person's key: it names the account, whichever that is."""
HMAC = "StringEquals(kms:MacAlgorithm=HMAC_SHA_256)"
THROUGH_DYNAMODB = "StringEquals(kms:ViaService=dynamodb.us-east-1.amazonaws.com)"

SIGNING_KEYS = ("AccessTokenKey", "ApprovalKey", "CommandKey", "EnrolmentKey", "ReceiptKey")
MAC_KEYS = ("IndexKey", "PepperKey")
SECRET_KEYS = ("IdentityDataKey", "LedgerDataKey")

IDENTITY_TABLE_USERS = {
    "identity-add-passkey",
    "identity-approval-options",
    "identity-approve",
    "identity-cancel-recovery",
    "identity-certify-enrolment",
    "identity-confirm-totp",
    "identity-end-session",
    "identity-end-sessions",
    "identity-enrol-totp",
    "identity-gate",
    "identity-lift-lockdown",
    "identity-lift-quarantine",
    "identity-list-passkeys",
    "identity-list-sessions",
    "identity-lock-down",
    "identity-mint-recovery-codes",
    "identity-open-account",
    "identity-passkey-options",
    "identity-password-sign-in",
    "identity-put-password",
    "identity-recover",
    "identity-recovery-options",
    "identity-refresh",
    "identity-release-account",
    "identity-remove-passkey",
    "identity-remove-totp",
    "identity-rename-passkey",
    "identity-restrain",
    "identity-revoke",
    "identity-second-factor",
    "identity-sign-in",
    "operations-publish",
    "operations-reconcile",
}
WRAPPING = {"kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"}

ADMITTED: dict[tuple[str, str], tuple[set[str], set[str], str]] = {
    ("IdentityTableKey", "TableUse"): (
        {"kms:Decrypt", "kms:GenerateDataKey"},
        IDENTITY_TABLE_USERS,
        THROUGH_DYNAMODB,
    ),
    ("IdentityTableKey", "TableRead"): ({"kms:Decrypt"}, {"auditor"}, THROUGH_DYNAMODB),
    ("IdentityTableKey", "TableCreation"): (
        {"kms:CreateGrant"},
        set(),
        f"{THROUGH_DYNAMODB} Bool(kms:GrantIsForAWSResource=true)",
    ),
    ("AccessTokenKey", "Sign"): (
        {"kms:Sign"},
        {"identity-refresh", "identity-second-factor", "identity-sign-in"},
        ES256,
    ),
    ("AccessTokenKey", "Verify"): (
        {"kms:GetPublicKey"},
        {
            "identity-add-passkey",
            "identity-approval-options",
            "identity-approve",
            "identity-cancel-recovery",
            "identity-certify-enrolment",
            "identity-confirm-totp",
            "identity-end-session",
            "identity-end-sessions",
            "identity-enrol-totp",
            "identity-gate",
            "identity-jwks",
            "identity-list-passkeys",
            "identity-list-sessions",
            "identity-mint-recovery-codes",
            "identity-passkey-options",
            "identity-put-password",
            "identity-refresh",
            "identity-remove-passkey",
            "identity-remove-totp",
            "identity-rename-passkey",
            "identity-second-factor",
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
        {
            "identity-gate",
            "identity-password-sign-in",
            "identity-refresh",
            "identity-second-factor",
            "identity-sign-in",
        },
        SECRETS,
    ),
    ("IdentityDataKey", "WrapPersonKeys"): (
        WRAPPING,
        {
            "identity-add-passkey",
            "identity-enrol-totp",
            "identity-put-password",
            "identity-rename-passkey",
        },
        PERSONS,
    ),
    ("IdentityDataKey", "UnwrapPersonKeys"): (
        {"kms:Decrypt"},
        {
            "identity-approve",
            "identity-confirm-totp",
            "identity-list-passkeys",
            "identity-second-factor",
        },
        PERSONS,
    ),
    ("EnrolmentKey", "Sign"): ({"kms:Sign"}, {"identity-certify-enrolment"}, ES256),
    ("EnrolmentKey", "Verify"): (
        {"kms:GetPublicKey"},
        {
            "identity-add-passkey",
            "identity-approve",
            "identity-certify-enrolment",
            "identity-confirm-totp",
            "identity-mint-recovery-codes",
            "identity-put-password",
            "identity-remove-passkey",
            "identity-remove-totp",
            "identity-second-factor",
            "identity-sign-in",
            "ledger-post",
        },
        "",
    ),
    ("ApprovalKey", "Sign"): ({"kms:Sign"}, {"identity-approve"}, ES256),
    ("ApprovalKey", "Verify"): (
        {"kms:GetPublicKey"},
        {
            "identity-add-passkey",
            "identity-approve",
            "identity-certify-enrolment",
            "identity-confirm-totp",
            "identity-mint-recovery-codes",
            "identity-put-password",
            "identity-remove-passkey",
            "identity-remove-totp",
            "ledger-post",
        },
        "",
    ),
    ("PepperKey", "Make"): ({"kms:GenerateMac"}, {"identity-put-password"}, HMAC),
    ("PepperKey", "Verify"): ({"kms:VerifyMac"}, {"identity-password-sign-in"}, HMAC),
    ("IndexKey", "Make"): (
        {"kms:GenerateMac"},
        {
            "identity-certify-enrolment",
            "identity-mint-recovery-codes",
            "identity-password-sign-in",
            "identity-put-password",
            "identity-recover",
            "identity-recovery-options",
            "identity-release-account",
        },
        HMAC,
    ),
    ("CommandKey", "Sign"): ({"kms:Sign"}, {"money-open-wallet", "money-order-transfer"}, ES256),
    ("CommandKey", "Verify"): (
        {"kms:GetPublicKey"},
        {"ledger-post", "money-open-wallet", "money-order-transfer"},
        "",
    ),
    ("ReceiptKey", "Sign"): ({"kms:Sign"}, {"ledger-deposit", "ledger-post"}, ES256),
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
    aliased = {"IdentityTableKey", *SIGNING_KEYS, *MAC_KEYS, *SECRET_KEYS}
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


@pytest.mark.parametrize("key", MAC_KEYS)
def test_a_mac_key_demands_its_algorithm_twice(key: str) -> None:
    """Key and role both demand HMAC-SHA256, whatever is made or verified."""
    statements = [one for one in by_statement().values() if one.key == key]
    assert {one.terms for one in statements} == {HMAC}
    assert {right.limits for right in rights() if right.on == key} == {HMAC}


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_symmetric_key_demands_its_context(key: str) -> None:
    """Nothing is wrapped or unwrapped without a name and the purpose, by key and by role."""
    assert by_statement()[key, "WrapSecrets"].terms == SECRETS
    for right in rights():
        if right.on == key:
            purpose, *named = right.limits.split()
            assert purpose in {
                "StringEquals(kms:EncryptionContext:purpose=secret)",
                "StringEquals(kms:EncryptionContext:purpose=identity)",
            }
            assert all(one.startswith("StringLike(kms:EncryptionContext:name=") for one in named)


def test_a_person_s_key_demands_an_account() -> None:
    """A person key is wrapped for an account that is named, and never opened as a secret."""
    for sid in ("WrapPersonKeys", "UnwrapPersonKeys"):
        assert by_statement()["IdentityDataKey", sid].terms == PERSONS


def test_who_opens_a_person_s_key_makes_one_only_if_need_be() -> None:
    """Readers of what is sealed cannot wrap a new key, by key and by role."""
    making = by_statement()["IdentityDataKey", "WrapPersonKeys"].roles
    opening = by_statement()["IdentityDataKey", "UnwrapPersonKeys"].roles
    assert not making & opening
    wraps = {
        right.role
        for right in rights()
        if right.action == "kms:GenerateDataKeyWithoutPlaintext"
        and right.limits == "StringEquals(kms:EncryptionContext:purpose=identity)"
    }
    assert wraps == making


@pytest.mark.parametrize("key", SIGNING_KEYS)
def test_a_signing_key_can_do_nothing_but_sign(key: str) -> None:
    """A key pair signs on P-256 and cannot encrypt, whatever a policy says."""
    properties = resources("AWS::KMS::Key", data())[key]["Properties"]
    assert (properties["KeySpec"], properties["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


@pytest.mark.parametrize("key", MAC_KEYS)
def test_a_mac_key_can_do_nothing_else(key: str) -> None:
    """An HMAC key of 256 bits makes and verifies MACs, whatever a policy says."""
    properties = resources("AWS::KMS::Key", data())[key]["Properties"]
    assert (properties["KeySpec"], properties["KeyUsage"]) == ("HMAC_256", "GENERATE_VERIFY_MAC")


@pytest.mark.parametrize("key", ["IdentityTableKey", *SECRET_KEYS])
def test_a_symmetric_key_rotates(key: str) -> None:
    """KMS renews the key material each year."""
    assert resources("AWS::KMS::Key", data())[key]["Properties"]["EnableKeyRotation"] is True
