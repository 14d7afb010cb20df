"""Passwords: which may be set, and the one spelling in which they are compared.

Length is what counts: 15 to 128 code points, each allowed, none changed but by NFC (NIST SP
800-63B-4 section 3.1.1.2). There is no rule of composition, and no password expires.

A new password is also refused if it is guessed among the first: when eight code points do not
remain after taking away what everybody tries (``blocklist``), or what everybody can know of this
account: the login name and its parts, our host and its labels, and the product's name.
"""

import re
import unicodedata
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import StringConstraints

from portcullis.errors import Fault, InvalidError
from portcullis.identity import blocklist, breaches
from portcullis.identity.breaches import BreachedPasswordError
from portcullis.settings import setting

CODE_POINTS_MIN = 15
CODE_POINTS_MAX = 128
RAW_CODE_POINTS_MAX = 4 * CODE_POINTS_MAX
"""One code point of NFC is spelled by four at most."""
REMAINDER_CODE_POINTS_MIN = 8
CONTEXT_WORD_CODE_POINTS_MIN = 3
PRODUCT = "portcullis"

TOO_SHORT = "it has fewer than 15 characters"
TOO_LONG = "it has more than 128 characters"
NOT_CHARACTERS = "it contains code points that are no characters"
COMMON = "it is among those that are guessed first"
CONTEXT = "it consists of the login name or the name of this service"
BREACHED = "it is known from breaches of other services"

Typed = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
"""A password as it comes, before ``normal`` or ``accept`` judges it."""

_NO_CHARACTERS = {"Cn", "Cs"}
"""Unassigned code points, whose NFC may yet change, and surrogates, which have no UTF-8."""


class PasswordRefusedError(InvalidError):
    """The password cannot be one of ours; the fault says why."""

    code = "password-refused"
    title = "This password cannot be used. Choose another one."

    def __init__(self, reason: str) -> None:
        super().__init__(Fault("/password", reason))


def normal(text: str) -> str:
    """Return a password in the spelling that is hashed: NFC, and nothing else is changed.

    Raises:
        PasswordRefusedError: it is too long for one of ours, or has what is no character. The
            account is not asked about: this tells nothing of it.
    """
    if len(text) > RAW_CODE_POINTS_MAX:
        raise PasswordRefusedError(TOO_LONG)
    if any(unicodedata.category(each) in _NO_CHARACTERS for each in text):
        raise PasswordRefusedError(NOT_CHARACTERS)
    spelled = unicodedata.normalize("NFC", text)
    if len(spelled) > CODE_POINTS_MAX:
        raise PasswordRefusedError(TOO_LONG)
    return spelled


def accept(text: str, *, login: str) -> str:
    """Return a new password of the owner of *login* in the spelling that is hashed.

    Raises:
        PasswordRefusedError: it may not be set; the fault says why.
        WebError: breaches are to be looked up, the service did not answer, and that refuses.
    """
    password = normal(text)
    if len(password) < CODE_POINTS_MIN:
        raise PasswordRefusedError(TOO_SHORT)
    folded = password.casefold()
    if len(blocklist.remainder(folded)) < REMAINDER_CODE_POINTS_MIN:
        raise PasswordRefusedError(COMMON)
    if len(blocklist.remainder(folded, _context(login))) < REMAINDER_CODE_POINTS_MIN:
        raise PasswordRefusedError(CONTEXT)
    try:
        breaches.look_up(password)
    except BreachedPasswordError:
        raise PasswordRefusedError(BREACHED) from None
    return password


def _context(login: str) -> frozenset[str]:
    """Return what everybody can know: longer words, in lower case (OWASP ASVS 5.0, 6.1.2)."""
    folded = unicodedata.normalize("NFC", login).casefold()
    host = urlsplit(setting("PUBLIC_ORIGIN")).hostname or ""
    local, _, _ = folded.partition("@")
    parts = re.split(r"[\W_]+", f"{folded} {host}")
    words = {PRODUCT, folded, local, host, *parts}
    return frozenset(word for word in words if len(word) >= CONTEXT_WORD_CODE_POINTS_MIN)
