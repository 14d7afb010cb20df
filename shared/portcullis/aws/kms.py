"""KMS: sign, publish public keys, unwrap secrets, and MAC. Its keys never leave it."""

import functools
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from portcullis.aws.clients import client
from portcullis.errors import InfrastructureError
from portcullis.evidence import jws
from portcullis.evidence.keys import PublicKey, TrustedKeys

PUBLIC_KEY_TTL_S = 300
SECRET_BYTES = 32
MAC_ALGORITHM = "HMAC_SHA_256"
INVALID_MAC = "KMSInvalidMacException"


class KeyServiceError(InfrastructureError):
    """KMS refused or did not answer: nothing was signed, unwrapped or verified."""


class MacMismatchError(Exception):
    """KMS has verified a MAC, and it is not this key's MAC of this message."""


class Signer:
    """Signs compact JWS with one asymmetric KMS key."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return the compact JWS of *claims*.

        Raises:
            KeyServiceError: KMS did not sign.
        """
        header = {"typ": typ, "alg": jws.ALGORITHM, "kid": public_key(self._arn).thumbprint}
        signed = jws.signing_input(header, claims)
        # DIGEST: a command outgrows the 4,096 bytes that KMS takes as RAW.
        der = _call(
            "sign",
            KeyId=self._arn,
            Message=hashlib.sha256(signed.encode()).digest(),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )["Signature"]
        r, s = decode_dss_signature(der)
        half = jws.SIGNATURE_BYTES // 2
        return jws.assemble(signed, r.to_bytes(half) + s.to_bytes(half))


def trusted_keys(*arns: str) -> TrustedKeys:
    """Return the public keys of *arns*, at most five minutes old.

    Raises:
        KeyServiceError: KMS did not give a key.
    """
    return TrustedKeys(*(public_key(arn) for arn in arns))


def public_key(arn: str) -> PublicKey:
    """Return the public half of the key *arn*, at most five minutes old.

    Raises:
        KeyServiceError: KMS did not give it, or it is not a P-256 key.
    """
    return _public_key(arn, int(time.monotonic()) // PUBLIC_KEY_TTL_S)


@functools.lru_cache(maxsize=16)
def _public_key(arn: str, _window: int) -> PublicKey:
    key = load_der_public_key(_call("get_public_key", KeyId=arn)["PublicKey"])
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyServiceError("not a P-256 key")
    return PublicKey.of(key)


def new_wrapped_secret(arn: str, *, context: Mapping[str, str]) -> bytes:
    """Return a fresh 256-bit secret, wrapped: its maker never sees it in clear.

    Raises:
        KeyServiceError: KMS did not make it.
    """
    reply = _call(
        "generate_data_key_without_plaintext",
        KeyId=arn,
        NumberOfBytes=SECRET_BYTES,
        EncryptionContext=dict(context),
    )
    return bytes(reply["CiphertextBlob"])


def unwrap_secret(arn: str, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
    """Return the secret in *wrapped*, if it was made under this key for this context.

    Raises:
        KeyServiceError: it was not, or KMS did not answer.
    """
    reply = _call("decrypt", KeyId=arn, CiphertextBlob=wrapped, EncryptionContext=dict(context))
    return bytes(reply["Plaintext"])


def generate_mac(arn: str, message: bytes) -> bytes:
    """Return the HMAC-SHA256 of *message*, of at most 4,096 bytes, under the KMS key *arn*.

    Raises:
        KeyServiceError: KMS did not make it.
    """
    reply = _call("generate_mac", KeyId=arn, Message=message, MacAlgorithm=MAC_ALGORITHM)
    return bytes(reply["Mac"])


def verify_mac(arn: str, message: bytes, mac: bytes) -> None:
    """Return if *mac* is the HMAC-SHA256 of *message* under the KMS key *arn*.

    Raises:
        MacMismatchError: it is not.
        KeyServiceError: KMS did not judge it.
    """
    try:
        _call("verify_mac", KeyId=arn, Message=message, Mac=mac, MacAlgorithm=MAC_ALGORITHM)
    except KeyServiceError as error:
        if str(error) != INVALID_MAC:
            raise
        raise MacMismatchError from None


def _call(operation: str, **arguments: Any) -> Any:
    call: Callable[..., Any] = getattr(client("kms"), operation)
    try:
        return call(**arguments)
    except ClientError as error:
        raise KeyServiceError(error.response["Error"]["Code"]) from None
    except BotoCoreError as error:
        raise KeyServiceError(type(error).__name__) from None
