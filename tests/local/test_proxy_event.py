"""What a function is told about the request that reached it."""

import json
from pathlib import Path
from typing import Any

from tests.local.emulators import Api, Emulator, HeaderLines, our_emulator

FORGED = [("X-Forwarded-For", "203.0.113.9")]


def told(api: Api, headers: HeaderLines) -> dict[str, Any]:
    """Return the event the echo function got."""
    event: dict[str, Any] = api.send("GET", "/echo", headers).json()["event"]
    return event


def test_source_is_the_peer(stock: Emulator, ours: Emulator) -> None:
    """The source address is the peer's, whatever X-Forwarded-For claims."""
    assert told(stock.public, FORGED)["requestContext"]["identity"]["sourceIp"] == "203.0.113.9"
    assert told(ours.public, FORGED)["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"


def test_forwarded_for_is_appended_to(stock: Emulator, ours: Emulator) -> None:
    """X-Forwarded-For ends with the peer's address."""
    assert told(stock.public, FORGED)["headers"]["x-forwarded-for"] == "203.0.113.9"
    assert told(ours.public, FORGED)["headers"]["X-Forwarded-For"] == "203.0.113.9, 127.0.0.1"


def test_source_header_is_not_trusted_by_default(ours: Emulator) -> None:
    """Nobody names the source address by a header, and the header goes no further."""
    event = told(ours.public, [("x-local-source-ip", "203.0.113.9")])
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert "x-local-source-ip" not in {name.lower() for name in event["headers"]}


def test_source_header_is_trusted_on_request(tmp_path: Path) -> None:
    """A launcher told to trust it takes the source address from the header, and drops it."""
    with our_emulator(tmp_path, "--trust-source-header") as trusting:
        event = told(trusting.public, [("X-Local-Source-Ip", "203.0.113.9")])
    assert event["requestContext"]["identity"]["sourceIp"] == "203.0.113.9"
    assert event["headers"]["X-Forwarded-For"] == "203.0.113.9"
    assert "x-local-source-ip" not in {name.lower() for name in event["headers"]}


def test_repeated_header_stays_repeated(stock: Emulator, ours: Emulator) -> None:
    """Each line of a repeated header is an entry of its own, and `headers` has the last."""
    twice = [("DPoP", "one"), ("dpop", "two")]
    assert told(stock.public, twice)["multiValueHeaders"]["dpop"] == ["one, two"]
    event = told(ours.public, twice)
    assert event["multiValueHeaders"]["DPoP"] == ["one", "two"]
    assert event["headers"]["DPoP"] == "two"


def test_authorizer_is_told_the_same(stock: Emulator, ours: Emulator) -> None:
    """The authorizer's event has the same source address and the same repeated headers."""
    lines = [("Verdict", "allow"), ("DPoP", "one"), ("DPoP", "two"), *FORGED]

    def authorizer_told(emulator: Emulator) -> Any:
        answer = emulator.public.send("GET", "/guarded/thing", lines).json()
        return json.loads(answer["event"]["requestContext"]["authorizer"]["event"])

    assert authorizer_told(stock)["requestContext"]["identity"]["sourceIp"] == "203.0.113.9"
    event = authorizer_told(ours)
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert event["multiValueHeaders"]["DPoP"] == ["one", "two"]
