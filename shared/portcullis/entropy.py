"""Randomness and ids: the only place that draws them.

Everything comes from ``os.urandom``: an environment restored from a snapshot must not repeat
what its twin drew.
"""

import base64
import os
import random
import re
from collections.abc import Iterable

ID_BYTES = 16
_ID = re.compile(r"[a-z2-7]{26}")


def random_bytes(count: int) -> bytes:
    """Return *count* bytes from the operating system's generator."""
    return os.urandom(count)


def new_id() -> str:
    """Return a new random id: 128 bits as 26 lower-case base32 characters."""
    return id_from_bytes(random_bytes(ID_BYTES))


def id_from_bytes(raw: bytes) -> str:
    """Return the id that names these 16 bytes."""
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def is_id(text: str) -> bool:
    """Return whether *text* has the shape of an id."""
    return _ID.fullmatch(text) is not None


def bytes_of_id(id_: str) -> bytes:
    """Return the 16 bytes behind an id.

    Raises:
        ValueError: it is not an id.
    """
    raw = base64.b32decode(id_.upper() + "======")
    if len(raw) != ID_BYTES or id_from_bytes(raw) != id_:
        raise ValueError("not an id")
    return raw


def jitter_s(ceiling_s: float) -> float:
    """Return a delay between nothing and *ceiling_s* seconds (full jitter)."""
    return random.SystemRandom().uniform(0.0, ceiling_s)


def shuffled[One](found: Iterable[One]) -> list[One]:
    """Return all of them, in an order of which nobody knows anything."""
    mixed = list(found)
    random.SystemRandom().shuffle(mixed)
    return mixed
