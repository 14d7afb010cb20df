"""The server's nonces for DPoP proofs (RFC 9449 sections 8 and 9), without a memory.

Whoever uses a device's key for a minute could sign proofs for days to come; nobody can sign one
with a nonce that is not given out yet. A nonce is a time and its MAC, so any environment of the
zone knows another's, and to check one costs no I/O.
"""

import hashlib
import hmac

from portcullis import clock
from portcullis.evidence.dpop import Proof
from portcullis.evidence.encoding import b64url
from portcullis.evidence.errors import UseNonceError
from portcullis.identity import tables

BUCKET_S = 60
"""Nonces change this often; the present and the previous one count, so one lives 60 to 120 s."""
_COUNTER_BYTES = 8
_LABEL = b"portcullis/nonce/v1"


def fresh() -> str:
    """Return the nonce to hand out now.

    Raises:
        InfrastructureError: the zone's secret is not to be had.
    """
    return current(clock.now_s())


def current(now_s: int) -> str:
    """Return the nonce of a time, in Unix seconds.

    Raises:
        InfrastructureError: the zone's secret is not to be had.
    """
    return _nonce(now_s // BUCKET_S)


def demand(proof: Proof, *, now_s: int) -> None:
    """Demand that a verified proof has a nonce of ours that still counts.

    Raises:
        UseNonceError: it has none, an old one, or somebody else's.
        InfrastructureError: the zone's secret is not to be had.
    """
    shown, bucket = (proof.nonce or "").encode(), now_s // BUCKET_S
    known = [hmac.compare_digest(shown, _nonce(one).encode()) for one in (bucket, bucket - 1)]
    if not any(known):
        raise UseNonceError


def _nonce(bucket: int) -> str:
    counter = bucket.to_bytes(_COUNTER_BYTES)
    mac = hmac.digest(tables.nonce_secret(), _LABEL + counter, hashlib.sha256)
    return b64url(counter + mac)
