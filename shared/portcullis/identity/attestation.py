"""Attestation: whether a passkey's maker must vouch for it, and which makers may.

By default nobody is asked. A list of models (AAGUIDs) asks for their makers' word, and then takes
no passkey without it: packed attestation alone, up to our own roots (docs/decisions/0014).
"""

from collections.abc import Sequence
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from portcullis.evidence.errors import EvidenceError
from portcullis.settings import MissingSettingError, setting, settings_list

ANY = "any"
NONE = "none"

_MODEL = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
"""id-fido-gen-ce-aaguid: the model that a certificate attests, an OCTET STRING of 16 bytes."""
_OCTETS_16 = b"\x04\x10"
_UNIT = "Authenticator Attestation"


def is_demanded() -> bool:
    """Return whether makers must vouch.

    Raises:
        MissingSettingError: nobody has decided.
    """
    return setting("PASSKEY_AAGUIDS") != ANY


def roots() -> list[bytes]:
    """Return the roots that makers' certificates must lead to, each as PEM.

    Raises:
        MissingSettingError: there are none: the library would take any chain then.
        ValueError: a root is not PEM.
    """
    text = setting("PASSKEY_ROOTS")
    if text == NONE:
        raise MissingSettingError("PASSKEY_ROOTS")
    certificates = x509.load_pem_x509_certificates(text.encode())
    return [certificate.public_bytes(Encoding.PEM) for certificate in certificates]


def check_maker(chain: Sequence[bytes], *, aaguid: str) -> Literal[True]:
    """Return True if a maker on the list vouches for a passkey of the model *aaguid*.

    What the library leaves out of section 8.2: that the signature and the chain are good is
    shown already. A certificate that names no model stands for any of its maker's.

    Args:
        chain: the certificates of the statement, each as DER, the maker's first.
        aaguid: the model that the authenticator says it is.

    Raises:
        EvidenceError: the model is not on the list, nobody but the passkey itself vouches, or
            the certificate is not for this (section 8.2.1).
        MissingSettingError: there is no list.
    """
    if aaguid not in {listed.lower() for listed in settings_list("PASSKEY_AAGUIDS")}:
        raise EvidenceError("model is not on the list")
    if not chain:
        raise EvidenceError("self attestation")
    certificate = x509.load_der_x509_certificate(chain[0])
    units = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    if [unit.value for unit in units] != [_UNIT]:
        raise EvidenceError("certificate is not for attestation")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        raise EvidenceError("certificate has no constraints") from None
    if constraints.value.ca:
        raise EvidenceError("certificate is an authority's")
    model = _OCTETS_16 + bytes.fromhex(aaguid.replace("-", ""))
    for extension in certificate.extensions:
        if extension.oid == _MODEL and extension.value.public_bytes() != model:
            raise EvidenceError("certificate is of another model")
    return True
