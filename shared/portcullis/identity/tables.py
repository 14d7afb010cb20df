"""The identity zone's tables and keys: one place that spells them.

A partition key is prefixed by the type of what lies under it, one type per partition, so that a
role can be limited to types by ``dynamodb:LeadingKeys``.
"""

import hashlib

from portcullis.aws import secret
from portcullis.aws.dynamodb import Key
from portcullis.evidence.dpop import Proof
from portcullis.settings import setting


def identity() -> str:
    """Return the name of the table of accounts, credentials, sessions, sightings and events."""
    return setting("IDENTITY_TABLE")


def standing() -> str:
    """Return the name of the table of standing: one PII-free item for each account."""
    return setting("STANDING_TABLE")


def once() -> str:
    """Return the name of the table of single-use things."""
    return setting("ONCE_TABLE")


def account_key(account: str) -> Key:
    """Return the key of an account."""
    return {"pk": f"ACCOUNT#{account}", "sk": "ACCOUNT"}


def credential_key(credential_id: bytes) -> Key:
    """Return the key of a passkey by its (authenticator-chosen, up to 1,023 bytes long) id."""
    return {"pk": f"CREDENTIAL#{hashlib.sha256(credential_id).hexdigest()}", "sk": "CREDENTIAL"}


def session_key(sid: str) -> Key:
    """Return the key of a session, which is also its refresh family."""
    return {"pk": f"SESSION#{sid}", "sk": "SESSION"}


def sightings_key(sid: str) -> Key:
    """Return the key of what the gate has seen of a session."""
    return {"pk": f"SIGHTINGS#{sid}", "sk": "SIGHTINGS"}


def outbox_key(account: str) -> Key:
    """Return the key of the head of an account's outbox."""
    return {"pk": f"OUTBOX#{account}", "sk": "HEAD"}


def event_key(account: str, number: int) -> Key:
    """Return the key of one event, so that text order is the order of events."""
    return {"pk": f"EVENT#{account}", "sk": f"{number:012d}"}


def standing_key(account: str) -> Key:
    """Return the key of an account's standing."""
    return {"pk": account}


def challenge_key(challenge: bytes) -> Key:
    """Return the key of a WebAuthn challenge."""
    return {"pk": f"CHALLENGE#{hashlib.sha256(challenge).hexdigest()}"}


def proof_key(proof: Proof) -> Key:
    """Return the key under which a proof is used once."""
    return {"pk": f"PROOF#{proof.single_use_id}"}


def refresh_secret() -> bytes:
    """Return the zone's secret behind refresh tags and seals.

    Raises:
        InfrastructureError: it could not be read, made or unwrapped.
    """
    return secret.secret(table=once(), key_arn=setting("IDENTITY_DATA_KEY"), purpose="refresh")
