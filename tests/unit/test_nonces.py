"""Nonces: only ours, only while they count, and never one that is not given out yet."""

import hashlib
import hmac

import pytest

from portcullis.errors import InfrastructureError
from portcullis.evidence import dpop
from portcullis.evidence.dpop import Proof
from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError, UseNonceError
from portcullis.identity import nonces, tables
from portcullis.identity.nonces import BUCKET_S
from tests.unit.evidence.genuine import NOW, ORIGIN, USER

SECRET = b"s" * 32
URL = ORIGIN + "/oauth/token"
BUCKET_START = NOW - NOW % BUCKET_S


@pytest.fixture(autouse=True)
def product(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone with a secret."""
    monkeypatch.setattr(tables, "nonce_secret", lambda: SECRET)


def proof(nonce: str | None, *, now_s: int = NOW) -> Proof:
    """Return a verified proof with this nonce."""
    return dpop.verify(
        USER.proof("POST", URL, now=now_s, nonce=nonce),
        expected_method="POST",
        expected_url=URL,
        access_token=None,
        now_s=now_s,
    )


def refuse(nonce: str | None, *, now_s: int = NOW) -> None:
    """Demand that a proof with this nonce is refused."""
    with pytest.raises(UseNonceError):
        nonces.demand(proof(nonce, now_s=now_s), now_s=now_s)


@pytest.mark.parametrize("age_s", [0, 1, BUCKET_S - 1, BUCKET_S, 2 * BUCKET_S - 1])
def test_a_nonce_counts_until_the_end_of_the_next_minute(age_s: int) -> None:
    """A nonce lives through its own bucket and the next."""
    given = nonces.current(BUCKET_START)
    now_s = BUCKET_START + age_s
    nonces.demand(proof(given, now_s=now_s), now_s=now_s)


@pytest.mark.parametrize("age_s", [2 * BUCKET_S, 3 * BUCKET_S, 86_400, -1, -BUCKET_S, -86_400])
def test_a_nonce_of_another_time_is_refused(age_s: int) -> None:
    """Neither an old one nor one of the future, which nobody has been given."""
    refuse(nonces.current(BUCKET_START), now_s=BUCKET_START + age_s)


def test_the_nonce_of_one_minute_is_one_text() -> None:
    """Two environments of the zone give the same, and the next minute another."""
    assert nonces.current(BUCKET_START) == nonces.current(BUCKET_START + BUCKET_S - 1)
    assert nonces.current(BUCKET_START) != nonces.current(BUCKET_START + BUCKET_S)


def test_a_proof_without_a_nonce_is_challenged() -> None:
    """RFC 9449 section 8: the server answers `use_dpop_nonce`."""
    refuse(None)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda _: "eyJ7S_zG.eyJH0-Z.HX4w-7v",
        lambda given: given + "=",
        lambda given: given[:-1],
        lambda given: given + "A",
        lambda given: given.swapcase(),
        lambda given: given.replace(given[-1], "é"),
        lambda given: given[:11] + b64url(bytes(32)),
        lambda given: given[:11],
        lambda given: b64url(unb64url(given)[8:]),
        lambda given: " " + given,
    ],
)
def test_what_we_did_not_give_is_refused(spoil: object) -> None:
    """Altered, cut, extended, or made up: refused."""
    assert callable(spoil)
    refuse(spoil(nonces.current(NOW)))


def test_a_nonce_of_another_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9449 section 9: each server knows its own nonces alone."""
    monkeypatch.setattr(tables, "nonce_secret", lambda: b"t" * 32)
    theirs = nonces.current(NOW)
    monkeypatch.setattr(tables, "nonce_secret", lambda: SECRET)
    refuse(theirs)


def test_a_nonce_cannot_be_moved_to_another_time() -> None:
    """The MAC covers the time: a fresh time before an old MAC is nobody's nonce."""
    old = unb64url(nonces.current(NOW - 10 * BUCKET_S))
    refuse(b64url((NOW // BUCKET_S).to_bytes(8) + old[8:]))


def test_a_nonce_is_a_time_and_its_mac() -> None:
    """The form is fixed: environments of two releases understand each other."""
    counter = (NOW // BUCKET_S).to_bytes(8)
    mac = hmac.new(SECRET, b"portcullis/nonce/v1" + counter, hashlib.sha256).digest()
    assert nonces.current(NOW) == b64url(counter + mac)


def test_without_the_secret_nobody_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the secret is not to be had, it is no wrong nonce, and no right one."""

    def unavailable() -> bytes:
        raise InfrastructureError("ThrottlingException")

    given = nonces.current(NOW)
    monkeypatch.setattr(tables, "nonce_secret", unavailable)
    with pytest.raises(InfrastructureError):
        nonces.demand(proof(given), now_s=NOW)


@pytest.mark.parametrize("age_s", [-11, 61])
def test_a_nonce_widens_no_proofs_window(age_s: int) -> None:
    """`iat` decides as without one, so a used proof is remembered for long enough."""
    compact = USER.proof("POST", URL, now=NOW - age_s, nonce=nonces.current(NOW))
    with pytest.raises(EvidenceError, match="proof time"):
        dpop.verify(compact, expected_method="POST", expected_url=URL, access_token=None, now_s=NOW)
