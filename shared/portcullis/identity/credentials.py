"""Credentials as they are stored: a passkey and the account that it opens."""

from typing import Any

from portcullis.aws.dynamodb import Item
from portcullis.identity import tables
from portcullis.identity.passkeys import Passkey


def to_item(account: str, passkey: Passkey) -> dict[str, Any]:
    """Return the item of an account's passkey."""
    return {
        **tables.credential_key(passkey.credential_id),
        "account": account,
        "credential_id": passkey.credential_id,
        "public_key": passkey.public_key,
        "sign_count": passkey.sign_count,
        "backup_eligible": passkey.backup_eligible,
        "backed_up": passkey.backed_up,
        "aaguid": passkey.aaguid,
    }


def from_item(item: Item) -> Passkey:
    """Return the passkey in a stored item."""
    return Passkey(
        credential_id=bytes(item["credential_id"]),
        public_key=bytes(item["public_key"]),
        sign_count=item["sign_count"],
        backup_eligible=item["backup_eligible"],
        backed_up=item["backed_up"],
        aaguid=item["aaguid"],
    )
