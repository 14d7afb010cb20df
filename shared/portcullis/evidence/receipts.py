"""Receipts: the ledger's signed word that it posted one order (valid if included)."""

import hashlib

from portcullis.evidence import claims, jws
from portcullis.evidence.encoding import b64url
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import TrustedKeys
from portcullis.evidence.orders import PostingKind
from portcullis.schema import Strict

TYP = "portcullis-receipt+jwt"
CHARS_MAX = 4096
ISSUER = "ledger"


class Leg(Strict):
    """One signed movement of a posting: minor units, negative for a debit."""

    account: str
    currency: str
    minor: int


class Receipt(Strict):
    """What was posted. ``cmd`` binds the command, ``meaning`` the order behind it."""

    iss: str
    iat: int
    posting: str
    kind: PostingKind
    legs: list[Leg]
    cmd: str
    meaning: str


def digest(compact: str) -> str:
    """Return base64url(SHA-256(*compact*)): how a receipt names the command that it answers."""
    return b64url(hashlib.sha256(compact.encode()).digest())


def verify(compact: str, *, keys: TrustedKeys, expected_meaning: str) -> Receipt:
    """Return the receipt if the ledger signed it for this order.

    Raises:
        EvidenceError: it is forged, or about another order.
    """
    parsed = jws.parse(compact, expected_typ=TYP, chars_max=CHARS_MAX)
    jws.verify(parsed, key=keys.named(parsed.header.get("kid")).key)
    receipt = claims.read(parsed.payload, Receipt)
    if receipt.iss != ISSUER or receipt.meaning != expected_meaning:
        raise EvidenceError("receipt is about another order")
    return receipt
