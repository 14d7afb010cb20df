"""A maker of authenticators: its root, and the certificate with which it vouches for a model.

Packed attestation (Web Authentication Level 3, section 8.2). Its arguments make it wrong.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.support.jws import new_key

ES256 = -7
MODEL = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
"""id-fido-gen-ce-aaguid."""
UNIT = "Authenticator Attestation"

_FROM, _UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


@dataclass
class Maker:
    """A maker that vouches by one certificate under one root.

    Attributes:
        name: Its own: two that are trusted together have two.
        model: The AAGUID in the certificate; `None`: it names none.
        unit: Its organizational unit, which section 8.2.1 sets.
        authority: Whether it is an authority's certificate; `None`: it does not say.
    """

    model: bytes | None
    unit: str = UNIT
    authority: bool | None = False
    name: str = "Maker"
    root_key: EllipticCurvePrivateKey = field(default_factory=new_key, repr=False)
    key: EllipticCurvePrivateKey = field(default_factory=new_key, repr=False)

    @property
    def root(self) -> x509.Certificate:
        """The root that its certificates lead to."""
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = self._builder("Root").public_key(self.root_key.public_key())
        builder = builder.add_extension(constraints, critical=True)
        return builder.sign(self.root_key, SHA256())

    @property
    def root_pem(self) -> str:
        """The root as a setting holds it."""
        return self.root.public_bytes(Encoding.PEM).decode()

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate that vouches."""
        builder = self._builder(self.unit).public_key(self.key.public_key())
        if self.authority is not None:
            constraints = x509.BasicConstraints(ca=self.authority, path_length=None)
            builder = builder.add_extension(constraints, critical=True)
        if self.model is not None:
            value = b"\x04" + len(self.model).to_bytes() + self.model
            builder = builder.add_extension(
                x509.UnrecognizedExtension(MODEL, value), critical=False
            )
        return builder.sign(self.root_key, SHA256())

    def statement(self, signed: bytes) -> dict[str, Any]:
        """Return the statement over authenticator data and the hash of the client data."""
        return {
            "alg": ES256,
            "sig": self.key.sign(signed, ECDSA(SHA256())),
            "x5c": [self.certificate.public_bytes(Encoding.DER)],
        }

    def _builder(self, unit: str) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(self._subject(unit))
            .issuer_name(self._subject("Root"))
            .serial_number(x509.random_serial_number())
            .not_valid_before(_FROM)
            .not_valid_after(_UNTIL)
        )

    def _subject(self, unit: str) -> x509.Name:
        told = {
            NameOID.COUNTRY_NAME: "AA",
            NameOID.ORGANIZATION_NAME: self.name,
            NameOID.ORGANIZATIONAL_UNIT_NAME: unit,
            NameOID.COMMON_NAME: self.name,
        }
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in told.items()])
