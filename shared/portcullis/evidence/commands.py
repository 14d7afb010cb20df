"""Commands: what one zone, a partner or an operator signs and another obeys.

A command names its receiver and its route, lives 30 seconds, and carries the raw order and the
user's own evidence, so that its receiver need not believe its sender.
"""

from typing import Annotated

from pydantic import Field

from portcullis.evidence import claims, jws
from portcullis.evidence.encoding import unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.orders import OrderKind
from portcullis.schema import Strict

TYP = "portcullis-command+jwt"
CHARS_MAX = 28_672
"""Room for the longest order, token, proof and approval."""
ENVELOPE_BYTES_MAX = CHARS_MAX + 64
"""How long a body may be on a route that takes the money zone's commands."""
LIFETIME_S = 30
ISSUED_AHEAD_S_MAX = 5


class Envelope(Strict):
    """How a command travels: alone in a JSON object."""

    command: str = Field(max_length=CHARS_MAX)


class Pair(Strict):
    """How the two commands of a two-person act travel."""

    commands: list[Annotated[str, Field(max_length=CHARS_MAX)]] = Field(min_length=2, max_length=2)


class Command(Strict):
    """The claims of a command.

    ``proof`` and ``token`` are the user's, where there is a user, and so is ``approval``, where the
    user shows one.
    """

    iss: str = Field(max_length=64)
    aud: str
    htm: str
    htu: str
    iat: int
    exp: int
    jti: str = Field(min_length=16, max_length=64)
    kind: OrderKind
    body: str
    proof: str | None = None
    token: str | None = None
    approval: str | None = None

    @property
    def order(self) -> bytes:
        """The raw order, as its giver signed it.

        Raises:
            EvidenceError: it is not canonical base64url.
        """
        return unb64url(self.body)


def parse(compact: str) -> jws.Jws:
    """Return the parts of a command, not yet verified.

    Raises:
        EvidenceError: it is not a command.
    """
    return jws.parse(compact, expected_typ=TYP, chars_max=CHARS_MAX)


def issuer(parsed: jws.Jws) -> str:
    """Return who a command *claims* to come from: good for choosing a key, for nothing else.

    Raises:
        EvidenceError: its claims are not a command's.
    """
    return claims.read(parsed.payload, Command).iss


def verify(
    parsed: jws.Jws,
    *,
    key: PublicKey,
    expected_issuer: str,
    expected_audience: str,
    expected_path: str,
    now_s: int,
) -> Command:
    """Return the command if *key* signed it for this receiver, this route and this moment.

    Raises:
        EvidenceError: a check fails.
    """
    if parsed.header.get("kid") != key.thumbprint:
        raise EvidenceError("command is signed by another key")
    jws.verify(parsed, key=key.key)
    command = claims.read(parsed.payload, Command)
    if command.iss != expected_issuer or command.aud != expected_audience:
        raise EvidenceError("command issuer or audience")
    if command.htm != "POST" or command.htu != expected_audience + expected_path:
        raise EvidenceError("command is for another route")
    if not command.iat < command.exp <= command.iat + LIFETIME_S:
        raise EvidenceError("command lifetime")
    if not command.iat - ISSUED_AHEAD_S_MAX <= now_s < command.exp:
        raise EvidenceError("command time")
    return command
