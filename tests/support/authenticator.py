"""A software passkey authenticator, with the browser that would stand in front of it.

Its responses are genuine: real keys, real CBOR, real signatures over real client data (Web
Authentication Level 3). `Misbehaviour` makes each of them wrong in one chosen way.
"""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.jws import COORDINATE_BYTES, b64url, b64url_decode, new_key
from tests.support.maker import Maker

ES256, EDDSA, RS256 = -7, -8, -257
"""COSE algorithm identifiers (RFC 9053 sections 2.1 and 2.2, RFC 8812 section 2)."""

RSA_BITS, RSA_EXPONENT = 2048, 65_537

CREDENTIAL_ID_BYTES = 32
AAGUID = bytes.fromhex("70cc1111a7e04b5c9d0e706f7274636c")
"""This authenticator's model: an arbitrary AAGUID that no vendor has registered."""

# Web Authentication section 6.1: the bits of the flags byte.
UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40

type PasskeyKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey


class CeremonyRefusedError(Exception):
    """The browser or the authenticator would refuse this ceremony: nothing reaches the server."""


@dataclass(frozen=True, kw_only=True)
class Misbehaviour:
    """What is wrong with a response. `None` and the defaults mean: nothing.

    Attributes:
        origin: Another origin in the client data, as a phishing page would leave there.
        cross_origin: Whether the client data says it came from a cross-origin frame.
        challenge: Another challenge than the server's.
        ceremony: Another `type` in the client data.
        rp_id: Another relying party in the authenticator data.
        user_present: Whether the UP flag is set.
        user_verified: Whether the UV flag is set.
        backup_eligible: Another BE flag than the authenticator's.
        backed_up: Another BS flag than the authenticator's.
        sign_count: Another counter than the next one, as a cloned authenticator would report.
        user_handle: Another account's handle (of an authentication response).
        signed_by: Another key than the credential's (of an authentication response).
    """

    origin: str | None = None
    cross_origin: bool = False
    challenge: bytes | None = None
    ceremony: str | None = None
    rp_id: str | None = None
    user_present: bool = True
    user_verified: bool = True
    backup_eligible: bool | None = None
    backed_up: bool | None = None
    sign_count: int | None = None
    user_handle: bytes | None = None
    signed_by: PasskeyKey | None = None


HONEST = Misbehaviour()


@dataclass
class Credential[Key: PasskeyKey = EllipticCurvePrivateKey]:
    """One discoverable credential: it knows its account, so the user types nothing."""

    rp_id: str
    user_handle: bytes
    private: Key = field(default_factory=new_key, repr=False)  # type: ignore[assignment]
    id: bytes = field(default_factory=lambda: os.urandom(CREDENTIAL_ID_BYTES))
    sign_count: int = 0

    @property
    def cose_key(self) -> bytes:
        """The public key as CTAP2-canonical COSE (RFC 9053 section 7, RFC 8230 section 4)."""
        return cose_key(self.private)


@dataclass
class Authenticator:
    """A passkey authenticator that verifies its user, and the browser before it.

    Attributes:
        aaguid: The model that it says it is.
        backup_eligible: Whether its passkeys may be synced (BE).
        backed_up: Whether they are (BS).
        counts: Whether it counts signatures; a synced passkey always reports zero.
        algorithm: What its passkeys sign with, if the server takes it.
        maker: Who vouches for its passkeys, where the server asks for that.
        credentials: What it holds, oldest first.
    """

    aaguid: bytes = AAGUID
    backup_eligible: bool = False
    backed_up: bool = False
    counts: bool = True
    algorithm: int = ES256
    maker: Maker | None = None
    credentials: list[Credential[Any]] = field(default_factory=list)

    def create(
        self, options: Mapping[str, Any], origin: str, *, misbehaviour: Misbehaviour = HONEST
    ) -> dict[str, Any]:
        """Make a passkey, as `navigator.credentials.create` would, and return its `toJSON()`.

        Args:
            options: PublicKeyCredentialCreationOptionsJSON.
            origin: The origin of the page that asks.
            misbehaviour: What is wrong with the response.

        Returns:
            RegistrationResponseJSON, with attestation `packed` if the server asks for it and
            there is a maker, and `none` otherwise.

        Raises:
            CeremonyRefusedError: No browser or authenticator would go on with these options.
        """
        rp_id = options["rp"].get("id") or _host(origin)
        _check_scope(rp_id, origin)
        if not any(param["alg"] == self.algorithm for param in options["pubKeyCredParams"]):
            raise CeremonyRefusedError("the server does not take this algorithm")
        excluded = {described["id"] for described in options.get("excludeCredentials", [])}
        if any(b64url(held.id) in excluded for held in self.credentials):
            raise CeremonyRefusedError("this authenticator already holds a passkey of the account")

        credential: Credential[Any] = Credential(
            rp_id=rp_id,
            user_handle=b64url_decode(options["user"]["id"]),
            private=_new_key(self.algorithm),
        )
        self.credentials.append(credential)
        client_data = _client_data("webauthn.create", options["challenge"], origin, misbehaviour)
        authenticator_data = self.authenticator_data(credential, misbehaviour, attested=True)
        public_key = credential.private.public_key()
        attested = attestation_object(authenticator_data)
        if self.maker is not None and options.get("attestation") == "direct":
            signed = authenticator_data + sha256(client_data).digest()
            attested = attestation_object(
                authenticator_data, fmt="packed", statement=self.maker.statement(signed)
            )
        response = {
            "clientDataJSON": b64url(client_data),
            "attestationObject": b64url(attested),
            "authenticatorData": b64url(authenticator_data),
            "transports": ["internal"],
            "publicKeyAlgorithm": self.algorithm,
            "publicKey": b64url(
                public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ),
        }
        extensions = options.get("extensions", {})
        results = {"credProps": {"rk": True}} if extensions.get("credProps") else {}
        return _credential_json(credential, response, results)

    def get(
        self, options: Mapping[str, Any], origin: str, *, misbehaviour: Misbehaviour = HONEST
    ) -> dict[str, Any]:
        """Use a passkey, as `navigator.credentials.get` would, and return its `toJSON()`.

        Args:
            options: PublicKeyCredentialRequestOptionsJSON.
            origin: The origin of the page that asks.
            misbehaviour: What is wrong with the response.

        Returns:
            AuthenticationResponseJSON, with the user handle.

        Raises:
            CeremonyRefusedError: There is no passkey here for this relying party.
        """
        rp_id = options.get("rpId") or _host(origin)
        _check_scope(rp_id, origin)
        credential = self._credential_for(rp_id, options)
        if self.counts:
            credential.sign_count += 1
        client_data = _client_data("webauthn.get", options["challenge"], origin, misbehaviour)
        authenticator_data = self.authenticator_data(credential, misbehaviour, attested=False)
        signed = authenticator_data + sha256(client_data).digest()
        signer = misbehaviour.signed_by or credential.private
        response = {
            "clientDataJSON": b64url(client_data),
            "authenticatorData": b64url(authenticator_data),
            "signature": b64url(sign(signed, signer)),
            "userHandle": b64url(misbehaviour.user_handle or credential.user_handle),
        }
        return _credential_json(credential, response, {})

    def authenticator_data(
        self, credential: Credential[Any], misbehaviour: Misbehaviour, *, attested: bool
    ) -> bytes:
        """Return the bytes of Web Authentication section 6.1; `attested` adds the new key."""
        eligible, backed_up = misbehaviour.backup_eligible, misbehaviour.backed_up
        eligible = self.backup_eligible if eligible is None else eligible
        backed_up = self.backed_up if backed_up is None else backed_up
        flags = (
            UP * misbehaviour.user_present
            | UV * misbehaviour.user_verified
            | BE * eligible
            | BS * backed_up
            | AT * attested
        )
        count = misbehaviour.sign_count
        count = credential.sign_count if count is None else count
        rp_id_hash = sha256((misbehaviour.rp_id or credential.rp_id).encode()).digest()
        data = rp_id_hash + struct.pack(">BI", flags, count)
        if attested:
            # Section 6.5.1: attested credential data.
            length = struct.pack(">H", len(credential.id))
            data += self.aaguid + length + credential.id + credential.cose_key
        return data

    def _credential_for(self, rp_id: str, options: Mapping[str, Any]) -> Credential[Any]:
        allowed = {described["id"] for described in options.get("allowCredentials", [])}
        held = [each for each in self.credentials if each.rp_id == rp_id]
        usable = [each for each in held if not allowed or b64url(each.id) in allowed]
        if not usable:
            raise CeremonyRefusedError("no passkey for this relying party")
        return usable[-1]


def attestation_object(
    authenticator_data: bytes, *, fmt: str = "none", statement: Mapping[str, Any] | None = None
) -> bytes:
    """Return an attestation object (section 6.5.4), of format `none` (8.7) unless told."""
    statement = dict(statement or {})
    return cbor2.dumps({"fmt": fmt, "attStmt": statement, "authData": authenticator_data})


def cose_key(private: PasskeyKey) -> bytes:
    """Return the public key as COSE: its type, its algorithm, its parameters."""
    match private:
        case EllipticCurvePrivateKey():
            point = private.public_key().public_numbers()
            x, y = point.x.to_bytes(COORDINATE_BYTES), point.y.to_bytes(COORDINATE_BYTES)
            return cbor2.dumps({1: 2, 3: ES256, -1: 1, -2: x, -3: y})
        case Ed25519PrivateKey():
            x = private.public_key().public_bytes_raw()
            return cbor2.dumps({1: 1, 3: EDDSA, -1: 6, -2: x})
        case RSAPrivateKey():
            numbers = private.public_key().public_numbers()
            n, e = numbers.n.to_bytes(private.key_size // 8), numbers.e.to_bytes(3)
            return cbor2.dumps({1: 3, 3: RS256, -1: n, -2: e})


def sign(signed: bytes, private: PasskeyKey) -> bytes:
    """Return a passkey's signature (section 6.5.5): ECDSA in DER, the others as they are."""
    match private:
        case EllipticCurvePrivateKey():
            return private.sign(signed, ECDSA(SHA256()))
        case Ed25519PrivateKey():
            return private.sign(signed)
        case RSAPrivateKey():
            return private.sign(signed, PKCS1v15(), SHA256())


def _new_key(algorithm: int) -> PasskeyKey:
    if algorithm == EDDSA:
        return Ed25519PrivateKey.generate()
    if algorithm == RS256:
        return generate_private_key(RSA_EXPONENT, RSA_BITS)
    return new_key()


def _client_data(ceremony: str, challenge: str, origin: str, misbehaviour: Misbehaviour) -> bytes:
    # Section 5.8.1.1: the members' order and the absence of spaces are part of the format.
    wrong = misbehaviour.challenge
    members = {
        "type": misbehaviour.ceremony or ceremony,
        "challenge": challenge if wrong is None else b64url(wrong),
        "origin": misbehaviour.origin or origin,
        "crossOrigin": misbehaviour.cross_origin,
    }
    return json.dumps(members, separators=(",", ":")).encode()


def _credential_json(
    credential: Credential[Any], response: Mapping[str, object], extensions: Mapping[str, object]
) -> dict[str, Any]:
    return {
        "id": b64url(credential.id),
        "rawId": b64url(credential.id),
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": dict(extensions),
        "response": dict(response),
    }


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def _check_scope(rp_id: str, origin: str) -> None:
    # Section 5.1.3 step 8: a page may only ask for its own domain or one above it.
    host = _host(origin)
    if host != rp_id and not host.endswith(f".{rp_id}"):
        raise CeremonyRefusedError("the page may not speak for this relying party")
