"""One genuine piece of evidence of each kind; a test says what is wrong with its own.

Signed by the tests' own JWS, never by the product's.
"""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from portcullis.evidence.keys import PublicKey, TrustedKeys
from tests.support import jws
from tests.support.dpop import ProofKey

ORIGIN = "https://api.example.test"
INTERNAL_ORIGIN = "https://internal.example.test"
NOW = 1_800_000_000
ACCOUNT = "abcdefghijklmnopqrstuvwxy2"
OTHER_ACCOUNT = "zyxwvutsrqponmlkjihgfedcb7"

KEY = jws.new_key()
STRANGER = jws.new_key()
USER = ProofKey()
PUBLIC = PublicKey.of(KEY.public_key())
TRUSTED = TrustedKeys(PUBLIC)


def signed(
    typ: object,
    claims: Mapping[str, object],
    *,
    key: EllipticCurvePrivateKey = KEY,
    **header: object,
) -> str:
    """Return a JWS of *claims* whose header names the zone's key; *header* replaces members."""
    own = {"typ": typ, "alg": "ES256", "kid": PUBLIC.thumbprint}
    return jws.sign(own | header, claims, key)


def token_claims(**changes: object) -> dict[str, object]:
    """Return an access token's claims, some replaced or dropped (`jws.ABSENT`)."""
    return {
        "iss": ORIGIN,
        "aud": ORIGIN,
        "sub": ACCOUNT,
        "client_id": "portcullis",
        "iat": NOW,
        "exp": NOW + 900,
        "jti": "token-1",
        "cnf": {"jkt": USER.jkt},
        "sid": "session-1",
        "epoch": 1,
        "gen": 1,
        "acr": "urn:portcullis:acr:passkey",
        "amr": ["hwk", "user"],
        "auth_time": NOW,
    } | changes


def token(**changes: object) -> str:
    """Return an access token."""
    return signed("at+jwt", token_claims(**changes))


def command_claims(**changes: object) -> dict[str, object]:
    """Return a command's claims, some replaced or dropped."""
    return {
        "iss": "money",
        "aud": INTERNAL_ORIGIN,
        "htm": "POST",
        "htu": INTERNAL_ORIGIN + "/postings",
        "iat": NOW,
        "exp": NOW + 30,
        "jti": "0123456789abcdef",
        "kind": "transfer",
        "body": jws.b64url(b"{}"),
        "proof": "proof",
        "token": "token",
    } | changes


def command(**changes: object) -> str:
    """Return a command of the money zone."""
    return signed("portcullis-command+jwt", command_claims(**changes))


def approval_claims(**changes: object) -> dict[str, object]:
    """Return the claims of an approval by a code, some replaced or dropped."""
    return {
        "iss": ORIGIN,
        "aud": "ledger",
        "sub": ACCOUNT,
        "sid": "session-1",
        "jkt": USER.jkt,
        "epoch": 1,
        "jti": "approval-1",
        "iat": NOW,
        "exp": NOW + 120,
        "until": NOW + 300,
        "act": {"kind": "transfer", "fields": [OTHER_ACCOUNT, "1.00", "EUR", "key-1"]},
        "by": "totp",
    } | changes


def approval(**changes: object) -> str:
    """Return an approval."""
    return signed("portcullis-approval+jwt", approval_claims(**changes))


def receipt_claims(**changes: object) -> dict[str, object]:
    """Return a receipt's claims, some replaced or dropped."""
    return {
        "iss": "ledger",
        "iat": NOW,
        "posting": "posting-1",
        "kind": "transfer",
        "legs": [
            {"account": ACCOUNT, "currency": "EUR", "minor": -1},
            {"account": OTHER_ACCOUNT, "currency": "EUR", "minor": 1},
        ],
        "cmd": "command-digest",
        "meaning": "meaning-digest",
    } | changes


def receipt(**changes: object) -> str:
    """Return a receipt of the ledger."""
    return signed("portcullis-receipt+jwt", receipt_claims(**changes))
