"""Reach the emulator as the root of its account, and nothing else as anybody."""

from typing import Any

from botocore.config import Config
from botocore.session import Session

REGION = "us-east-1"
ACCOUNT = "000000000000"
ROOT_KEY = "test"
"""The emulator takes this key id as its account's root: no policy applies to it."""


def client(service: str, *, endpoint: str) -> Any:
    """Return a client for one of the emulator's services."""
    return Session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=ROOT_KEY,
        aws_secret_access_key=ROOT_KEY,
        # It is on this machine: nothing to retry, and no proxy between.
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def environment(endpoint: str) -> dict[str, str]:
    """Return the variables that point a command at the emulator and away from every account."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
