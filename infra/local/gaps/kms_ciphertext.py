"""A ciphertext is bound to its key, and to every bit of itself.

AWS: symmetric ciphertexts are authenticated, so a changed one is `InvalidCiphertextException`, and
a `KeyId` that is not the ciphertext's key is `IncorrectKeyException` (KMS API reference, Decrypt).
Stock: a keystream without a tag, which decrypts anything under any key. Here: a tag behind each.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import kms

from infra.local.stock import require, take

TAG_BYTES = 32
# Key id, context hash and nonce: what the emulator puts before the encrypted bytes.
KEY_ID_BYTES = 36
PREFIX_BYTES = 36 + 32 + 16
CIPHERTEXT_OF = {
    "_encrypt": "CiphertextBlob",
    "_generate_data_key": "CiphertextBlob",
    "_generate_data_key_without_plaintext": "CiphertextBlob",
    "_generate_data_key_pair": "PrivateKeyCiphertextBlob",
    "_generate_data_key_pair_without_plaintext": "PrivateKeyCiphertextBlob",
}

type Request = dict[str, Any]
type Answer = tuple[int, dict[str, str], bytes]


def close() -> None:
    """Tag every symmetric ciphertext, and refuse one whose tag or key is wrong."""
    require(kms, "_resolve_key")
    for name, field in CIPHERTEXT_OF.items():
        setattr(kms, name, _tagging(take(kms, name), field))
    kms._decrypt = _verifying(take(kms, "_decrypt"))


def _tagging(stock: Callable[[Request], Answer], field: str) -> Callable[[Request], Answer]:
    def tagged(request: Request) -> Answer:
        status, headers, body = stock(request)
        key = _symmetric_key(request.get("KeyId", ""))
        answer = json.loads(body)
        if key is None or field not in answer:
            return status, headers, body
        ciphertext = base64.b64decode(answer[field])
        answer[field] = base64.b64encode(ciphertext + _tag(key, ciphertext)).decode()
        return status, headers, json.dumps(answer).encode()

    return tagged


def _verifying(stock: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    def decrypt(request: Request) -> Answer:
        if request.get("EncryptionAlgorithm", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
            return stock(request)
        blob = base64.b64decode(request.get("CiphertextBlob", ""))
        ciphertext, tag = blob[:-TAG_BYTES], blob[-TAG_BYTES:]
        owner = blob[:KEY_ID_BYTES].decode(errors="replace")
        key = _symmetric_key(owner)
        if len(ciphertext) < PREFIX_BYTES or key is None:
            return _refusal("InvalidCiphertextException")
        named = request.get("KeyId")
        if named and (kms._resolve_key(named) or {}).get("KeyId") != owner:
            return _refusal("IncorrectKeyException")
        if not hmac.compare_digest(tag, _tag(key, ciphertext)):
            return _refusal("InvalidCiphertextException")
        return stock({**request, "CiphertextBlob": base64.b64encode(ciphertext).decode()})

    return decrypt


def _symmetric_key(key_id: str) -> bytes | None:
    record = kms._resolve_key(key_id)
    return record.get("_symmetric_key") if record else None


def _tag(key: bytes, ciphertext: bytes) -> bytes:
    return hmac.digest(key, ciphertext, hashlib.sha256)


def _refusal(code: str) -> Answer:
    answer: Answer = error_response_json(code, "", 400)
    return answer
