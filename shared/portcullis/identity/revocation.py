"""Revocation of a refresh token (RFC 7009): its session ends, whatever its generation.

The tag is not checked: who knows a family's handle has held a token of it, and may end it. So the
role that revokes needs no secret, and a thief of it cannot make a token.
"""

from portcullis.errors import InvalidError
from portcullis.identity import ending, families
from portcullis.identity.families import InvalidGrantError


class UnsupportedTokenTypeError(InvalidError):
    """Only refresh tokens are revoked; the access tokens of the session die with it."""

    code = "unsupported-token-type"
    title = "Present the refresh token: the session's access tokens end with it."


def revoke(text: str, *, now_s: int) -> None:
    """End the session of a refresh token. An unknown token is no error (RFC 7009 section 2.2).

    A spent one ends its session as well, without alarm: its holder wants it dead.

    Raises:
        UnsupportedTokenTypeError: it is an access token.
        InfrastructureError: it is not known whether the session ended.
    """
    if text.startswith("eyJ"):
        raise UnsupportedTokenTypeError
    try:
        handle = families.handle_in(text)
    except InvalidGrantError:
        return
    ending.end(handle.sid, handle.account, reason="revoked", now_s=now_s)
