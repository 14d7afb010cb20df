"""Acting as one role of the stack: what a thief of that role's credentials could do."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.session import Session, get_session

from tests.support.http import Reply, send
from tests.support.stack import ACCOUNT, REGION, Stack

ROOT = Credentials("test", "test")
"""The emulator's account root: no policy binds it, so it only ever assumes roles here."""

NO_RETRY = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=35)
"""One attempt: a denial is an answer, not something to try again."""


@dataclass(frozen=True)
class Role:
    """One IAM role of the stack, by its full name; assumed once, when first used."""

    stack: Stack
    name: str

    @cached_property
    def credentials(self) -> Credentials:
        """Temporary credentials of the role.

        Raises:
            botocore.exceptions.ClientError: The role does not exist or may not be assumed.
        """
        assumed = aws(
            self.stack.endpoint,
            ROOT,
            "sts",
            "assume_role",
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{self.name}",
            RoleSessionName="test",
        )["Credentials"]
        return Credentials(
            assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"]
        )

    def aws(self, service: str, operation: str, **parameters: object) -> dict[str, Any]:
        """Call AWS itself with the role's credentials.

        Args:
            service: The service as botocore names it.
            operation: The operation in snake case.
            **parameters: The operation's own parameters.

        Raises:
            botocore.exceptions.ClientError: AWS refuses.
        """
        return aws(self.stack.endpoint, self.credentials, service, operation, **parameters)

    def call(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one SigV4-signed request to the internal API and return its reply."""
        origin = self.stack.internal_origin
        request = AWSRequest(method, origin + target, headers=headers or {}, data=body)
        SigV4Auth(self.credentials, "execute-api", REGION).add_auth(request)
        return send(origin, method, target, headers=request.headers.items(), body=body)


def aws(
    endpoint: str, credentials: Credentials, service: str, operation: str, **parameters: object
) -> dict[str, Any]:
    """Call one operation of the emulated AWS, once.

    Raises:
        botocore.exceptions.ClientError: AWS refuses.
    """
    client = _session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
        config=NO_RETRY,
    )
    try:
        result: dict[str, Any] = getattr(client, operation)(**parameters)
    finally:
        client.close()
    return result


@cache
def _session() -> Session:
    """Return the one session that makes all clients: it reads a service's model once."""
    return get_session()
