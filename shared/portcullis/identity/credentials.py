"""Credentials as they are stored: a passkey, its account, and the certificate that ties them."""

import hashlib
from typing import Any

from portcullis import entropy
from portcullis.aws import kms
from portcullis.aws.dynamodb import Item
from portcullis.evidence import enrolments
from portcullis.evidence.enrolments import Certificate
from portcullis.evidence.errors import EvidenceError
from portcullis.identity import passkeys, tables
from portcullis.identity.passkeys import Passkey, PasskeyRefusedError
from portcullis.settings import setting, settings_list


def id_of(credential_id: bytes) -> str:
    """Return what a passkey is called in the API: its credential id is nobody's business."""
    return entropy.id_from_bytes(hashlib.sha256(credential_id).digest()[: entropy.ID_BYTES])


def to_item(account: str, passkey: Passkey, *, certificate: str) -> dict[str, Any]:
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
        "attested": passkey.attested,
        "certificate": certificate,
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
        attested=item["attested"],
    )


def certified(item: Item, *, account: str) -> Certificate:
    """Return the certificate of a stored credential, if it bears out what the item says.

    A row that somebody wrote into the table, or changed there, has none that does.

    Raises:
        PasskeyRefusedError: the certificate is not about this passkey of this account.
        InfrastructureError: KMS did not give the public key.
    """
    passkey = from_item(item)
    try:
        certificate = enrolments.verify(
            item["certificate"],
            keys=kms.trusted_keys(*settings_list("ENROLMENT_KEYS")),
            expected_issuer=setting("PUBLIC_ORIGIN"),
            expected_account=account,
            expected_credential_id=passkey.credential_id,
        )
    except EvidenceError as error:
        raise PasskeyRefusedError from error
    told = (certificate.jwk, certificate.be, certificate.att)
    if told != (
        passkeys.public_jwk(passkey.public_key),
        passkey.backup_eligible,
        passkey.attested,
    ):
        raise PasskeyRefusedError
    return certificate
