"""Enrolment certificates: one passkey belongs to one account, signed once, at its enrolment.

A key and a role of their own sign them (docs/decisions/0015): who can write a credential into the
table can still not make it open an account, and who can sign approvals cannot invent the passkey
behind one.
"""

from portcullis.evidence import claims, jws
from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import TrustedKeys
from portcullis.schema import Strict

TYP = "portcullis-enrolment+jwt"
CHARS_MAX = 4096
"""Room for an RSA key and the longest credential id (1,023 bytes)."""


class Certificate(Strict):
    """What was enrolled: ``sub`` the account, ``cid`` the credential's id, ``jwk`` its key.

    ``be``: it may be synced, so it is not bound to one device. ``att``: its maker's attestation
    was verified. ``est``: the Unix time from which it is a full factor; until then it is
    provisional, unless an older factor had approved it (then ``est`` equals ``iat``).
    """

    iss: str
    sub: str
    iat: int
    est: int
    cid: str
    jwk: dict[str, str]
    be: bool
    att: bool
    aaguid: str

    @property
    def credential_id(self) -> bytes:
        """The credential's id.

        Raises:
            EvidenceError: it is not canonical base64url.
        """
        return unb64url(self.cid)

    def is_established(self, now_s: int) -> bool:
        """Whether the passkey is a full factor at *now_s*."""
        return now_s >= self.est


def verify(
    compact: str,
    *,
    keys: TrustedKeys,
    expected_issuer: str,
    expected_account: str,
    expected_credential_id: bytes | None,
) -> Certificate:
    """Return the certificate if it ties this passkey (None: whichever) to exactly this account.

    Raises:
        EvidenceError: it is malformed, forged, or about another passkey, account or origin.
    """
    parsed = jws.parse(compact, expected_typ=TYP, chars_max=CHARS_MAX)
    jws.verify(parsed, key=keys.named(parsed.header.get("kid")).key)
    certificate = claims.read(parsed.payload, Certificate)
    if certificate.iss != expected_issuer:
        raise EvidenceError("enrolment issuer")
    if certificate.sub != expected_account:
        raise EvidenceError("enrolment is another account's")
    if expected_credential_id is not None and certificate.cid != b64url(expected_credential_id):
        raise EvidenceError("enrolment is another passkey's")
    return certificate
