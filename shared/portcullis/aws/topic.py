"""Publish to an SNS topic."""

from botocore.exceptions import BotoCoreError, ClientError

from portcullis.aws.clients import client
from portcullis.errors import InfrastructureError


class TopicError(InfrastructureError):
    """The topic did not take the message, or its answer was lost: it may arrive all the same."""


def publish(topic: str, message: str) -> None:
    """Publish *message* to the topic with the ARN *topic*, at least once.

    Raises:
        TopicError: it is not known to have been taken.
    """
    try:
        client("sns").publish(TopicArn=topic, Message=message)
    except ClientError as error:
        raise TopicError(error.response["Error"]["Code"]) from None
    except BotoCoreError as error:
        raise TopicError(type(error).__name__) from None
