"""The gate: who passes, who does not and why, and that it fails closed."""

import functools
from collections.abc import Mapping
from typing import Any

import pytest

from portcullis import clock
from portcullis.aws import kms
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.evidence import access_token
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import InvalidProofError, InvalidTokenError, ProofReplayedError
from portcullis.identity import gate, revocation
from portcullis.identity.gate import (
    AuthenticationRequiredError,
    SessionEndedError,
    SessionTerminatedError,
)
from portcullis.identity.standing import AccountRestrictedError
from portcullis.settings import setting
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import WALLETS, Family, Person, admit, now
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import unchanged
from tests.support import faults, jws
from tests.support.dpop import Forgery, ProofKey
from tests.support.faults import Proxy
from tests.support.key_service import KeyService

CROWD = 16

pytestmark = pytest.mark.contract


def _url() -> str:
    return setting("PUBLIC_ORIGIN") + WALLETS


def _come(
    token: str, proof: str | None, *, method: str = "GET", scheme: str = "DPoP"
) -> AccessToken:
    return gate.admit(authorization=f"{scheme} {token}", proof=proof, method=method, path=WALLETS)


def _signed(keys: KeyService, family: Family, **claims: Any) -> str:
    """Return an access token that our own key has signed, with other claims."""
    header = jws.header_of(family.access_token)
    return jws.sign(
        header,
        {**jws.claims_of(family.access_token), **claims},
        keys.signing_key("access-token"),
    )


# Without evidence


def test_a_request_without_a_bound_token_hears_what_to_send(
    product: Product, proxy: Proxy, family: Family
) -> None:
    """No token, no proof, or a bound token as Bearer (RFC 9449 section 7.2): refused, no I/O."""
    assert product
    token = family.access_token
    proof = family.key.proof("GET", _url(), access_token=token)
    proxy.calls.clear()
    for authorization, shown in (
        (None, None),
        (None, proof),
        ("", proof),
        (f"DPoP {token}", None),
        (f"Bearer {token}", proof),
        (f"dpop {token}", proof),
        (token, proof),
    ):
        with pytest.raises(AuthenticationRequiredError):
            gate.admit(authorization=authorization, proof=shown, method="GET", path=WALLETS)
    assert not proxy.calls


# The token


def test_a_wrong_token_is_refused_without_io(
    product: Product, proxy: Proxy, family: Family
) -> None:
    """A token that is forged, altered, expired or somebody else's reaches no table."""
    _, keys = product
    at_s = now()
    wrong: Mapping[str, str] = {
        "nothing": "",
        "no token": "eyJ.eyJ.x",
        "altered": jws.altered(family.access_token, sub="a" * 26),
        "another key": jws.sign(
            jws.header_of(family.access_token), jws.claims_of(family.access_token), jws.new_key()
        ),
        "unknown kid": jws.sign(
            {**jws.header_of(family.access_token), "kid": "another"},
            jws.claims_of(family.access_token),
            keys.signing_key("access-token"),
        ),
        "a proof as a token": family.key.proof("GET", _url()),
        "a refresh token": family.refresh_token,
        "expired": _signed(keys, family, iat=at_s - 901, exp=at_s - 1),
        "expiring now": _signed(keys, family, iat=at_s - 900, exp=at_s),
        "from the future": _signed(keys, family, iat=at_s + 60, exp=at_s + 120),
        "too long a life": _signed(keys, family, exp=at_s + 3_600),
        "another issuer": _signed(keys, family, iss="https://evil.test"),
        "another audience": _signed(keys, family, aud="https://evil.test"),
        "another client": _signed(keys, family, client_id="evil"),
        "no session": _signed(keys, family, sid=jws.ABSENT),
        "no binding": _signed(keys, family, cnf=jws.ABSENT),
        "one claim more": _signed(keys, family, admin=True),
    }
    proxy.calls.clear()
    for token in wrong.values():
        with pytest.raises(InvalidTokenError):
            _come(token, family.key.proof("GET", _url(), access_token=token))
    assert not proxy.calls


def test_an_access_token_ends_with_its_lifetime(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token passes in its last second and not in the next."""
    issued = jws.claims_of(family.access_token)["iat"]
    assert isinstance(issued, int)
    for age_s in (access_token.LIFETIME_S - 1, access_token.LIFETIME_S):
        at_s = issued + age_s
        monkeypatch.setattr(clock, "now_s", lambda at_s=at_s: at_s)
        token = family.access_token
        proof = family.key.proof("GET", _url(), access_token=token, now=at_s)
        if age_s < access_token.LIFETIME_S:
            _come(token, proof)
        else:
            with pytest.raises(InvalidTokenError):
                _come(token, proof)


@pytest.mark.parametrize("claim", ["sub", "jkt"])
def test_a_token_that_contradicts_its_session_is_refused(
    product: Product, person: Person, claim: str
) -> None:
    """Even our own signature does not tie a session to another account or key than its own."""
    _, keys = product
    family, other = person.sign_in(), Person.with_account()
    if claim == "sub":
        token, key = _signed(keys, family, sub=other.account), family.key
    else:
        key = ProofKey()
        token = _signed(keys, family, cnf={"jkt": key.jkt})
    with unchanged(product[0]), pytest.raises(InvalidTokenError):
        _come(token, key.proof("GET", _url(), access_token=token))


# The proof


def test_a_wrong_proof_is_refused_without_io(
    product: Product, proxy: Proxy, family: Family
) -> None:
    """A proof of another key, method, path, origin, token or time reaches no table."""
    assert product
    token, key = family.access_token, family.key
    wrong = {
        "nothing": "",
        "another key": ProofKey().proof("POST", _url(), access_token=token),
        "another method": key.proof("GET", _url(), access_token=token),
        "another path": key.proof("POST", _url() + "/EUR", access_token=token),
        "another origin": key.proof("POST", "https://evil.test" + WALLETS, access_token=token),
        "another token": key.proof("POST", _url(), access_token=token + "x"),
        "no token": key.proof("POST", _url()),
        "too old": key.proof("POST", _url(), access_token=token, now=now() - 62),
        "too early": key.proof("POST", _url(), access_token=token, now=now() + 30),
        "unsigned": key.proof("POST", _url(), access_token=token, forgery=Forgery(unsigned=True)),
        "another signer": key.proof(
            "POST", _url(), access_token=token, forgery=Forgery(signed_by=jws.new_key())
        ),
        "the token": token,
    }
    proxy.calls.clear()
    for proof in wrong.values():
        with pytest.raises(InvalidProofError):
            _come(token, proof, method="POST")
    assert not proxy.calls


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"])
def test_a_proof_serves_one_unsafe_request(family: Family, method: str) -> None:
    """Every method but GET and HEAD uses its proof up."""
    proof = family.key.proof(method, _url(), access_token=family.access_token)
    _come(family.access_token, proof, method=method)
    for _ in range(2):
        with pytest.raises(ProofReplayedError):
            _come(family.access_token, proof, method=method)
    admit(family.key, family.access_token, method=method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_safe_request_may_be_repeated(product: Product, family: Family, method: str) -> None:
    """A proof of a safe method serves again within its window, and is not written down."""
    proof = family.key.proof(method, _url(), access_token=family.access_token)
    _come(family.access_token, proof, method=method)
    with unchanged(product[0]):
        _come(family.access_token, proof, method=method)


def test_the_same_proof_id_of_two_keys_is_two_proofs(person: Person) -> None:
    """Nobody can use up another's proof by its id."""
    for _ in range(2):
        family = person.sign_in()
        proof = family.key.proof("POST", _url(), access_token=family.access_token, jti="the-same")
        _come(family.access_token, proof, method="POST")


def test_one_of_a_crowd_passes_with_one_proof(family: Family) -> None:
    """Of 16 unsafe requests with one proof at once, one passes."""
    for _ in range(10):
        proof = family.key.proof("POST", _url(), access_token=family.access_token)
        with Race[AccessToken](CROWD) as crowd:
            come = functools.partial(_come, family.access_token, proof, method="POST")
            granted, refused = split(crowd.run(*[come] * CROWD), ProofReplayedError)
        assert (len(granted), len(refused)) == (1, CROWD - 1)


# Liveness


def _ended(_: Product, family: Family) -> None:
    revocation.revoke(family.refresh_token, now_s=now())


def _killed(product: Product, family: Family) -> None:
    records.kill(product[0], family.account)


def _quarantined(product: Product, family: Family) -> None:
    records.kill(product[0], family.account, status=records.RESTRICTED)


def _restricted(product: Product, family: Family) -> None:
    records.restrict(product[0], family.account)


def _forgotten(product: Product, family: Family) -> None:
    key = {"pk": {"S": f"SESSION#{family.sid}"}, "sk": {"S": "SESSION"}}
    product[0].call("delete_item", TableName=product[0].identity, Key=key)


def _without_standing(product: Product, family: Family) -> None:
    key = {"pk": {"S": family.account}}
    product[0].call("delete_item", TableName=product[0].standing, Key=key)


@pytest.mark.parametrize(
    ("happen", "refusal"),
    [
        (_ended, SessionEndedError),
        (_killed, SessionTerminatedError),
        (_quarantined, SessionTerminatedError),
        (_restricted, AccountRestrictedError),
        (_forgotten, SessionEndedError),
        (_without_standing, SessionEndedError),
    ],
    ids=lambda one: one.__name__.strip("_"),
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_session_that_is_not_live_does_not_pass(
    product: Product, family: Family, happen: Any, refusal: type[RefusedError], method: str
) -> None:
    """The very next request after an ending is refused, with its reason."""
    admit(family.key, family.access_token, method=method)
    happen(product, family)
    for _ in range(2):
        with pytest.raises(refusal):
            admit(family.key, family.access_token, method=method)


def test_a_session_at_its_absolute_age_does_not_pass(
    product: Product, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session's age is judged by the session, whatever the token says."""
    _, keys = product
    family = person.sign_in()
    at_s = family.stored.absolute_expires
    monkeypatch.setattr(clock, "now_s", lambda: at_s)
    token = _signed(keys, family, iat=at_s - 10, exp=at_s + 10)
    with pytest.raises(SessionEndedError):
        _come(token, family.key.proof("GET", _url(), access_token=token, now=at_s))


def test_other_sessions_of_the_account_pass(person: Person) -> None:
    """The end of one session is not the end of another."""
    one, other = person.sign_in(), person.sign_in()
    revocation.revoke(one.refresh_token, now_s=now())
    admit(other.key, other.access_token)


# Sightings


def test_a_sight_never_goes_back(product: Product, family: Family) -> None:
    """An older generation's token after a newer one's leaves the newer sight standing."""
    rotated = family.refresh()
    admit(family.key, rotated.access_token)
    with unchanged(product[0]):
        admit(family.key, family.access_token)
        admit(family.key, rotated.access_token)


def test_a_crowd_at_first_sight_passes(family: Family) -> None:
    """Sixteen requests with a generation's first access token at once all pass."""
    rotated = family.refresh()
    with Race[AccessToken](CROWD) as crowd:
        come = functools.partial(admit, family.key, rotated.access_token)
        granted, _ = split(crowd.run(*[come] * CROWD), SessionEndedError)
    assert len(granted) == CROWD


def test_a_refused_request_is_no_sight(product: Product, family: Family) -> None:
    """A request that does not prove its key says nothing about who has the successor."""
    rotated = family.refresh()
    stolen = rotated.access_token
    with unchanged(product[0]), pytest.raises(InvalidProofError):
        _come(stolen, ProofKey().proof("GET", _url(), access_token=stolen))
    assert family.refresh().refresh_token == rotated.refresh_token


# Failing closed


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("operation", ["BatchGetItem", "UpdateItem", "PutItem"])
def test_what_cannot_be_asked_does_not_pass(
    proxy: Proxy, family: Family, operation: str, method: str
) -> None:
    """When the store does not answer, nobody passes who would have needed the answer."""
    failure = proxy.fail_before(operation, times=faults.ALWAYS)
    if (operation, method) == ("PutItem", "GET"):
        admit(family.key, family.access_token, method=method)
        assert failure.hits == 0
    else:
        with pytest.raises(InfrastructureError):
            admit(family.key, family.access_token, method=method)
        assert failure.hits > 0


def test_half_an_answer_does_not_pass(proxy: Proxy, family: Family) -> None:
    """Keys that the store leaves unprocessed are no permission, and no ended session either."""
    proxy.leave_unprocessed()
    with pytest.raises(InfrastructureError):
        admit(family.key, family.access_token)


def test_without_the_public_keys_nobody_passes(product: Product, family: Family) -> None:
    """When KMS does not give the verification key, the token is not taken on trust."""
    _, keys = product
    kms._public_key.cache_clear()
    keys.failing.add("GetPublicKey")
    with pytest.raises(InfrastructureError):
        admit(family.key, family.access_token)
