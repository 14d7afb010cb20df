"""TOTP (RFC 6238): 30-second steps, one step of drift either way, and never backwards.

``cryptography`` computes the codes; it is shipped anyway. Which step a code belongs to is ours,
because each step is accepted at most once (RFC 6238 section 5.2).
"""

import base64
import hmac
from typing import Annotated

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from pydantic import StringConstraints

SECRET_BYTES = 20
"""RFC 4226 section 4, R6: as long as the hash."""
DIGITS = 6
STEP_S = 30
DRIFT_STEPS = 1
ISSUER = "Portcullis"

Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]


def uri(secret: bytes, *, account: str) -> str:
    """Return the otpauth URI that an authenticator application reads."""
    return _totp(secret).get_provisioning_uri(account, ISSUER)


def text(secret: bytes) -> str:
    """Return a secret as a person types it: base32."""
    return base64.b32encode(secret).decode()


def secret_in(text_: str) -> bytes:
    """Return the secret that ``text`` wrote."""
    return base64.b32decode(text_)


def matching_step(secret: bytes, code: str, *, last_step: int, now_s: int) -> int | None:
    """Return the step that *code* belongs to, None if there is none that may be used now.

    Steps t-1 to t+1 are tried, all of them, and only those after *last_step*.
    """
    present = now_s // STEP_S
    matching = None
    for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1):
        expected = _totp(secret).generate(step * STEP_S)
        if hmac.compare_digest(expected, code.encode()) and step > last_step:
            matching = step
    return matching


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303 RFC 6238's default; HMAC-SHA-1 stands
