"""KMS: what a policy can say about a key's use, and what a ciphertext is bound to."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulators import Emulator, client

CONTEXT = {"tenant": "a"}
OPERATIONS = ("encrypt", "generate_data_key", "generate_data_key_without_plaintext")


def allow(action: str, operator: str, **condition: object) -> Any:
    """Return a statement that allows one KMS action under one condition."""
    keys = {name.replace("__", ":"): value for name, value in condition.items()}
    return {
        "Effect": "Allow",
        "Action": f"kms:{action}",
        "Resource": "*",
        "Condition": {operator: keys},
    }


def code_of(call: Any, **request: object) -> str:
    """Return the error code of a call, or nothing."""
    try:
        call(**request)
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return ""


DENIED = "AccessDeniedException"


def verdicts(emulator: Emulator, statement: Any, operation: str, *requests: Any) -> list[str]:
    """Return the error code of each request by a role that holds only *statement*."""
    call = getattr(emulator.acting("kms", statement), operation)
    return [code_of(call, **request) for request in requests]


def encrypting(emulator: Emulator, **more: object) -> dict[str, Any]:
    """Return an Encrypt request."""
    return {"KeyId": emulator.outputs["Seal"], "Plaintext": b"secret", **more}


def test_encryption_context_binds(stock: Emulator, ours: Emulator) -> None:
    """A key use is allowed for the encryption context the policy names, and no other."""
    statement = allow("Encrypt", "StringEquals", kms__EncryptionContext__tenant="a")

    def asked(emulator: Emulator) -> list[str]:
        contexts: tuple[dict[str, Any], ...] = (
            {"EncryptionContext": CONTEXT},
            {"EncryptionContext": {"tenant": "b"}},
            {},
        )
        requests = [encrypting(emulator, **context) for context in contexts]
        return verdicts(emulator, statement, "encrypt", *requests)

    assert asked(stock) == [DENIED, DENIED, DENIED]
    assert asked(ours) == ["", DENIED, DENIED]


def test_encryption_context_keys_bind(stock: Emulator, ours: Emulator) -> None:
    """A policy can limit the names in an encryption context and demand that there is one."""
    statement = allow("Encrypt", "ForAllValues:StringEquals", kms__EncryptionContextKeys="tenant")
    statement["Condition"]["Null"] = {"kms:EncryptionContextKeys": "false"}

    def asked(emulator: Emulator) -> list[str]:
        more = {"EncryptionContext": {**CONTEXT, "more": "x"}}
        requests = [{"EncryptionContext": CONTEXT}, more, {}]
        made = [encrypting(emulator, **request) for request in requests]
        return verdicts(emulator, statement, "encrypt", *made)

    assert asked(stock) == [DENIED, DENIED, DENIED]
    assert asked(ours) == ["", DENIED, DENIED]


def test_signing_conditions_bind(stock: Emulator, ours: Emulator) -> None:
    """A policy can name the signing algorithm and the message type."""
    statement = allow(
        "Sign", "StringEquals", kms__SigningAlgorithm="ECDSA_SHA_256", kms__MessageType="DIGEST"
    )

    def asked(emulator: Emulator) -> list[str]:
        sign = {
            "KeyId": emulator.outputs["Signer"],
            "Message": bytes(32),
            "SigningAlgorithm": "ECDSA_SHA_256",
        }
        types = ({"MessageType": "DIGEST"}, {"MessageType": "RAW"})
        return verdicts(emulator, statement, "sign", *({**sign, **each} for each in types))

    assert asked(stock) == [DENIED, DENIED]
    assert asked(ours) == ["", DENIED]


def test_mac_algorithm_binds(stock: Emulator, ours: Emulator) -> None:
    """A policy can name the MAC algorithm."""

    def asked(emulator: Emulator, algorithm: str) -> list[str]:
        statement = allow("GenerateMac", "StringEquals", kms__MacAlgorithm=algorithm)
        request = {
            "KeyId": emulator.outputs["Macer"],
            "Message": b"m",
            "MacAlgorithm": "HMAC_SHA_256",
        }
        return verdicts(emulator, statement, "generate_mac", request)

    assert asked(stock, "HMAC_SHA_256") == [DENIED]
    assert asked(ours, "HMAC_SHA_256") == [""]
    assert asked(ours, "HMAC_SHA_512") == [DENIED]


def test_caller_account_binds(stock: Emulator, ours: Emulator) -> None:
    """A policy can name the caller's account."""

    def asked(emulator: Emulator, account: str) -> list[str]:
        statement = allow("Encrypt", "StringEquals", kms__CallerAccount=account)
        return verdicts(emulator, statement, "encrypt", encrypting(emulator))

    assert asked(stock, "000000000000") == [DENIED]
    assert asked(ours, "000000000000") == [""]
    assert asked(ours, "111111111111") == [DENIED]


def test_principal_arn_is_the_role(stock: Emulator, ours: Emulator) -> None:
    """`aws:PrincipalArn` of a session is the ARN of its role, path included."""
    statement = allow("Encrypt", "ArnEquals")
    statement["Condition"] = {
        "ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::000000000000:role/zone/sealer"}
    }

    def asked(emulator: Emulator, name: str) -> str:
        keys = emulator.credentials(statement, name=name, path="/zone/")
        return code_of(client(emulator.port, "kms", keys).encrypt, **encrypting(emulator))

    assert asked(stock, "sealer") == DENIED
    assert asked(ours, "sealer") == ""
    assert asked(ours, "stranger") == DENIED


def sealed(emulator: Emulator, operation: str) -> bytes:
    """Return a ciphertext made by *operation*."""
    request: dict[str, Any] = {
        "KeyId": emulator.outputs["Seal"],
        "EncryptionContext": CONTEXT,
        **({"Plaintext": b"secret"} if operation == "encrypt" else {"KeySpec": "AES_256"}),
    }
    ciphertext: bytes = getattr(emulator.root("kms"), operation)(**request)["CiphertextBlob"]
    return ciphertext


@pytest.mark.parametrize("operation", OPERATIONS)
def test_tampered_ciphertext_is_refused(operation: str, stock: Emulator, ours: Emulator) -> None:
    """A ciphertext with its last encrypted bit flipped does not decrypt."""

    def opened(emulator: Emulator) -> str:
        ciphertext = bytearray(sealed(emulator, operation))
        ciphertext[84] ^= 1
        decrypt = emulator.root("kms").decrypt
        return code_of(decrypt, CiphertextBlob=bytes(ciphertext), EncryptionContext=CONTEXT)

    assert opened(stock) == ""
    assert opened(ours) == "InvalidCiphertextException"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_byte_of_a_ciphertext_counts(operation: str, ours: Emulator) -> None:
    """A ciphertext that is cut, extended or changed in any part does not decrypt."""
    whole = sealed(ours, operation)
    flipped = [
        bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]])
        for at in (0, 36, 68, 84, len(whole) - 1)
    ]
    decrypt = ours.root("kms").decrypt
    for damaged in (*flipped, whole[:-1], whole + b"\0", b"short"):
        code = code_of(decrypt, CiphertextBlob=damaged, EncryptionContext=CONTEXT)
        assert code == "InvalidCiphertextException"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_named_key_must_be_the_ciphertexts(operation: str, stock: Emulator, ours: Emulator) -> None:
    """Decrypt under another key than the ciphertext's is refused."""

    def opened(emulator: Emulator, key: str) -> str:
        decrypt = emulator.root("kms").decrypt
        return code_of(
            decrypt,
            CiphertextBlob=sealed(emulator, operation),
            EncryptionContext=CONTEXT,
            KeyId=emulator.outputs[key],
        )

    assert opened(stock, "OtherSeal") == ""
    assert opened(ours, "OtherSeal") == "IncorrectKeyException"
    assert opened(ours, "Seal") == ""


def test_data_key_comes_back(ours: Emulator) -> None:
    """Decrypt returns the data key that was generated, and only under its context."""
    kms = ours.root("kms")
    made = kms.generate_data_key(
        KeyId=ours.outputs["Seal"], KeySpec="AES_256", EncryptionContext=CONTEXT
    )
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    code = code_of(kms.decrypt, CiphertextBlob=made["CiphertextBlob"])
    assert code == "InvalidCiphertextException"


def mac_key(emulator: Emulator) -> str:
    """Return a key with a policy like the product's: one role makes MACs, another verifies them."""

    def use(action: str, role: str) -> dict[str, Any]:
        return {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
            "Action": f"kms:{action}",
            "Resource": "*",
            "Condition": {
                "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::000000000000:role/{role}"},
                "StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"},
            },
        }

    statements = [use("GenerateMac", "mac-maker"), use("VerifyMac", "mac-verifier")]
    policy = {"Version": "2012-10-17", "Statement": statements}
    made = emulator.root("kms").create_key(
        KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC", Policy=json.dumps(policy)
    )
    arn: str = made["KeyMetadata"]["Arn"]
    return arn


def test_a_key_policy_tells_making_from_verifying(ours: Emulator) -> None:
    """Each role does its one thing with the MAC key, whatever its own policy allows."""
    request = {"KeyId": mac_key(ours), "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    everything = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}

    def acting(name: str) -> Any:
        return client(ours.port, "kms", ours.credentials(everything, name=name))

    maker, verifier, other = acting("mac-maker"), acting("mac-verifier"), acting("mac-other")
    mac = maker.generate_mac(**request)["Mac"]
    assert code_of(verifier.verify_mac, **request, Mac=mac) == ""
    assert code_of(verifier.verify_mac, **request, Mac=bytes(32)) == "KMSInvalidMacException"
    assert code_of(maker.verify_mac, **request, Mac=mac) == DENIED
    assert code_of(verifier.generate_mac, **request) == DENIED
    assert code_of(other.generate_mac, **request) == DENIED
    assert code_of(other.verify_mac, **request, Mac=mac) == DENIED


def test_a_policy_can_demand_that_a_context_names_an_account(ours: Emulator) -> None:
    """Which account it is stays open, but a use without one, or without a context, is denied."""
    statement = allow("Encrypt", "Null", kms__EncryptionContext__account="false")
    contexts: list[dict[str, Any]] = [
        {"EncryptionContext": {"account": "a", "purpose": "identity"}},
        {"EncryptionContext": {"purpose": "identity"}},
        {},
    ]
    requests = [encrypting(ours, **context) for context in contexts]
    assert verdicts(ours, statement, "encrypt", *requests) == ["", DENIED, DENIED]
