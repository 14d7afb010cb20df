"""What a thief of a role that handles factors could do, tried with that role's own credentials."""

import base64
import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support import jws
from tests.support.authenticator import Authenticator, Credential
from tests.support.iam import Role
from tests.support.inside import item, outputs, root, table
from tests.support.owner import Owner
from tests.support.stack import Stack
from tests.system.people import owner
from tests.system.test_stolen_roles import denied, role

SHA256_MAC = "HMAC_SHA_256"
DIGEST = {
    "Message": b"0" * 32,
    "MessageType": "DIGEST",
    "SigningAlgorithm": "ECDSA_SHA_256",
}
SESSION = {"pk": {"S": "SESSION#thief"}, "sk": {"S": "SESSION"}, "account": {"S": "somebody"}}
FACTORS = {"pk": {"S": "FACTORS#somebody"}, "sk": {"S": "FACTORS"}, "version": {"N": "9"}}
CREDENTIAL_WRITERS = (
    "identity-open-account",
    "identity-add-passkey",
    "identity-recover",
    "identity-sign-in",
    "identity-second-factor",
    "identity-approve",
)


def insert(name: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the PartiQL statement that inserts an item, the only way in which any is made."""
    members = ", ".join(f"'{member}': ?" for member in stored)
    return {
        "Statement": f'INSERT INTO "{name}" VALUE {{{members}}}',
        "Parameters": list(stored.values()),
    }


def change(name: str, stored: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Return the PartiQL statement that gives one member of an item its value."""
    keys = [one for one in ("pk", "sk") if one in stored]
    where = " AND ".join(f'"{one}" = ?' for one in keys)
    return {
        "Statement": f'UPDATE "{name}" SET "{member}" = ? WHERE {where}',  # noqa: S608
        "Parameters": [stored[member], *(stored[one] for one in keys)],
    }


def cannot_write(act: Role, name: str, stored: Mapping[str, Any], member: str) -> bool:
    """Return whether the role can neither make, replace, change nor remove an item."""
    keys = {one: stored[one] for one in ("pk", "sk") if one in stored}
    update = {
        "UpdateExpression": "SET #m = :m",
        "ExpressionAttributeNames": {"#m": member},
        "ExpressionAttributeValues": {":m": stored[member]},
    }
    return all(
        (
            denied(act, "dynamodb", "put_item", TableName=name, Item=stored),
            denied(act, "dynamodb", "update_item", TableName=name, Key=keys, **update),
            denied(act, "dynamodb", "delete_item", TableName=name, Key=keys),
            denied(act, "dynamodb", "execute_statement", **insert(name, stored)),
            denied(act, "dynamodb", "execute_statement", **change(name, stored, member)),
        )
    )


@pytest.mark.parametrize(
    ("thief", "key"),
    [
        ("identity-password-sign-in", "AccessTokenKeyArn"),
        ("identity-put-password", "AccessTokenKeyArn"),
        ("identity-certify-enrolment", "AccessTokenKeyArn"),
        ("identity-approve", "AccessTokenKeyArn"),
        ("identity-open-account", "EnrolmentKeyArn"),
        ("identity-add-passkey", "EnrolmentKeyArn"),
        ("identity-recover", "EnrolmentKeyArn"),
        ("identity-approve", "EnrolmentKeyArn"),
        ("identity-sign-in", "EnrolmentKeyArn"),
        ("identity-certify-enrolment", "ApprovalKeyArn"),
        ("identity-remove-passkey", "ApprovalKeyArn"),
    ],
)
def test_each_kind_of_evidence_has_its_own_signer(stack: Stack, thief: str, key: str) -> None:
    """No role signs what another one answers for: tokens, certificates and approvals are apart."""
    assert denied(role(stack, thief), "kms", "sign", KeyId=outputs(stack)[key], **DIGEST)


def test_the_signers_sign_their_own(stack: Stack) -> None:
    """The denials above are of these very calls: who may make them can."""
    for thief, key in (
        ("identity-sign-in", "AccessTokenKeyArn"),
        ("identity-certify-enrolment", "EnrolmentKeyArn"),
        ("identity-approve", "ApprovalKeyArn"),
    ):
        signed = role(stack, thief).aws("kms", "sign", KeyId=outputs(stack)[key], **DIGEST)
        assert signed["Signature"]


def test_no_role_both_makes_and_verifies_passwords(stack: Stack) -> None:
    """Who verifies makes no verifier, and who makes them can try none out."""
    pepper = outputs(stack)["PepperKeyArn"]
    verifies, makes = role(stack, "identity-password-sign-in"), role(stack, "identity-put-password")
    mac = {"KeyId": pepper, "Message": b"guess", "MacAlgorithm": SHA256_MAC}
    made = makes.aws("kms", "generate_mac", **mac)["Mac"]
    assert verifies.aws("kms", "verify_mac", Mac=made, **mac)["MacValid"] is True
    assert denied(verifies, "kms", "generate_mac", **mac)
    assert denied(makes, "kms", "verify_mac", Mac=made, **mac)


@pytest.mark.parametrize("thief", ["identity-password-sign-in", "identity-put-password"])
def test_a_password_starts_no_session(stack: Stack, thief: str) -> None:
    """Neither role of passwords can make a session, or see a second factor or a passkey."""
    act, name = role(stack, thief), table(stack, "Identity")
    assert denied(act, "dynamodb", "execute_statement", **insert(name, SESSION))
    assert denied(act, "dynamodb", "put_item", TableName=name, Item=SESSION)
    for pk, sk in (
        ("TOTP#somebody", "x"),
        ("CODE#x", "CODE"),
        ("CREDENTIAL#x", "CREDENTIAL"),
        ("SESSIONS#somebody", "SESSIONS"),
    ):
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        asked = {name: {"Keys": [key]}}
        assert denied(act, "dynamodb", "get_item", TableName=name, Key=key)
        assert denied(act, "dynamodb", "batch_get_item", RequestItems=asked)


def test_who_sets_passwords_reads_none(stack: Stack) -> None:
    """Nor can it make a ticket, as if a password had been right."""
    act = role(stack, "identity-put-password")
    key = {"pk": {"S": "PASSWORD#somebody"}, "sk": {"S": "x"}}
    asked = {table(stack, "Identity"): {"Keys": [key]}}
    assert denied(act, "dynamodb", "batch_get_item", RequestItems=asked)
    ticket = {"pk": {"S": "TICKET#x"}, "account": {"S": "somebody"}}
    made = insert(table(stack, "Once"), ticket)
    assert denied(act, "dynamodb", "execute_statement", **made)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("Identity", SESSION),
        ("Identity", FACTORS | {"account": {"S": "somebody"}}),
        ("Identity", {**SESSION, "pk": {"S": "CREDENTIAL#x"}, "sk": {"S": "CREDENTIAL"}}),
        ("Once", {"pk": {"S": "CHALLENGE#x"}, "account": {"S": "somebody"}}),
        ("Standing", {"pk": {"S": "somebody"}, "account": {"S": "somebody"}}),
    ],
    ids=["session", "factors", "credential", "challenge", "standing"],
)
def test_the_certifier_writes_nothing(stack: Stack, name: str, stored: Mapping[str, Any]) -> None:
    """Its signature is all that a thief has of it."""
    act = role(stack, "identity-certify-enrolment")
    assert cannot_write(act, table(stack, name), stored, "account")


@pytest.mark.parametrize("thief", ["identity-second-factor", "identity-sign-in", "identity-gate"])
def test_who_lets_in_changes_neither_factors_nor_standing(stack: Stack, thief: str) -> None:
    """A way in cannot make itself another one, nor restore what was killed."""
    act = role(stack, thief)
    assert cannot_write(act, table(stack, "Identity"), FACTORS, "version")
    standing = {"pk": {"S": "somebody"}, "status": {"S": "ACTIVE"}}
    assert cannot_write(act, table(stack, "Standing"), standing, "status")


@pytest.mark.parametrize("thief", CREDENTIAL_WRITERS)
def test_nobody_replaces_a_credential(stack: Stack, victim: Owner, thief: str) -> None:
    """Not the roles that insert credentials, nor those that count their use."""
    act, name = role(stack, thief), table(stack, "Identity")
    stored = credential_of(stack, victim)
    key = {"pk": stored["pk"], "sk": stored["sk"]}
    put = {"Put": {"TableName": name, "Item": stored}}
    batch = {name: [{"PutRequest": {"Item": stored}}]}
    assert denied(act, "dynamodb", "put_item", TableName=name, Item=stored)
    assert denied(act, "dynamodb", "transact_write_items", TransactItems=[put])
    assert denied(act, "dynamodb", "batch_write_item", RequestItems=batch)
    assert denied(act, "dynamodb", "delete_item", TableName=name, Key=key)


def test_an_insert_replaces_no_credential(stack: Stack, victim: Owner) -> None:
    """The one write that opening an account has on credentials fails where one is."""
    written = insert(table(stack, "Identity"), credential_of(stack, victim))
    with pytest.raises(ClientError) as refused:
        role(stack, "identity-open-account").aws("dynamodb", "execute_statement", **written)
    assert refused.value.response["Error"]["Code"] == "DuplicateItemException"


@pytest.mark.parametrize(
    ("certificate", "check"),
    [
        ("the victim's own", "enrolment is another passkey's"),
        ("a genuine one", "enrolment is another account's"),
        ("a changed one", "JWS signature"),
    ],
)
def test_an_inserted_credential_does_not_sign_in(
    stack: Stack, victim: Owner, certificate: str, check: str
) -> None:
    """With open-account's role a thief puts a passkey under the victim's account, in vain.

    Not even if the account's factors named it, which that role cannot write: what is missing is
    the certificate. The certifier gives one for an account that nobody has, and for no other.
    """
    act, thief = role(stack, "identity-open-account"), Owner(stack.public_origin)
    options = thief.send("POST", "/accounts/options", {}, token=None).json["publicKey"]
    registration = thief.authenticator.create(options, thief.origin)
    certified, genuine = certify(act, thief, registration), credential_of(stack, victim)
    given = {
        "the victim's own": genuine["certificate"]["S"],
        "a genuine one": certified,
        "a changed one": jws.altered(certified, sub=victim.account),
    }[certificate]
    (passkey,) = thief.authenticator.credentials
    row = genuine | {
        "pk": credential_pk(passkey),
        "credential_id": {"B": passkey.id},
        "public_key": {"B": passkey.cose_key},
        "sign_count": {"N": "0"},
        "certificate": {"S": given},
    }
    act.aws("dynamodb", "execute_statement", **insert(table(stack, "Identity"), row))
    name_in_factors(stack, victim, passkey)
    passkey.user_handle = handle(victim)
    since_ms = int(time.time() * 1000) - 1
    reply = thief.sign_in()
    assert (reply.status, reply.problem) == (400, "passkey-refused")
    assert check in failed_checks(stack, since_ms=since_ms)


def test_the_certifier_believes_no_role(stack: Stack, victim: Owner) -> None:
    """Who may ask for certificates gets none for an account that exists: it wants its evidence."""
    thief = Owner(stack.public_origin)
    options = victim.send("POST", "/passkeys/options", {}).json["publicKey"]
    registration = Authenticator().create(options, thief.origin)
    for name in ("identity-open-account", "identity-add-passkey", "identity-recover"):
        told = asked(role(stack, name), registration, kind="add", proof=victim.proof("POST", "/"))
        assert told["type"].endswith(":enrolment-refused")
        assert "certificate" not in told


@pytest.mark.parametrize("thief", ["identity-gate", "identity-sign-in", "identity-approve"])
def test_nobody_else_asks_the_certifier(stack: Stack, thief: str) -> None:
    """Only the three roles that store passkeys may invoke it."""
    name = f"{stack.name}-identity-certify-enrolment:live"
    assert denied(role(stack, thief), "lambda", "invoke", FunctionName=name, Payload=b"{}")


@pytest.fixture(scope="module")
def victim(stack: Stack) -> Owner:
    """Somebody with an account and a passkey."""
    return owner(stack)


def certify(act: Role, thief: Owner, registration: Mapping[str, Any]) -> str:
    """Return a genuine certificate: of the thief's passkey, for an account that nobody has yet."""
    proof = thief.proof("POST", "/accounts", token=None)
    certificate: str = asked(act, registration, kind="open", proof=proof)["certificate"]
    return certificate


def asked(act: Role, registration: Mapping[str, Any], **shown: str) -> dict[str, Any]:
    """Return what the certifier answers to a role that asks for a certificate."""
    answer = act.aws(
        "lambda",
        "invoke",
        FunctionName=f"{act.stack.name}-identity-certify-enrolment:live",
        Payload=json.dumps({"credential": registration, **shown}),
    )
    told: dict[str, Any] = json.load(answer["Payload"])
    return told


def credential_pk(passkey: Credential[Any]) -> dict[str, str]:
    """Return the partition key of a passkey's item."""
    return {"S": f"CREDENTIAL#{sha256(passkey.id).hexdigest()}"}


def credential_of(stack: Stack, person: Owner) -> dict[str, Any]:
    """Return a person's first passkey as it is stored."""
    pk = credential_pk(person.authenticator.credentials[0])["S"]
    stored = item(stack, "Identity", pk, "CREDENTIAL")
    assert stored is not None
    return stored


def name_in_factors(stack: Stack, person: Owner, passkey: Credential[Any]) -> None:
    """Have the account's factors name one more passkey, as established as its first one."""
    held = item(stack, "Identity", f"FACTORS#{person.account}", "FACTORS")
    assert held is not None
    first, *others = held["passkeys"]["L"]
    named = {"M": first["M"] | {"credential_id": {"B": passkey.id}}}
    passkeys = {"passkeys": {"L": [first, *others, named]}}
    root(stack, "dynamodb").put_item(TableName=table(stack, "Identity"), Item=held | passkeys)


def handle(person: Owner) -> bytes:
    """Return the user handle that names a person's account to an authenticator."""
    return base64.b32decode(str(person.account).upper() + "======")


def failed_checks(stack: Stack, *, since_ms: int) -> set[str]:
    """Return which checks of evidence failed in the identity zone since a time, by its log."""
    pages = root(stack, "logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=f"/{stack.name}/identity", startTime=since_ms)
    lines = [event["message"] for page in found for event in page["events"]]
    return {json.loads(line).get("check") for line in lines if line.startswith("{")} - {None}
