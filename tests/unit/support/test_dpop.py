"""Proofs: what an honest one says, and that each forgery is wrong in exactly its way."""

import time

import pytest
from cryptography.exceptions import InvalidSignature

from tests.support import jws
from tests.support.dpop import Forgery, ProofKey, digest

URL = "https://resource.example.org/protectedresource"
RFC9449_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC9449_ATH = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"

KEY = ProofKey()
PUBLIC = KEY.private.public_key()


def test_a_proof_is_signed_by_the_key_it_shows() -> None:
    """The header is that of RFC 9449 section 4.2 and its key verifies the proof."""
    proof = KEY.proof("GET", URL)
    header = jws.header_of(proof)
    assert header == {"typ": "dpop+jwt", "alg": "ES256", "jwk": jws.public_jwk(KEY.private)}
    assert jws.verify(proof, PUBLIC)["htu"] == URL
    assert KEY.jkt == jws.thumbprint(jws.public_jwk(KEY.private))


def test_a_proof_says_no_more_than_it_must() -> None:
    """Without token and order there are four claims."""
    claims = jws.verify(KEY.proof("GET", URL, now=1.9, jti="one"), PUBLIC)
    assert claims == {"jti": "one", "htm": "GET", "htu": URL, "iat": 1}


def test_the_token_hash_of_rfc_9449() -> None:
    """`ath` is the value of RFC 9449 figure 13."""
    proof = KEY.proof("GET", URL, access_token=RFC9449_TOKEN)
    assert jws.verify(proof, PUBLIC)["ath"] == RFC9449_ATH


def test_an_orders_proof_covers_body_and_key() -> None:
    """`bd` is the hash of the raw body and `idk` the idempotency key."""
    claims = jws.verify(KEY.proof("POST", URL, body=b"{}", idempotency_key="k"), PUBLIC)
    assert (claims["bd"], claims["idk"]) == (digest(b"{}"), "k")


def test_two_proofs_are_never_one() -> None:
    """Each proof has an id of its own and the time of now."""
    first, second = (jws.claims_of(KEY.proof("GET", URL)) for _ in range(2))
    assert first["jti"] != second["jti"]
    assert abs(time.time() - float(str(first["iat"]))) < 5


def test_a_claim_can_be_replaced_or_dropped() -> None:
    """Overrides are signed: only what they say is wrong."""
    claims = jws.verify(KEY.proof("GET", URL, htm="POST", iat=jws.ABSENT, extra=1), PUBLIC)
    assert (claims["htm"], claims["extra"]) == ("POST", 1)
    assert "iat" not in claims


@pytest.mark.parametrize("member", ["typ", "alg", "jwk"])
def test_a_header_member_can_be_replaced_or_dropped(member: str) -> None:
    """A forged header is signed as it stands."""
    for value in ("other", jws.ABSENT):
        proof = KEY.proof("GET", URL, forgery=Forgery(header={member: value}))
        assert jws.header_of(proof).get(member, jws.ABSENT) == value
        jws.verify(proof, PUBLIC)


def test_the_private_key_can_be_given_away() -> None:
    """A forged proof can carry `d`, which RFC 9449 section 4.2 forbids."""
    header = jws.header_of(KEY.proof("GET", URL, forgery=Forgery(private_jwk=True)))
    assert header["jwk"] == jws.private_jwk(KEY.private)


@pytest.mark.parametrize(
    "forgery",
    [Forgery(signed_by=jws.new_key()), Forgery(after_signing={"htm": "POST"})],
    ids=["another key", "altered"],
)
def test_a_wrong_signature_does_not_verify(forgery: Forgery) -> None:
    """A proof signed by another key, or altered after signing, is wrong in its signature."""
    with pytest.raises(InvalidSignature):
        jws.verify(KEY.proof("GET", URL, forgery=forgery), PUBLIC)


def test_a_proof_can_be_unsigned() -> None:
    """`alg: none` comes with an empty signature."""
    proof = KEY.proof("GET", URL, forgery=Forgery(header={"alg": "none"}, unsigned=True))
    assert proof.endswith(".")
    assert proof.count(".") == 2


def test_the_key_is_not_printed() -> None:
    """A proof key does not show its private part in a failing test's output."""
    assert repr(KEY) == "ProofKey()"
