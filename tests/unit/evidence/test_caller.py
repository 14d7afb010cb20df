"""A caller: token and proof of one key, for one request."""

import pytest

from portcullis.evidence import caller
from portcullis.evidence.caller import Caller
from portcullis.evidence.errors import EvidenceError
from tests.support.dpop import ProofKey
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import ACCOUNT, NOW, ORIGIN, TRUSTED, USER

URL = ORIGIN + "/wallets"


def identify(token: str, proof: str, *, method: str = "GET", path: str = "/wallets") -> Caller:
    """Return the caller of one request to our origin."""
    return caller.verify(
        compact_token=token,
        compact_proof=proof,
        keys=TRUSTED,
        expected_origin=ORIGIN,
        expected_method=method,
        expected_path=path,
        now_s=NOW,
    )


def test_a_caller_is_the_tokens_subject() -> None:
    """The account is the token's, and the evidence is kept as it came, to be handed on."""
    token = genuine.token()
    proof = USER.proof("GET", URL, access_token=token, now=NOW)
    who = identify(token, proof)
    assert who.account == ACCOUNT
    assert (who.compact_token, who.compact_proof) == (token, proof)


def test_a_proof_by_another_key_than_the_tokens_is_refused() -> None:
    """RFC 9449 section 4.3, check 12: a thief of the token has not its key."""
    token = genuine.token()
    proof = ProofKey().proof("GET", URL, access_token=token, now=NOW)
    with pytest.raises(EvidenceError, match="proof key is not the token's"):
        identify(token, proof)


def test_a_token_bound_to_another_key_is_refused() -> None:
    """A user cannot use another user's token with the own key."""
    token = genuine.token(cnf={"jkt": ProofKey().jkt})
    proof = USER.proof("GET", URL, access_token=token, now=NOW)
    with pytest.raises(EvidenceError, match="proof key is not the token's"):
        identify(token, proof)


def test_a_proof_for_another_token_of_the_same_key_is_refused() -> None:
    """A proof made for one token does not serve another, though both are of one key."""
    first, second = genuine.token(jti="one"), genuine.token(jti="two")
    proof = USER.proof("GET", URL, access_token=first, now=NOW)
    with pytest.raises(EvidenceError, match="another token"):
        identify(second, proof)


def test_a_proof_without_a_token_hash_is_refused() -> None:
    """A proof made for the token endpoint, without `ath`, opens nothing else."""
    token = genuine.token()
    with pytest.raises(EvidenceError, match="another token"):
        identify(token, USER.proof("GET", URL, now=NOW))


@pytest.mark.parametrize(("method", "path"), [("POST", "/wallets"), ("GET", "/transfers")])
def test_a_proof_for_another_request_is_refused(method: str, path: str) -> None:
    """Method and path are the request's."""
    token = genuine.token()
    proof = USER.proof("GET", URL, access_token=token, now=NOW)
    with pytest.raises(EvidenceError, match="proof"):
        identify(token, proof, method=method, path=path)


def test_a_bad_token_is_refused_before_its_proof_is_read() -> None:
    """The token comes first: what is refused of it does not depend on the proof."""
    with pytest.raises(EvidenceError, match="token issuer"):
        identify(genuine.token(iss="other"), "not a proof")


def test_a_proof_is_no_token_and_a_token_no_proof() -> None:
    """The two headers cannot be exchanged."""
    token = genuine.token()
    proof = USER.proof("GET", URL, access_token=token, now=NOW)
    for pair in ((proof, token), (proof, proof), (token, token), ("", proof), (token, "")):
        with pytest.raises(EvidenceError):
            identify(*pair)
