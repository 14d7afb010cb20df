"""The sandbox partner's key."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from infra.local import sandbox
from infra.local.sandbox import SandboxError


def test_the_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """Nobody else on this machine can act as the partner."""
    assert stat.S_IMODE(sandbox.partner_key(tmp_path).stat().st_mode) == 0o600


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """A stack that starts again keeps the partner it registered."""
    made = sandbox.partner_key(tmp_path).read_bytes()
    assert sandbox.partner_key(tmp_path).read_bytes() == made


def test_two_stacks_have_two_keys(tmp_path: Path) -> None:
    """One sandbox's partner is nobody in another."""
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
    one, two = (sandbox.public_jwk(sandbox.partner_key(home)) for home in homes)
    assert one != two


def test_only_the_public_half_is_registered(tmp_path: Path) -> None:
    """What is sent to the ledger has no private member, and is the key's own public half."""
    path = sandbox.partner_key(tmp_path)
    jwk = sandbox.public_jwk(path)
    assert set(jwk) == {"kty", "crv", "x", "y"}
    private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    point = private.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    assert jwk["x"] == sandbox._base64url(point[1:33])
    assert jwk["y"] == sandbox._base64url(point[33:])


@pytest.mark.parametrize(
    "private",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ec.generate_private_key(ec.SECP384R1()),
    ],
)
def test_another_kind_of_key_is_refused(
    tmp_path: Path, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    """A file that holds anything but a P-256 key is not registered as one."""
    path = tmp_path / "partner.pem"
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(SandboxError, match="P-256"):
        sandbox.public_jwk(path)
