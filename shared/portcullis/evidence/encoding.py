"""base64url as JOSE uses it: no padding, and one spelling for each value (RFC 7515 section 2)."""

import base64
import binascii

from portcullis.evidence.errors import EvidenceError


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
