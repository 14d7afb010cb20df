"""Refresh families: tokens that tell a spent one from a forgery without any I/O.

``prt1.<handle>.<generation>.<secret>.<tag>``. The tag is an HMAC over all before it, so a bad tag
is refused statelessly; a good tag with an old generation *is* a spent token, however old. The
handle holds the account and 128 random bits from which the session's id is derived one way: who
knows the ``sid`` of an access token cannot name the family, and one batch read finds everything.
"""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portcullis import entropy
from portcullis.errors import InvalidError
from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError

PREFIX = "prt1"
CHARS_MAX = 256
HANDLE_BYTES = 2 * entropy.ID_BYTES
SECRET_BYTES = 32
TAG_BYTES = 16
NONCE_BYTES = 12
GENERATION_DIGITS_MAX = 9
PARTS = 4


class InvalidGrantError(InvalidError):
    """The refresh token is unknown, spent, expired, or not this client's: deliberately one text."""

    code = "invalid-grant"
    title = "The refresh token is not valid. Sign in again."


@dataclass(frozen=True, slots=True)
class Handle:
    """A family's handle: the account's raw id and 128 random bits."""

    raw: bytes

    @classmethod
    def new(cls, account_raw: bytes) -> "Handle":
        """Return a fresh handle for an account, given by the 16 bytes behind its id."""
        return cls(account_raw + entropy.random_bytes(entropy.ID_BYTES))

    @property
    def account(self) -> str:
        """The account's id."""
        return entropy.id_from_bytes(self.raw[: entropy.ID_BYTES])

    @property
    def sid(self) -> str:
        """The session's id, which does not lead back to the handle."""
        digest = hashlib.sha256(b"portcullis/sid/v1" + self.raw[entropy.ID_BYTES :]).digest()
        return entropy.id_from_bytes(digest[: entropy.ID_BYTES])


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One generation of a family."""

    handle: Handle
    generation: int
    secret: bytes

    @property
    def digest(self) -> bytes:
        """What is stored of it."""
        return hashlib.sha256(self.secret).digest()


class Keys:
    """The keys behind refresh tokens: what the present secret makes, older ones still open.

    Two keys are derived from each secret of the zone: one for tags, one for seals.
    """

    def __init__(self, secret: bytes, *older: bytes) -> None:
        self._peppers = (secret, *older)
        self._tag_keys = tuple(
            _derive(one, salt=b"", info=b"portcullis/refresh/tag/v1") for one in self._peppers
        )

    def mint(self, handle: Handle, generation: int) -> RefreshToken:
        """Return a token of *generation* with a fresh secret."""
        return RefreshToken(handle, generation, entropy.random_bytes(SECRET_BYTES))

    def text(self, token: RefreshToken) -> str:
        """Return a token as its client keeps it."""
        body = f"{PREFIX}.{b64url(token.handle.raw)}.{token.generation}.{b64url(token.secret)}"
        return f"{body}.{b64url(_tag(self._tag_keys[0], body))}"

    def parse(self, text: str) -> RefreshToken:
        """Return the token in *text*: it is one of ours, of whatever generation.

        Raises:
            InvalidGrantError: it is not one of ours.
        """
        token, body, tag = _parts(text)
        if not any(hmac.compare_digest(tag, _tag(key, body)) for key in self._tag_keys):
            raise InvalidGrantError
        return token

    def seal(self, successor: RefreshToken, *, spent: RefreshToken, context: bytes) -> bytes:
        """Return *successor* sealed to whoever presents *spent*.

        The key needs the presented secret and the pepper: the table and all its backups open
        nothing, and an old token opens nothing without the pepper.
        """
        nonce = entropy.random_bytes(NONCE_BYTES)
        return nonce + _seal(spent, self._peppers[0]).encrypt(nonce, successor.secret, context)

    def unseal(self, sealed: bytes, *, spent: RefreshToken, context: bytes) -> RefreshToken:
        """Return the successor sealed to *spent*.

        Raises:
            InvalidGrantError: it was not sealed to this token in this context.
        """
        nonce, box = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for pepper in self._peppers:
            try:
                secret = _seal(spent, pepper).decrypt(nonce, box, context)
            except InvalidTag:
                continue
            return RefreshToken(spent.handle, spent.generation + 1, secret)
        raise InvalidGrantError


def _tag(key: bytes, body: str) -> bytes:
    return hmac.digest(key, body.encode("ascii"), "sha256")[:TAG_BYTES]


def _seal(spent: RefreshToken, pepper: bytes) -> AESGCM:
    return AESGCM(_derive(spent.secret, salt=pepper, info=b"portcullis/refresh/seal/v1"))


def handle_in(text: str) -> Handle:
    """Return the handle in a refresh token, its tag *not* checked.

    Raises:
        InvalidGrantError: the text has not the shape of a refresh token.
    """
    return _parts(text)[0].handle


def _parts(text: str) -> tuple[RefreshToken, str, bytes]:
    body, _, tag = text.rpartition(".")
    parts = body.split(".")
    if len(text) > CHARS_MAX or not text.isascii():
        raise InvalidGrantError
    if len(parts) != PARTS or parts[0] != PREFIX:
        raise InvalidGrantError
    generation = parts[2]
    if not generation.isdecimal() or len(generation) > GENERATION_DIGITS_MAX:
        raise InvalidGrantError
    try:
        handle, secret, tag_bytes = unb64url(parts[1]), unb64url(parts[3]), unb64url(tag)
    except EvidenceError:
        raise InvalidGrantError from None
    if len(handle) != HANDLE_BYTES or len(secret) != SECRET_BYTES:
        raise InvalidGrantError
    return RefreshToken(Handle(handle), int(generation), secret), body, tag_bytes


def _derive(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(secret)
