"""Encodings with one spelling for each value: base64url (RFC 7515 section 2), and layouts."""

import base64
import binascii

from portcullis.evidence.errors import EvidenceError


def layout(version: str, *fields: str) -> bytes:
    """Return *version* and *fields*, each behind its length: what is digested or authenticated.

    Never serialised JSON: two encoders must not disagree about what was meant.
    """
    laid = bytearray()
    for field in (version, *fields):
        raw = field.encode()
        laid += len(raw).to_bytes(4) + raw
    return bytes(laid)


def b64url(raw: bytes) -> str:
    """Return *raw* as unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """Return the bytes of an unpadded base64url text.

    Raises:
        EvidenceError: it has padding, another alphabet, or stray bits: a second spelling of the
            same bytes would be a second identity for one signed thing.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceError("base64url") from None
    if b64url(raw) != text:
        raise EvidenceError("base64url is not canonical")
    return raw
