"""Assertions: a passkey's signed yes, verified without the library that speaks WebAuthn.

For zones that have no such library and need none: the key comes from an enrolment certificate,
and nothing here is encoded in CBOR (WebAuthn Level 3, section 7.2, by the numbers of its steps).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from portcullis.evidence import client_data, passkey_keys
from portcullis.evidence.encoding import unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.schema import Strict

_RP_ID_HASH_BYTES = 32
_PLAIN_BYTES = 37
"""Section 6.1: hash of the RP id (32), flags (1), counter (4)."""
_UP, _UV, _BE, _BS, _AT, _ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


class Assertion(Strict):
    """AuthenticatorAssertionResponse, its three signed or signing parts in base64url."""

    authenticatorData: str
    clientDataJSON: str
    signature: str


@dataclass(frozen=True, slots=True)
class AssertedFlags:
    """What the authenticator reports; that the user was present and verified goes without saying.

    Backup eligible: the passkey may be synced, so it is not bound to one device.
    """

    backup_eligible: bool
    backed_up: bool
    sign_count: int


def verify(
    assertion: Assertion,
    *,
    jwk: Mapping[str, str],
    expected_challenge: bytes,
    expected_origin: str,
    expected_rp_id: str,
) -> AssertedFlags:
    """Return what the passkey of *jwk* asserted in answer to this very challenge.

    Single use of the challenge, whose the passkey is, and the counter are for the caller.

    Raises:
        EvidenceError: a check fails; a user who was absent or not verified is one.
    """
    told = unb64url(assertion.clientDataJSON)
    data = unb64url(assertion.authenticatorData)
    client_data.verify(
        told,
        expected_type=client_data.GET,
        expected_challenge=expected_challenge,
        expected_origin=expected_origin,
    )
    asserted = _read(data, expected_rp_id)
    signed = data + hashlib.sha256(told).digest()  # steps 20 and 21
    passkey_keys.verify(unb64url(assertion.signature), signed=signed, jwk=jwk)
    return asserted


def _read(data: bytes, rp_id: str) -> AssertedFlags:
    """Return what the authenticator data says (section 6.1), its steps 15 to 18 checked."""
    if len(data) < _PLAIN_BYTES:
        raise EvidenceError("authenticator data is too short")
    flags = data[_RP_ID_HASH_BYTES]
    # Section 6.3.3: an assertion attests no key. What follows can only be extensions,
    # which nobody asked for and nobody reads.
    if flags & _AT or bool(flags & _ED) != (len(data) > _PLAIN_BYTES):
        raise EvidenceError("authenticator data has another shape")
    if data[:_RP_ID_HASH_BYTES] != hashlib.sha256(rp_id.encode()).digest():  # step 15
        raise EvidenceError("another relying party")
    if not flags & _UP:  # step 16
        raise EvidenceError("user not present")
    if not flags & _UV:  # step 17
        raise EvidenceError("user not verified")
    if flags & _BS and not flags & _BE:  # step 18
        raise EvidenceError("backed up and not eligible for it")
    return AssertedFlags(
        backup_eligible=bool(flags & _BE),
        backed_up=bool(flags & _BS),
        sign_count=int.from_bytes(data[_RP_ID_HASH_BYTES + 1 : _PLAIN_BYTES]),
    )
