"""What a thief of one function's role could do, tried with that role's own credentials."""

import json
import time
import uuid

import pytest
from botocore.exceptions import ClientError

from tests.support import iam, jws
from tests.support.dpop import ProofKey
from tests.support.iam import ROOT, Role
from tests.support.inside import outputs
from tests.support.stack import Stack
from tests.system.people import euros, with_money
from tests.system.signing import sign


def role(stack: Stack, name: str) -> Role:
    """Return a role of the stack by what follows the stack's name."""
    return Role(stack, f"{stack.name}-{name}")


def denied(act: Role, service: str, operation: str, **parameters: object) -> bool:
    """Return whether AWS denies it; any other error is an error of the test."""
    try:
        act.aws(service, operation, **parameters)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in {"AccessDeniedException", "AccessDenied"}, code
        return True
    return False


@pytest.fixture(scope="module")
def resources(stack: Stack) -> dict[str, str]:
    """The physical names of tables and keys, by their names in the data template."""
    return outputs(stack)


@pytest.fixture(scope="module")
def entry(stack: Stack, resources: dict[str, str]) -> dict[str, object]:
    """One entry of the Journal, as it is stored."""
    person = with_money(stack, "10.00")
    found = iam.aws(
        stack.endpoint,
        ROOT,
        "dynamodb",
        "get_item",
        TableName=resources["JournalTable"],
        Key={"pk": {"S": f"ENTRIES#{person.account}#EUR"}, "sk": {"S": "000000000001"}},
    )
    item: dict[str, object] = found["Item"]
    return item


@pytest.mark.parametrize("thief", ["ledger-post", "ledger-deposit"])
def test_no_posting_role_can_rewrite_history(
    stack: Stack, resources: dict[str, str], entry: dict[str, object], thief: str
) -> None:
    """Every write API that could replace or remove a Journal item is denied to it."""
    act, journal = role(stack, thief), resources["JournalTable"]
    key = {"pk": entry["pk"], "sk": entry["sk"]}
    change = {
        "UpdateExpression": "SET minor = :more",
        "ExpressionAttributeValues": {":more": {"N": "999"}},
    }
    where = [entry["pk"], entry["sk"]]
    update = f'UPDATE "{journal}" SET "minor" = 999 WHERE "pk" = ? AND "sk" = ?'  # noqa: S608
    delete = f'DELETE FROM "{journal}" WHERE "pk" = ? AND "sk" = ?'  # noqa: S608
    assert denied(act, "dynamodb", "put_item", TableName=journal, Item=entry)
    assert denied(act, "dynamodb", "update_item", TableName=journal, Key=key, **change)
    assert denied(act, "dynamodb", "delete_item", TableName=journal, Key=key)
    for request in ({"PutRequest": {"Item": entry}}, {"DeleteRequest": {"Key": key}}):
        assert denied(act, "dynamodb", "batch_write_item", RequestItems={journal: [request]})
    for action in (
        {"Put": {"TableName": journal, "Item": entry}},
        {"Update": {"TableName": journal, "Key": key, **change}},
        {"Delete": {"TableName": journal, "Key": key}},
    ):
        assert denied(act, "dynamodb", "transact_write_items", TransactItems=[action])
    for text in (update, delete):
        assert denied(act, "dynamodb", "execute_statement", Statement=text, Parameters=where)
        one = {"Statement": text, "Parameters": where}
        assert denied(act, "dynamodb", "execute_transaction", TransactStatements=[one])
        assert denied(act, "dynamodb", "batch_execute_statement", Statements=[one])


def test_an_insert_never_replaces_an_entry(
    stack: Stack, resources: dict[str, str], entry: dict[str, object]
) -> None:
    """The one write that a posting role has on the Journal fails where an item is."""
    names = ", ".join(f"'{name}': ?" for name in entry)
    with pytest.raises(ClientError) as refused:
        role(stack, "ledger-post").aws(
            "dynamodb",
            "execute_transaction",
            TransactStatements=[
                {
                    "Statement": f'INSERT INTO "{resources["JournalTable"]}" VALUE {{{names}}}',
                    "Parameters": list(entry.values()),
                }
            ],
        )
    assert refused.value.response["Error"]["Code"] == "TransactionCanceledException"


@pytest.mark.parametrize(
    "thief",
    ["money-list-wallets", "money-list-entries", "money-open-wallet", "money-order-transfer"],
)
def test_a_money_role_reads_and_writes_no_table(
    stack: Stack, resources: dict[str, str], thief: str
) -> None:
    """The public face of the ledger holds nothing that could be read or changed directly."""
    act = role(stack, thief)
    for name in ("IdentityTable", "StandingTable", "BalancesTable", "JournalTable"):
        table = resources[name]
        assert denied(act, "dynamodb", "scan", TableName=table)
        assert denied(act, "dynamodb", "put_item", TableName=table, Item={"pk": {"S": "x"}})


@pytest.mark.parametrize("thief", ["identity-revoke", "identity-approval-options"])
def test_who_has_no_business_with_it_cannot_write_standing(
    stack: Stack, resources: dict[str, str], thief: str
) -> None:
    """A role that only ends sessions, or only begins a ceremony, restores and raises nothing."""
    act, table = role(stack, thief), resources["StandingTable"]
    item = {"pk": {"S": "somebody"}, "status": {"S": "ACTIVE"}, "epoch": {"N": "1"}}
    assert denied(act, "dynamodb", "put_item", TableName=table, Item=item)
    assert denied(act, "dynamodb", "delete_item", TableName=table, Key={"pk": {"S": "somebody"}})


@pytest.mark.parametrize(
    ("thief", "key"),
    [
        ("money-list-wallets", "CommandKeyArn"),
        ("money-list-entries", "CommandKeyArn"),
        ("ledger-post", "CommandKeyArn"),
        ("identity-gate", "AccessTokenKeyArn"),
        ("identity-jwks", "AccessTokenKeyArn"),
        ("money-order-transfer", "AccessTokenKeyArn"),
        ("money-order-transfer", "ReceiptKeyArn"),
        ("ledger-wallets", "ReceiptKeyArn"),
    ],
)
def test_only_the_owner_of_a_signature_can_make_it(
    stack: Stack, resources: dict[str, str], thief: str, key: str
) -> None:
    """A role that verifies with a key, or has no business with it, cannot sign with it."""
    assert denied(
        role(stack, thief),
        "kms",
        "sign",
        KeyId=resources[key],
        Message=b"0" * 32,
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
    )


def test_the_owner_signs_digests_only(stack: Stack, resources: dict[str, str]) -> None:
    """The signing right is as narrow as its use: one algorithm, one message type."""
    assert denied(
        role(stack, "identity-sign-in"),
        "kms",
        "sign",
        KeyId=resources["AccessTokenKeyArn"],
        Message=b"anything",
        MessageType="RAW",
        SigningAlgorithm="ECDSA_SHA_256",
    )


def test_a_secret_opens_only_in_its_own_context(stack: Stack, resources: dict[str, str]) -> None:
    """The data key serves no purpose but secrets, whoever asks."""
    act = role(stack, "identity-refresh")
    for context in ({}, {"purpose": "vault", "name": "x"}):
        assert denied(
            act,
            "kms",
            "generate_data_key_without_plaintext",
            KeyId=resources["IdentityDataKeyArn"],
            NumberOfBytes=32,
            EncryptionContext=context,
        )


@pytest.mark.parametrize(
    ("thief", "method", "path"),
    [
        ("partner-sandbox", "POST", "/postings"),
        ("partner-sandbox", "GET", "/wallets"),
        ("money-list-wallets", "POST", "/postings"),
        ("money-order-transfer", "POST", "/deposits"),
        ("identity-gate", "POST", "/postings"),
    ],
)
def test_the_internal_door_opens_route_by_route(
    stack: Stack, thief: str, method: str, path: str
) -> None:
    """A role that may call one internal route may call no other."""
    body = b"{}" if method == "POST" else None
    reply = role(stack, thief).call(method, path, body=body)
    assert (reply.status, reply.problem) == (403, "forbidden")


def test_the_money_role_with_a_captured_order_cannot_change_it(
    stack: Stack, resources: dict[str, str]
) -> None:
    """With a live token and a fresh proof, the real money role moves what was signed, once."""
    victim, thief = with_money(stack, "50.00"), with_money(stack, "1.00")
    act = role(stack, "money-order-transfer")
    signed = jws.compact_json(
        {"to_account": thief.account, "amount": {"amount": "1.00", "currency": "EUR"}}
    )
    proof = victim.proof("POST", "/transfers", idempotency_key="one", body=signed)

    def post(body: bytes) -> int:
        key = resources["CommandKeyArn"]
        command = command_of(
            stack, act, key, body=body, proof=proof, token=victim.access_token or ""
        )
        sent = json.dumps({"command": command}).encode()
        headers = {"Content-Type": "application/json"}
        return act.call("POST", "/postings", body=sent, headers=headers).status

    assert post(signed.replace(b"1.00", b"9.00")) == 403
    assert post(signed.replace((thief.account or "").encode(), b"a" * 26)) == 403
    assert euros(victim) == "50.00"
    assert post(signed) == 201
    assert post(signed) == 201  # the same order: answered from the book, not posted again
    assert euros(victim) == "49.00"


def command_of(stack: Stack, act: Role, key: str, *, body: bytes, proof: str, token: str) -> str:
    """Return a command of the money zone, signed through the role's own right at KMS."""
    now, origin = int(time.time()), stack.internal_origin
    claims = {
        "iss": "money",
        "aud": origin,
        "htm": "POST",
        "htu": origin + "/postings",
        "iat": now,
        "exp": now + 30,
        "jti": uuid.uuid4().hex,
        "kind": "transfer",
        "body": jws.b64url(body),
        "proof": proof,
        "token": token,
    }
    return sign(act, key, typ="portcullis-command+jwt", claims=claims)


def test_a_forged_authorizer_context_opens_nothing(stack: Stack) -> None:
    """Whoever invokes a function directly, claiming that the gate said yes, is refused by it."""
    key = ProofKey()
    event = {
        "resource": "/wallets",
        "path": "/wallets",
        "httpMethod": "GET",
        "multiValueHeaders": {
            "Authorization": ["DPoP a.b.c"],
            "DPoP": [key.proof("GET", stack.public_origin + "/wallets", access_token="a.b.c")],
        },
        "requestContext": {"authorizer": {"principalId": "a" * 26}, "requestId": "x"},
        "body": None,
        "isBase64Encoded": False,
    }
    answer = iam.aws(
        stack.endpoint,
        ROOT,
        "lambda",
        "invoke",
        FunctionName=f"{stack.name}-money-list-wallets:live",
        Payload=json.dumps(event),
    )
    assert json.loads(answer["Payload"].read())["statusCode"] == 401


@pytest.mark.parametrize("thief", ["identity-gate", "money-order-transfer", "ledger-post"])
def test_no_role_invokes_a_function(stack: Stack, thief: str) -> None:
    """No function's role may invoke another function around its API."""
    assert denied(
        role(stack, thief),
        "lambda",
        "invoke",
        FunctionName=f"{stack.name}-operations-register-partner",
        Payload=b"{}",
    )
