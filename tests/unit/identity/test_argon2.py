"""Argon2id as published: the library call that password verifiers are made with."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from portcullis.identity.verifiers import ACCEPTED

RFC9106: dict[str, Any] = json.loads(Path("tests/vectors/rfc9106.json").read_text())

ITERATIONS_MIN = 3
MEMORY_KIB_MIN = 12_288
"""What OWASP ASVS 5.0 appendix C approves with three iterations or more."""


def _octets(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


@pytest.mark.parametrize("vector", RFC9106["vectors"], ids=lambda vector: str(vector["id"]))
def test_a_published_vector_is_reproduced(vector: dict[str, Any]) -> None:
    """RFC 9106 section 5.3 and the vectors beside it come out to the bit."""
    output = Argon2id(
        salt=bytes.fromhex(vector["salt"]),
        length=vector["length"],
        iterations=vector["iterations"],
        lanes=vector["lanes"],
        memory_cost=vector["memory_kib"],
        secret=_octets(vector["secret"]),
        ad=_octets(vector["ad"]),
    ).derive(bytes.fromhex(vector["password"]))
    assert output.hex() == vector["tag"]


def test_there_are_vectors() -> None:
    """The file holds what it says, the RFC's own among it."""
    ids = {vector["id"] for vector in RFC9106["vectors"]}
    assert len(ids) == RFC9106["count"]
    assert "RFC9106-5.3" in ids


@pytest.mark.parametrize("parameters", sorted(ACCEPTED, key=str), ids=str)
def test_every_accepted_cost_is_an_approved_one(parameters: Any) -> None:
    """No parameter set of ours is below what OWASP approves, nor beyond a function's memory."""
    assert parameters.iterations >= ITERATIONS_MIN
    assert MEMORY_KIB_MIN <= parameters.memory_kib <= 131_072
    assert 1 <= parameters.lanes <= 4
