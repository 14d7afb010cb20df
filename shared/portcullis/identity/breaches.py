"""Breached passwords: an optional look into a public corpus that learns 20 bits of a digest.

The range API of Have I Been Pwned, or any service that speaks it: it is asked for the first five
hexadecimal digits of a SHA-1, and answers with every known digest that begins with them, padded so
that not even the size of the answer tells the range.
"""

import hashlib
import re

from portcullis import log, web
from portcullis.settings import setting
from portcullis.web import WebError

OFF = "off"
ACCEPT = "accept"
PREFIX_CHARS = 5
_LINE = re.compile(r"([0-9A-F]{35}):([0-9]{1,12})")
_PADDING = 0
"""The count of digests that the service made up to pad its answer."""


class BreachedPasswordError(Exception):
    """The password stands in a public corpus of breached ones."""


def look_up(password: str) -> None:
    """Return if the password is in no known breach, or if looking is switched off.

    A service that does not answer properly is counted. What then happens is the setting
    ``BREACH_LOOKUP_FAILURE``: ``accept`` returns, anything else refuses.

    Raises:
        BreachedPasswordError: it is.
        WebError: the service did not answer, and that refuses.
    """
    url = setting("BREACH_LOOKUP_URL")
    if url == OFF:
        return
    # SHA-1 is the corpus's key, not a protection: the digest's remainder never leaves.
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    try:
        known = _range(url, digest[:PREFIX_CHARS])
    except WebError:
        log.alarm("breach-lookup-failed", {})
        if setting("BREACH_LOOKUP_FAILURE") == ACCEPT:
            return
        raise
    if digest[PREFIX_CHARS:] in known:
        raise BreachedPasswordError


def _range(url: str, prefix: str) -> set[str]:
    answer = web.get(f"{url.rstrip('/')}/{prefix}", headers={"Add-Padding": "true"})
    lines = [_LINE.fullmatch(line) for line in answer.decode("ascii", "replace").splitlines()]
    if not lines or None in lines:
        raise WebError("not a range")
    return {found[1] for found in lines if found and int(found[2]) != _PADDING}
