"""Secrets that must be in memory: ``SECRET#<purpose>#<version>`` items of a zone.

The first user makes one (wrapped by KMS, inserted if absent); every environment unwraps it once.
The insert is PartiQL because PutItem would let any such role replace a live secret.
"""

import functools

from portcullis.aws import dynamodb, kms
from portcullis.aws.dynamodb import ConditionFailedError, StoreError

FIRST_VERSION = 1


@functools.cache
def secret(*, table: str, key_arn: str, purpose: str, version: int = FIRST_VERSION) -> bytes:
    """Return the zone's secret for *purpose*: 256 bits.

    Raises:
        StoreError: it could not be read or made.
        KeyServiceError: it could not be unwrapped.
    """
    name = f"SECRET#{purpose}#{version}"
    context = {"purpose": "secret", "name": name}
    item = dynamodb.get(table, {"pk": name})
    if item is None:
        wrapped = kms.new_wrapped_secret(key_arn, context=context)
        _insert_if_absent(table, name, wrapped)
        item = dynamodb.get(table, {"pk": name})
        if item is None:
            raise StoreError("secret vanished")
    return kms.unwrap_secret(key_arn, item["wrapped"], context=context)


def _insert_if_absent(table: str, name: str, wrapped: bytes) -> None:
    try:
        dynamodb.execute(dynamodb.insert(table, {"pk": name, "wrapped": wrapped}))
    except ConditionFailedError:
        return  # another environment was first: its secret is the zone's
