"""A caller: an access token and the proof that its bearer holds the token's key."""

from dataclasses import dataclass

from portcullis.evidence import access_token, dpop
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import TrustedKeys


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the evidence of it, to be handed on as it came."""

    token: AccessToken
    proof: Proof
    compact_token: str
    compact_proof: str

    @property
    def account(self) -> str:
        """The account that the token was issued to."""
        return self.token.sub


def verify(
    *,
    compact_token: str,
    compact_proof: str,
    keys: TrustedKeys,
    expected_origin: str,
    expected_method: str,
    expected_path: str,
    now_s: int,
) -> Caller:
    """Return the caller of one request to the public API.

    Raises:
        EvidenceError: the token or the proof does not verify, or they are of different keys
            (RFC 9449 section 4.3, check 12).
    """
    token = access_token.verify(
        compact_token, keys=keys, expected_issuer=expected_origin, now_s=now_s
    )
    proof = dpop.verify(
        compact_proof,
        expected_method=expected_method,
        expected_url=expected_origin + expected_path,
        access_token=compact_token,
        now_s=now_s,
    )
    if proof.jkt != token.cnf.jkt:
        raise EvidenceError("proof key is not the token's")
    return Caller(
        token=token, proof=proof, compact_token=compact_token, compact_proof=compact_proof
    )
