"""A person's key: what identity knows of a person is sealed under it, and dies with it.

KMS wraps one person key for each account (context: purpose, account). Each sealed value has a
data key of its own, wrapped by the person key, and is bound to its record: moved to another
account, record or field it does not open. ``aws-encryption-sdk`` would cost sign-in 450 ms of
imports (docs/decisions/0016).
"""

import functools
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portcullis import entropy
from portcullis.aws import dynamodb, kms
from portcullis.aws.dynamodb import ConditionFailedError, Item, StoreError, Value
from portcullis.errors import InfrastructureError
from portcullis.evidence.encoding import layout
from portcullis.identity import tables
from portcullis.settings import setting

DATA_KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
CACHED_S = 60
CACHED_MAX = 32
_SCHEMA = "portcullis/identity-field/v1"
_WRAPPED_BYTES = NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES


class SealError(InfrastructureError):
    """A sealed value does not open: it was altered or moved, or its person key is gone."""


class PersonKey:
    """Seals and opens what belongs to one account."""

    def __init__(self, account: str, key: bytes) -> None:
        self._account = account
        self._wrap = AESGCM(key)

    def seal(self, plaintext: str, *, record: str, field: str) -> bytes:
        """Return *plaintext* sealed for one field of one record."""
        bound, data_key = self._bound(record, field), entropy.random_bytes(DATA_KEY_BYTES)
        return _box(self._wrap, data_key, bound) + _box(AESGCM(data_key), plaintext.encode(), bound)

    def open(self, sealed: bytes, *, record: str, field: str) -> str:
        """Return what was sealed for this field of this record.

        Raises:
            SealError: it was not.
        """
        bound = self._bound(record, field)
        try:
            data_key = _unbox(self._wrap, sealed[:_WRAPPED_BYTES], bound)
            return _unbox(AESGCM(data_key), sealed[_WRAPPED_BYTES:], bound).decode()
        except (InvalidTag, ValueError):
            raise SealError("sealed value") from None

    def _bound(self, record: str, field: str) -> bytes:
        return layout(_SCHEMA, self._account, record, field)


def key_of(account: str, item: Item) -> PersonKey:
    """Return the person key in a stored item, unwrapped at most once a minute.

    Raises:
        KeyServiceError: KMS did not unwrap it.
    """
    window = int(time.monotonic()) // CACHED_S
    return _unwrapped(account, bytes(item["wrapped"]), window)


def ensured(account: str) -> PersonKey:
    """Return the account's person key, made at its first use.

    Raises:
        InfrastructureError: it could not be read, made or unwrapped.
    """
    item = dynamodb.get(tables.identity(), tables.person_key(account))
    if item is None:
        wrapped = kms.new_wrapped_secret(setting("IDENTITY_DATA_KEY"), context=_context(account))
        _insert_if_absent(account, wrapped)
        item = dynamodb.get(tables.identity(), tables.person_key(account))
        if item is None:
            raise StoreError("person key vanished")
    return key_of(account, item)


def _insert_if_absent(account: str, wrapped: bytes) -> None:
    item: dict[str, Value] = {**tables.person_key(account), "wrapped": wrapped}
    try:
        dynamodb.execute(dynamodb.insert(tables.identity(), item))
    except ConditionFailedError:
        return  # another request was first: its key is the person's


@functools.lru_cache(maxsize=CACHED_MAX)
def _unwrapped(account: str, wrapped: bytes, _window: int) -> PersonKey:
    arn = setting("IDENTITY_DATA_KEY")
    return PersonKey(account, kms.unwrap_secret(arn, wrapped, context=_context(account)))


def _context(account: str) -> dict[str, str]:
    return {"purpose": "identity", "account": account}


def _box(key: AESGCM, plaintext: bytes, bound: bytes) -> bytes:
    nonce = entropy.random_bytes(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plaintext, bound)


def _unbox(key: AESGCM, boxed: bytes, bound: bytes) -> bytes:
    return key.decrypt(boxed[:NONCE_BYTES], boxed[NONCE_BYTES:], bound)
