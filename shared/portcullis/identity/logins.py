"""Login names: found by a blind index, stored sealed, and never given to a second account.

The index is a MAC under a key of KMS that is for nothing else: the table alone tells neither a
name nor whether a guessed one is in it.
"""

import unicodedata
from typing import Annotated, Any

from pydantic import StringConstraints

from portcullis.aws import dynamodb, kms
from portcullis.aws.dynamodb import Item, Statement
from portcullis.errors import ConflictError, Fault, InvalidError
from portcullis.evidence.encoding import layout
from portcullis.identity import tables
from portcullis.settings import settings_list

CHARS_MIN = 3
CHARS_MAX = 254
"""RFC 5321 section 4.5.3.1.3: no mailbox is longer, and many names are mailboxes."""
FIELD = "login"

Typed = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A login name as it comes, before ``normal`` judges it."""
_LAYOUT = "portcullis/login/v1"


class LoginRefusedError(InvalidError):
    """The login name is not one that can be taken."""

    code = "login-refused"
    title = "The login name must have 3 to 254 characters, and no space or control among them."


class LoginTakenError(ConflictError):
    """Another account has the login name."""

    code = "login-taken"
    title = "This login name is taken."


def normal(text: str) -> str:
    """Return a login name in its one spelling: NFKC, case folded.

    Raises:
        LoginRefusedError: it cannot be a login name.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if not CHARS_MIN <= len(folded) <= CHARS_MAX:
        raise LoginRefusedError(Fault("/login", "length"))
    if any(unicodedata.category(char)[0] in "CZ" for char in folded):
        raise LoginRefusedError(Fault("/login", "space or control character"))
    return folded


def indexes(login: str) -> list[str]:
    """Return the blind indexes of a normal login name, by the current key first.

    Raises:
        KeyServiceError: KMS did not make one.
    """
    message = layout(_LAYOUT, login)
    return [kms.generate_mac(arn, message).hex() for arn in settings_list("INDEX_KEYS")]


def taken(
    index: str, found: Item | None, *, account: str, verifier: str, sealed: bytes
) -> Statement:
    """Return the write that gives a name to an account: a free one, or its own again.

    Args:
        index: the name's blind index.
        found: what is stored under it.
        account: who takes it.
        verifier: the password verifier that goes with it.
        sealed: the name, sealed under the person's key.

    Raises:
        LoginTakenError: another account has it.
    """
    members: dict[str, Any] = {"verifier": verifier, "login": sealed}
    if found is None:
        item = {**tables.login_key(index), "account": account, **members}
        return dynamodb.insert(tables.identity(), item)
    if found["account"] != account:
        raise LoginTakenError
    return dynamodb.change(
        tables.identity(),
        tables.login_key(index),
        members,
        where='"account" = ?',
        given=(account,),
    )
