"""The sandbox partner: a key made on this machine, and its registration with the ledger."""

import base64
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.local.aws import client

PARTNER = "sandbox"
FLOOR = {"EUR": "1000000.00"}
"""How far the partner's own account may go below zero: what it can deposit in all."""
CURVE = ec.SECP256R1()
COORDINATE_BYTES = 32


class SandboxError(Exception):
    """The partner could not be registered; its text says what the function answered."""


def partner_key(home: Path) -> Path:
    """Return the partner's private key (P-256, PEM, readable by its owner only), made once."""
    path = home / "partner.pem"
    if not path.exists():
        pem = ec.generate_private_key(CURVE).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        # Never readable by others, not even for the moment before a change of mode.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    return path


def register_partner(*, name: str, endpoint: str, key: Path) -> None:
    """Register the partner's public key with the stack `name`; again is the same.

    Raises:
        SandboxError: the operations function is missing or refused.
    """
    lambda_ = client("lambda", endpoint=endpoint)
    try:
        answer = lambda_.invoke(
            FunctionName=f"{name}-operations-register-partner",
            Qualifier="live",
            Payload=json.dumps(
                {
                    "partner": PARTNER,
                    "role": f"{name}-partner-{PARTNER}",
                    "key": public_jwk(key),
                    "floor": FLOOR,
                }
            ),
        )
    except lambda_.exceptions.ClientError as error:
        raise SandboxError(f"The sandbox partner is not registered: {error}") from error
    payload = answer["Payload"].read().decode()
    if "FunctionError" in answer:
        raise SandboxError(f"The sandbox partner is not registered: {payload}")


def public_jwk(key: Path) -> dict[str, str]:
    """Return the public half of a PEM key as a JWK (RFC 7518 section 6.2.1).

    Raises:
        SandboxError: it is no P-256 key.
    """
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != CURVE.name:
        raise SandboxError(f"{key} holds no P-256 key: remove it")
    numbers = private.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": _base64url(numbers.x.to_bytes(COORDINATE_BYTES)),
        "y": _base64url(numbers.y.to_bytes(COORDINATE_BYTES)),
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
