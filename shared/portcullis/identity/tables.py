"""The identity zone's tables and keys: one place that spells them.

A partition key is prefixed by the type of what lies under it, one type per partition, so that a
role can be limited to types by ``dynamodb:LeadingKeys``.
"""

import hashlib

from portcullis.aws import secret
from portcullis.aws.dynamodb import Key
from portcullis.evidence.dpop import Proof
from portcullis.settings import setting, settings_list

PENDING_SHARDS = 16
LOCKDOWN = "LOCKDOWN"
"""What stands where an account's id would: its item of standing, and its outbox."""


def identity() -> str:
    """Return the name of the table of accounts, credentials, sessions, sightings and events."""
    return setting("IDENTITY_TABLE")


def standing() -> str:
    """Return the name of the table of standing: one PII-free item for each account."""
    return setting("STANDING_TABLE")


def once() -> str:
    """Return the name of the table of single-use things."""
    return setting("ONCE_TABLE")


def registry() -> str:
    """Return the name of the ledger zone's registry: of it this zone reads operators, no more."""
    return setting("REGISTRY_TABLE")


def operator_key(operator: str) -> Key:
    """Return the key of an operator."""
    return {"pk": f"OPERATOR#{operator}"}


def account_key(account: str) -> Key:
    """Return the key of an account."""
    return {"pk": f"ACCOUNT#{account}", "sk": "ACCOUNT"}


def credential_key(credential_id: bytes) -> Key:
    """Return the key of a passkey by its (authenticator-chosen, up to 1,023 bytes long) id."""
    return {"pk": f"CREDENTIAL#{hashlib.sha256(credential_id).hexdigest()}", "sk": "CREDENTIAL"}


def factors_key(account: str) -> Key:
    """Return the key of an account's factors."""
    return {"pk": f"FACTORS#{account}", "sk": "FACTORS"}


def login_key(index: str) -> Key:
    """Return the key of a login name by its blind index."""
    return {"pk": f"LOGIN#{index}", "sk": "LOGIN"}


def password_key(account: str, verifier: str) -> Key:
    """Return the key of one password verifier of an account."""
    return {"pk": f"PASSWORD#{account}", "sk": verifier}


def totp_key(account: str, enrolment: str) -> Key:
    """Return the key of one TOTP enrolment of an account."""
    return {"pk": f"TOTP#{account}", "sk": enrolment}


def code_key(mac: str) -> Key:
    """Return the key of a recovery code by its MAC."""
    return {"pk": f"CODE#{mac}", "sk": "CODE"}


def person_key(account: str) -> Key:
    """Return the key of an account's wrapped person key of purpose ``identity``."""
    return {"pk": f"PERSON#{account}", "sk": "IDENTITY"}


def sessions_key(account: str) -> Key:
    """Return the key of the list of an account's sessions."""
    return {"pk": f"SESSIONS#{account}", "sk": "SESSIONS"}


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


def pending_key(account: str, last: int) -> Key:
    """Return the key of the note that events up to number *last* are to be published.

    Accounts are spread over a fixed number of partitions, so that all of them can be listed.
    """
    shard = hashlib.sha256(account.encode()).digest()[0] % PENDING_SHARDS
    return {"pk": f"PENDING#{shard:02d}", "sk": f"{account}#{last:012d}"}


def verdict_key(account: str, number: int) -> Key:
    """Return the key of the verdict behind an event, by the event's number."""
    return {"pk": f"VERDICT#{account}", "sk": f"{number:012d}"}


def standing_key(account: str) -> Key:
    """Return the key of an account's standing."""
    return {"pk": account}


def lockdown_key() -> Key:
    """Return the key of the lockdown: one item beside the standings, and no account's id."""
    return {"pk": LOCKDOWN}


def challenge_key(challenge: bytes) -> Key:
    """Return the key of a WebAuthn challenge."""
    return {"pk": f"CHALLENGE#{hashlib.sha256(challenge).hexdigest()}"}


def ticket_key(secret: bytes) -> Key:
    """Return the key of the ticket of a pending sign-in."""
    return {"pk": f"TICKET#{hashlib.sha256(secret).hexdigest()}"}


def approval_key(approval: str) -> Key:
    """Return the key under which an approval is used once."""
    return {"pk": f"APPROVAL#{approval}"}


def deed_key(proof: Proof) -> Key:
    """Return the key under which a proof does one deed behind the gate.

    The gate uses proofs up under another key. A function that changes something does it again, in
    the transaction of the change, so that a captured gate can repeat nothing.
    """
    return {"pk": f"DEED#{proof.single_use_id}"}


def proof_key(proof: Proof) -> Key:
    """Return the key under which a proof is used once."""
    return {"pk": f"PROOF#{proof.single_use_id}"}


def command_key(issuer: str, jti: str) -> Key:
    """Return the key under which an operator's command is used once."""
    return {"pk": f"COMMAND#{hashlib.sha256(f'{issuer}\n{jti}'.encode()).hexdigest()}"}


def bucket_key(policy: str, subject: str) -> Key:
    """Return the key of a subject's bucket under a policy.

    The digest keeps networks out of the keys; who can read the table can still try them all.
    """
    return {"pk": f"BUCKET#{policy}#{hashlib.sha256(subject.encode()).hexdigest()}"}


def backoff_key(account: str, lane: str) -> Key:
    """Return the key of one lane of an account's failures at second factors."""
    return {"pk": f"BACKOFF#{account}#{lane}"}


def device_key(account: str, jkt: str) -> Key:
    """Return the key of a proof key that has completed a second factor of an account."""
    return {"pk": f"DEVICE#{account}#{jkt}"}


def refresh_secrets() -> tuple[bytes, ...]:
    """Return the zone's secrets behind refresh tags and seals: the present one, then older ones.

    Raises:
        InfrastructureError: one could not be read, made or unwrapped.
    """
    return tuple(
        secret.secret(
            table=once(),
            key_arn=setting("IDENTITY_DATA_KEY"),
            purpose="refresh",
            version=int(version),
        )
        for version in settings_list("REFRESH_SECRETS")
    )


def throttle_secret() -> bytes:
    """Return the zone's secret behind the names of login buckets.

    Raises:
        InfrastructureError: it could not be read, made or unwrapped.
    """
    return secret.secret(table=once(), key_arn=setting("IDENTITY_DATA_KEY"), purpose="throttle")


def sightings_secret() -> bytes:
    """Return the zone's secret behind the names of networks in sightings.

    Raises:
        InfrastructureError: it could not be read, made or unwrapped.
    """
    return secret.secret(table=once(), key_arn=setting("IDENTITY_DATA_KEY"), purpose="sightings")


def nonce_secret() -> bytes:
    """Return the zone's secret behind the nonces of DPoP proofs.

    Raises:
        InfrastructureError: it could not be read, made or unwrapped.
    """
    return secret.secret(table=once(), key_arn=setting("IDENTITY_DATA_KEY"), purpose="nonce")
