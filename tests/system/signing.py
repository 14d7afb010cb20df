"""Signing as one role of the stack may: through its own right at KMS."""

from collections.abc import Mapping
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.support import jws
from tests.support.iam import Role


def sign(act: Role, key: str, *, typ: str, claims: Mapping[str, object]) -> str:
    """Return the compact JWS of *claims* under a key of KMS.

    Raises:
        botocore.exceptions.ClientError: The role may not sign with it.
    """
    der = act.aws("kms", "get_public_key", KeyId=key)["PublicKey"]
    public = load_der_public_key(der)
    assert isinstance(public, EllipticCurvePublicKey)
    header = {"typ": typ, "alg": "ES256", "kid": jws.thumbprint(jws.public_jwk(public))}
    signed = ".".join(jws.b64url(jws.compact_json(part)) for part in (header, claims))
    signature = act.aws(
        "kms",
        "sign",
        KeyId=key,
        Message=sha256(signed.encode()).digest(),
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
    )["Signature"]
    r, s = decode_dss_signature(signature)
    return f"{signed}.{jws.b64url(r.to_bytes(32) + s.to_bytes(32))}"
