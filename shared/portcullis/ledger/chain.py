"""The chain of one wallet: each entry's hash covers the one before it.

An explicit, versioned, length-prefixed layout: never hash what a serialiser happened to write.
"""

import hashlib
from dataclasses import dataclass

_VERSION = b"portcullis/entry/v1"
GENESIS = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of one wallet. ``number`` counts from 1; amounts are minor units."""

    owner: str
    currency: str
    number: int
    posting: str
    minor: int
    balance: int
    previous: bytes

    @property
    def hash(self) -> bytes:
        """SHA-256 over the entry and, through ``previous``, everything before it."""
        fields = (
            _VERSION,
            self.owner.encode(),
            self.currency.encode(),
            str(self.number).encode(),
            self.posting.encode(),
            str(self.minor).encode(),
            str(self.balance).encode(),
            self.previous,
        )
        layout = b"".join(len(field).to_bytes(4) + field for field in fields)
        return hashlib.sha256(layout).digest()
