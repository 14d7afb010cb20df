"""A small key service on loopback that speaks the KMS operations that the product uses.

Its cryptography is real (P-256 signatures, HMAC-SHA256, AES-GCM bound to the encryption context),
so that a test proves what the product does with signatures, MACs and contexts, and counts what it
asks for.
"""

import base64
import hmac
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import loopback

NONCE_BYTES = 12
MAC_KEY_BYTES = 32
MAC_MESSAGE_BYTES_MAX = 4096


class Refusal(Exception):  # noqa: N818 it is KMS's word, not an error of the test
    """An exception of KMS, by its code."""


class KeyService:
    """Keys by name; a key is made when it is first used."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.calls: Counter[str] = Counter()
        self.failing: set[str] = set()
        """Operations (such as ``Sign``) that answer with an internal error."""
        self._lock = threading.Lock()
        self._signing: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._wrapping: dict[str, AESGCM] = {}
        self._mac: dict[str, bytes] = {}

    def signing_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Return the private key behind *name*: a test may sign what no function would."""
        with self._lock:
            return self._signing.setdefault(name, ec.generate_private_key(ec.SECP256R1()))

    def mac_key(self, name: str) -> bytes:
        """Return the HMAC key behind *name*: a test may compute a MAC by itself."""
        with self._lock:
            return self._mac.setdefault(name, os.urandom(MAC_KEY_BYTES))

    def _mac_of(self, name: str, asked: dict[str, Any]) -> bytes:
        message = base64.b64decode(asked["Message"])
        if asked["MacAlgorithm"] != "HMAC_SHA_256":
            raise Refusal("InvalidKeyUsageException")
        if not 1 <= len(message) <= MAC_MESSAGE_BYTES_MAX:
            raise Refusal("ValidationException")
        return hmac.digest(self.mac_key(name), message, "sha256")

    def _wrapping_key(self, name: str) -> AESGCM:
        with self._lock:
            return self._wrapping.setdefault(name, AESGCM(AESGCM.generate_key(256)))

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what KMS answers.

        Raises:
            Refusal: KMS refuses.
        """
        with self._lock:
            self.calls[operation] += 1
        if operation in self.failing:
            raise Refusal("KMSInternalException")
        key, context = asked["KeyId"], _context(asked)
        match operation:
            case "Sign":
                digest = base64.b64decode(asked["Message"])
                algorithm = ec.ECDSA(Prehashed(hashes.SHA256()))
                return {"Signature": _b64(self.signing_key(key).sign(digest, algorithm))}
            case "GetPublicKey":
                public = self.signing_key(key).public_key()
                der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                return {"KeyId": key, "PublicKey": _b64(der)}
            case "GenerateDataKeyWithoutPlaintext":
                nonce = os.urandom(NONCE_BYTES)
                secret = os.urandom(asked["NumberOfBytes"])
                box = self._wrapping_key(key).encrypt(nonce, secret, context)
                return {"KeyId": key, "CiphertextBlob": _b64(nonce + box)}
            case "Decrypt":
                blob = base64.b64decode(asked["CiphertextBlob"])
                nonce, box = blob[:NONCE_BYTES], blob[NONCE_BYTES:]
                try:
                    secret = self._wrapping_key(key).decrypt(nonce, box, context)
                except InvalidTag:
                    raise Refusal("InvalidCiphertextException") from None
                return {"KeyId": key, "Plaintext": _b64(secret)}
            case "GenerateMac":
                mac = self._mac_of(key, asked)
                return {"KeyId": key, "Mac": _b64(mac), "MacAlgorithm": asked["MacAlgorithm"]}
            case "VerifyMac":
                if not hmac.compare_digest(
                    self._mac_of(key, asked), base64.b64decode(asked["Mac"])
                ):
                    raise Refusal("KMSInvalidMacException")
                return {"KeyId": key, "MacValid": True, "MacAlgorithm": asked["MacAlgorithm"]}
        raise Refusal("UnknownOperationException")


@contextmanager
def running() -> Iterator[KeyService]:
    """Run a key service on a free loopback port."""
    with loopback.serving(_Handler, KeyService) as service:
        yield service


class _Handler(loopback.Handler):
    service: KeyService

    def do_POST(self) -> None:  # noqa: N802 the base class calls it so
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status = 200
            reply = self.service.answer(self.headers["X-Amz-Target"].rpartition(".")[2], asked)
        except Refusal as refusal:
            status, reply = 400, {"__type": str(refusal)}
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _context(asked: dict[str, Any]) -> bytes:
    return json.dumps(asked.get("EncryptionContext") or {}, sort_keys=True).encode()


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
