"""Secrets that crossed the wire, and a search for them in whatever was kept.

A canary is found in clear, in base64 and base64url wherever it lies in what was encoded, and in
hexadecimal. What is encrypted is not found, and need not be.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from tests.support import jws
from tests.support.dpop import ProofKey
from tests.system.life import Exchange

SECRET_MEMBERS = frozenset(
    {
        "access_token",
        "approval",
        "code",
        "codes",
        "label",
        "login",
        "password",
        "refresh_token",
        "secret",
        "ticket",
        "token",
        "uri",
    }
)
"""Members of requests and answers, whatever the route, whose values nobody may keep in clear."""

SECRET_HEADERS = {
    "authorization": "access token",
    "dpop": "proof",
    "portcullis-approval": "approval",
}
NAMES = {"token": "refresh token", "access_token": "access token", "refresh_token": "refresh token"}
"""What a member or header is called in a finding, where its own name does not say it."""

RAW_BYTES_MIN = 16
"""Shorter parts of a token, such as a generation, are no secret and would be found everywhere."""


@dataclass(frozen=True)
class Canary:
    """One secret: what it is called in a finding, and its bytes."""

    name: str
    value: bytes


@dataclass(frozen=True)
class Kept:
    """Something that was kept, and where."""

    place: str
    data: bytes


@dataclass(frozen=True)
class Finding:
    """A secret that lies where it should not, by the secret's name: a finding tells no secret."""

    name: str
    place: str


def of_exchanges(exchanges: Iterable[Exchange]) -> set[Canary]:
    """Return every secret in what was sent and heard."""
    found = set()
    for one in exchanges:
        for name, value in one.headers:
            if name.lower() in SECRET_HEADERS:
                called = SECRET_HEADERS[name.lower()]
                found |= {Canary(called, value.removeprefix("DPoP ").encode())}
        for body in (one.body, one.reply.body):
            found |= set(_of_members(_parsed(body or b"")))
    return found | {raw for canary in found for raw in _raw(canary)}


def of_keys(keys: Iterable[ProofKey]) -> set[Canary]:
    """Return the private halves of proof keys, raw and as a JWK has them."""
    private = [jws.private_jwk(key.private)["d"] for key in keys]
    return {Canary("proof key", jws.b64url_decode(one)) for one in private}


def find(canaries: Iterable[Canary], kept: Iterable[Kept]) -> set[Finding]:
    """Return which canaries lie where."""
    places: dict[str, list[bytes]] = {}
    for one in kept:
        places.setdefault(one.place, []).append(one.data)
    whole = {place: b"\n".join(pieces) for place, pieces in places.items()}
    return {
        Finding(canary.name, place)
        for canary in canaries
        for place, data in whole.items()
        if _is_in(canary.value, data)
    }


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return dict(parse_qsl(body.decode()))


def _of_members(value: Any, name: str | None = None) -> Iterator[Canary]:
    match value:
        case dict():
            for member, inner in value.items():
                yield from _of_members(inner, member if member in SECRET_MEMBERS else None)
        case list():
            for inner in value:
                yield from _of_members(inner, name)
        case str() if name is not None:
            yield Canary(NAMES.get(name, name), value.encode())


def _raw(canary: Canary) -> Iterator[Canary]:
    """Yield what a secret's text stands for: a tool could keep that instead."""
    text = canary.value.decode()
    match canary.name:
        case "secret":
            yield Canary("secret", base64.b32decode(text))
        case "codes":
            plain = text.replace("-", "")
            yield Canary("codes", plain.encode())
            yield Canary("codes", base64.b32decode(plain + "=" * (-len(plain) % 8)))
        case "refresh token" | "ticket":
            for part in text.split(".")[1:]:
                raw = jws.b64url_decode(part) if len(part) > 3 else b""
                if len(raw) >= RAW_BYTES_MIN:
                    yield Canary(canary.name, raw)


def _is_in(value: bytes, data: bytes) -> bool:
    if any(spelled in data for spelled in _encoded(value)):
        return True
    if value.isdigit():
        # Six digits lie inside many longer numbers.
        return re.search(rb"(?<![\w.,:+-])" + value + rb"(?!\w)", data) is not None
    return value in data


@cache
def _encoded(value: bytes) -> frozenset[bytes]:
    encoded = (value.hex(), value.hex().upper(), *_base64(value))
    return frozenset(one.encode() for one in encoded)


def _base64(value: bytes) -> Iterator[str]:
    """Yield what is constant of a value's base64 and base64url, at each of three alignments."""
    for offset in range(3):
        padded = base64.b64encode(b"\0" * offset + value).decode().rstrip("=")
        # The first characters hold bits of what stands before, the last one of what follows.
        start, end = (0, 2, 3)[offset], len(padded) if (len(value) + offset) % 3 == 0 else -1
        for text in (padded, padded.translate(str.maketrans("+/", "-_"))):
            yield text[start:end]


def of_item(table: str, item: Mapping[str, Any]) -> Iterator[Kept]:
    """Yield what a stored item holds, attribute by attribute, by table and type of item."""
    kind = str(item["pk"]["S"]).partition("#")[0] if table != "Standing" else "STANDING"
    for name, value in item.items():
        yield Kept(f"{table} {kind} {name}", b"\n".join(_bytes(value)))


def _bytes(value: Mapping[str, Any]) -> Iterator[bytes]:
    ((kind, held),) = value.items()
    match kind:
        case "M":
            for name, inner in held.items():
                yield name.encode()
                yield from _bytes(inner)
        case "L":
            for inner in held:
                yield from _bytes(inner)
        case "B":
            yield held
        case "SS" | "NS" | "BS":
            for inner in held:
                yield inner if kind == "BS" else inner.encode()
        case _:
            yield str(held).encode()
