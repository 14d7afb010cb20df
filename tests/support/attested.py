"""What an attestation object says about the new credential (Web Authentication section 6.5.1)."""

import io
import struct
from dataclasses import dataclass
from hashlib import sha256

import cbor2

from tests.support.authenticator import BE, BS

AAGUID_AT = 37
ID_AT = 55


@dataclass(frozen=True)
class Attested:
    """The attested credential data, and the flags before it."""

    aaguid: bytes
    credential_id: bytes
    public_key: bytes
    backup_eligible: bool
    backed_up: bool


def data(attestation_object: bytes) -> Attested:
    """Return what an attestation object attests, its statement unread."""
    raw: bytes = cbor2.loads(attestation_object)["authData"]
    (length,) = struct.unpack(">H", raw[ID_AT - 2 : ID_AT])
    rest = io.BytesIO(raw[ID_AT + length :])
    cbor2.load(rest)
    return Attested(
        aaguid=raw[AAGUID_AT : AAGUID_AT + 16],
        credential_id=raw[ID_AT : ID_AT + length],
        public_key=raw[ID_AT + length : ID_AT + length + rest.tell()],
        backup_eligible=bool(raw[32] & BE),
        backed_up=bool(raw[32] & BS),
    )


def digest(client_data: bytes) -> bytes:
    """Return the hash of the client data: what is signed behind the authenticator data."""
    return sha256(client_data).digest()
