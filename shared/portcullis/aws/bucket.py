"""An S3 bucket whose objects are written once and read."""

import time
from contextlib import closing

from botocore.exceptions import BotoCoreError, ClientError

from portcullis import entropy
from portcullis.aws.clients import client
from portcullis.errors import InfrastructureError

OBJECT_BYTES_MAX = 1_048_576
ROUNDS_MAX = 5
PAUSE_S = 0.05
_TAKEN = "PreconditionFailed"
_ABSENT = "NoSuchKey"
_OVERTAKEN = "ConditionalRequestConflict"


class BucketError(InfrastructureError):
    """S3 refused or did not answer: whether the object was written is not known."""


class ObjectExistsError(Exception):
    """There is an object under this key, perhaps by an earlier try. Nothing was overwritten."""


def create(bucket: str, key: str, body: bytes) -> None:
    """Write an object that is not there yet (``If-None-Match: *``): at most one write succeeds.

    Raises:
        ObjectExistsError: there is one.
        BucketError: it is not known whether it was written.
    """
    for round_ in range(ROUNDS_MAX):
        try:
            client("s3").put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                IfNoneMatch="*",
                ContentType="application/json",
            )
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
            if code == _TAKEN:
                raise ObjectExistsError from None
            if code != _OVERTAKEN:
                raise BucketError(code) from None
            # 409: another conditional write of this key is on its way (S3 user guide,
            # "Conditional writes"); asked again, S3 knows who won.
            time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
        except BotoCoreError as error:
            raise BucketError(type(error).__name__) from None
        else:
            return
    raise BucketError(_OVERTAKEN)


def read(bucket: str, key: str) -> bytes | None:
    """Return the object under *key*, or None if there is none.

    Raises:
        BucketError: it could not be read, or it is larger than any that is written.
    """
    try:
        with closing(client("s3").get_object(Bucket=bucket, Key=key)["Body"]) as stream:
            body: bytes = stream.read(OBJECT_BYTES_MAX + 1)
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        if code == _ABSENT:
            return None
        raise BucketError(code) from None
    except BotoCoreError as error:
        raise BucketError(type(error).__name__) from None
    if len(body) > OBJECT_BYTES_MAX:
        raise BucketError("object is too large")
    return body
