"""The gate: who passes, who does not and why, and that it fails closed."""

import functools
from collections.abc import Mapping
from typing import Any

import pytest

from portcullis import clock
from portcullis.aws import dynamodb, kms
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.evidence import access_token
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import (
    InvalidProofError,
    InvalidTokenError,
    ProofReplayedError,
    StepUpRequiredError,
    UseNonceError,
)
from portcullis.identity import assurance, gate, nonces, revocation, sightings, tables
from portcullis.identity.gate import (
    AuthenticationRequiredError,
    SessionEndedError,
    SessionTerminatedError,
)
from portcullis.identity.sightings import Sightings
from portcullis.identity.standing import (
    QUARANTINED,
    AccountQuarantinedError,
    AccountRestrictedError,
)
from portcullis.settings import setting
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import SOURCE, WALLETS, Family, Person, admit, now
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import unchanged
from tests.support import faults, jws
from tests.support.dpop import Forgery, ProofKey
from tests.support.faults import Proxy
from tests.support.key_service import KeyService

CROWD = 16

pytestmark = pytest.mark.contract


def _url(path: str = WALLETS) -> str:
    return setting("PUBLIC_ORIGIN") + path


def _come(
    token: str,
    proof: str | None,
    *,
    method: str = "GET",
    path: str = WALLETS,
    resource: str | None = None,
) -> AccessToken:
    return gate.admit(
        authorization=f"DPoP {token}",
        proof=proof,
        method=method,
        path=path,
        resource=resource or path,
        source=SOURCE,
    )


def _prove(family: Family, method: str, path: str = WALLETS, **changes: Any) -> str:
    """Return a proof for a route with the family's token and the nonce of now, or as changed."""
    usual = {"access_token": family.access_token, "nonce": nonces.current(clock.now_s())}
    return family.key.proof(method, _url(path), **(usual | changes))


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
            gate.admit(
                authorization=authorization,
                proof=shown,
                method="GET",
                path=WALLETS,
                resource=WALLETS,
                source=SOURCE,
            )
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


@pytest.mark.parametrize(
    ("method", "path", "resource"),
    [
        ("POST", "/wallets", "/wallets"),
        ("POST", "/transfers", "/transfers"),
        ("PUT", "/password", "/password"),
        ("PATCH", "/passkeys/a1", "/passkeys/{id}"),
        ("DELETE", "/sessions", "/sessions"),
    ],
)
def test_a_proof_serves_one_unsafe_request(
    family: Family, method: str, path: str, resource: str
) -> None:
    """Every method but GET uses its proof up."""
    proof = _prove(family, method, path)
    route: dict[str, Any] = {"method": method, "path": path, "resource": resource}
    _come(family.access_token, proof, **route)
    for _ in range(2):
        with pytest.raises(ProofReplayedError):
            _come(family.access_token, proof, **route)
    _come(family.access_token, _prove(family, method, path), **route)


def test_a_get_may_be_repeated(product: Product, family: Family) -> None:
    """A proof of a GET serves again within its window, and is not written down."""
    proof = _prove(family, "GET")
    _come(family.access_token, proof)
    with unchanged(product[0]):
        _come(family.access_token, proof)


def test_the_same_proof_id_of_two_keys_is_two_proofs(person: Person) -> None:
    """Nobody can use up another's proof by its id."""
    for _ in range(2):
        family = person.sign_in()
        proof = _prove(family, "POST", jti="the-same")
        _come(family.access_token, proof, method="POST")


def test_one_of_a_crowd_passes_with_one_proof(family: Family) -> None:
    """Of 16 unsafe requests with one proof at once, one passes."""
    for _ in range(10):
        proof = _prove(family, "POST")
        with Race[AccessToken](CROWD) as crowd:
            come = functools.partial(_come, family.access_token, proof, method="POST")
            granted, refused = split(crowd.run(*[come] * CROWD), ProofReplayedError)
        assert (len(granted), len(refused)) == (1, CROWD - 1)


# The nonce


@pytest.mark.parametrize("path", ["/wallets", "/transfers", "/approvals/options", "/approvals"])
def test_orders_and_approvals_need_a_nonce_of_ours(
    product: Product, proxy: Proxy, family: Family, path: str
) -> None:
    """RFC 9449 section 9: without one, or with an old or foreign one: challenged, without I/O.

    The challenge spends no proof: the same one, had it a nonce, would serve.
    """
    assert product
    wrong = {
        "none": None,
        "foreign": "eyJ7S_zG.eyJH0-Z.HX4w-7v",
        "old": nonces.current(now() - 2 * nonces.BUCKET_S),
        "not yet given out": nonces.current(now() + 2 * nonces.BUCKET_S),
    }
    proxy.calls.clear()
    for nonce in wrong.values():
        with pytest.raises(UseNonceError):
            _come(
                family.access_token,
                _prove(family, "POST", path, nonce=nonce, jti="the-same"),
                method="POST",
                path=path,
            )
    assert not proxy.calls
    proof = _prove(family, "POST", path, jti="the-same")
    _come(family.access_token, proof, method="POST", path=path)


def test_a_nonce_that_is_shown_must_count(family: Family) -> None:
    """RFC 9449 section 11.3: where none is demanded, an old one is challenged all the same."""
    _come(family.access_token, _prove(family, "GET", nonce=None))
    _come(family.access_token, _prove(family, "GET"))
    old = nonces.current(now() - 2 * nonces.BUCKET_S)
    for nonce in (old, "", "eyJ7S_zG"):
        with pytest.raises(UseNonceError):
            _come(family.access_token, _prove(family, "GET", nonce=nonce))


def test_a_stranger_is_given_no_verdict_on_a_nonce(proxy: Proxy, family: Family) -> None:
    """A proof that does not verify is refused as such, whatever nonce it has."""
    proof = ProofKey().proof("POST", _url(), access_token=family.access_token)
    proxy.calls.clear()
    with pytest.raises(InvalidProofError):
        _come(family.access_token, proof, method="POST")
    assert not proxy.calls


# The demand of the route


@pytest.mark.parametrize(
    ("method", "path", "claims", "max_age_s"),
    [
        ("POST", "/transfers", {"acr": "provisional"}, None),
        ("POST", "/approvals", {"acr": "provisional"}, None),
        ("POST", "/totp", {"acr": "provisional"}, 300),
        ("POST", "/totp", {"auth_time": 301}, 300),
        ("DELETE", "/sessions", {"auth_time": 86_400}, 300),
    ],
)
def test_a_weak_or_old_sign_in_is_asked_for_a_better_one(
    product: Product,
    proxy: Proxy,
    family: Family,
    method: str,
    path: str,
    claims: dict[str, Any],
    max_age_s: int | None,
) -> None:
    """RFC 9470: the challenge names every level that will do; it costs no I/O and no proof."""
    _, keys = product
    if "auth_time" in claims:
        claims = {"auth_time": now() - claims["auth_time"]}
    weak = _signed(keys, family, **claims)
    proxy.calls.clear()
    with pytest.raises(StepUpRequiredError) as refused:
        _come(
            weak,
            _prove(family, method, path, access_token=weak),
            method=method,
            path=path,
        )
    assert refused.value.acr_values == ("phr", "mfa")
    assert refused.value.max_age_s == max_age_s
    assert not proxy.calls


def test_a_provisional_sign_in_reads(product: Product, family: Family) -> None:
    """A factor of its first day sees balances."""
    _, keys = product
    weak = _signed(keys, family, acr="provisional")
    _come(weak, _prove(family, "GET", access_token=weak))


def test_a_route_without_a_demand_is_nobodys(proxy: Proxy, family: Family) -> None:
    """A route that somebody gated and forgot to list passes nobody, without I/O."""
    proof = _prove(family, "GET", "/nothing")
    proxy.calls.clear()
    with pytest.raises(assurance.UnlistedRouteError):
        _come(family.access_token, proof, path="/nothing")
    assert not proxy.calls


# Liveness


def _ended(_: Product, family: Family) -> None:
    revocation.revoke(family.refresh_token, now_s=now())


def _killed(product: Product, family: Family) -> None:
    records.kill(product[0], family.account)


def _quarantined(product: Product, family: Family) -> None:
    records.kill(product[0], family.account, status=records.RESTRICTED)


def _restricted(product: Product, family: Family) -> None:
    records.restrict(product[0], family.account)


def _signed_in_after(product: Product, family: Family) -> None:
    records.restrict(product[0], family.account, status=QUARANTINED)


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
        (_signed_in_after, AccountQuarantinedError),
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
        with pytest.raises(refusal) as refused:
            admit(family.key, family.access_token, method=method)
        assert refused.type is refusal


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


def test_the_sight_of_a_session_lags_by_a_minute_at_most(
    proxy: Proxy, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests for 13 minutes, one every 20 s, leave a place that is never 60 s old.

    It costs at most one write a minute.
    """
    begin_s = _pinned(monkeypatch, family)
    writes = 0
    for at_s in range(begin_s, begin_s + 780, 20):
        monkeypatch.setattr(clock, "now_s", lambda at_s=at_s: at_s)
        proxy.calls.clear()
        admit(family.key, family.access_token)
        writes += proxy.calls["UpdateItem"]
        assert proxy.calls == {"BatchGetItem": 1} | (
            {"UpdateItem": 1} if proxy.calls["UpdateItem"] else {}
        )
        remembered = Sightings.from_item(_sight(family)).baseline
        assert remembered is not None
        assert remembered.last is not None
        assert at_s - remembered.last.at_s < sightings.LAG_S_MAX
    assert writes == 13


def test_generation_and_time_are_one_sight(
    proxy: Proxy, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When both are due, they are one write."""
    begin_s = _pinned(monkeypatch, family)
    admit(family.key, family.access_token)
    at_s = begin_s + sightings.LAG_S_MAX
    rotated = family.refresh(at_s=at_s)
    monkeypatch.setattr(clock, "now_s", lambda: at_s)
    proxy.calls.clear()
    admit(family.key, rotated.access_token)
    assert proxy.calls == {"BatchGetItem": 1, "UpdateItem": 1}
    assert (_sight(family)["gen_seen"], _sight(family)["placed_at"]) == (2, at_s)


def test_a_generation_is_seen_though_the_time_had_moved_on(
    product: Product, proxy: Proxy, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later request's sight between read and write takes nothing from this one's generation."""
    begin_s = _pinned(monkeypatch, family)
    admit(family.key, family.access_token)
    at_s = begin_s + sightings.LAG_S_MAX
    rotated = family.refresh(at_s=at_s)
    monkeypatch.setattr(clock, "now_s", lambda: at_s)
    overtaken = proxy.meanwhile(
        "UpdateItem", lambda: records.see(product[0], family.sid, seen_at=at_s + 5)
    )
    admit(family.key, rotated.access_token)
    assert overtaken.hits == 1
    assert (_sight(family)["gen_seen"], _sight(family)["placed_at"]) == (2, at_s + 5)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_time_that_cannot_be_recorded_hinders_nobody(
    proxy: Proxy,
    family: Family,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    """If the place alone is due and its write fails, the request passes and the failure counts."""
    begin_s = _pinned(monkeypatch, family)
    admit(family.key, family.access_token)
    monkeypatch.setattr(clock, "now_s", lambda: begin_s + sightings.LAG_S_MAX)
    failure = proxy.fail_before("UpdateItem", times=faults.ALWAYS)
    admit(family.key, family.access_token, method=method)
    assert failure.hits > 0
    assert "sighting-not-recorded" in caplog.text
    assert _sight(family)["placed_at"] == begin_s


def test_a_generation_that_cannot_be_recorded_does_not_pass_though_the_time_is_due(
    proxy: Proxy, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A due place excuses nothing: a first sight that is not written is refused."""
    begin_s = _pinned(monkeypatch, family)
    admit(family.key, family.access_token)
    at_s = begin_s + sightings.LAG_S_MAX
    rotated = family.refresh(at_s=at_s)
    monkeypatch.setattr(clock, "now_s", lambda: at_s)
    proxy.fail_before("UpdateItem", times=faults.ALWAYS)
    with pytest.raises(InfrastructureError):
        admit(family.key, rotated.access_token)


def _pinned(monkeypatch: pytest.MonkeyPatch, family: Family) -> int:
    """Stop the clock at the sign-in, and return its time."""
    begin_s = family.stored.auth_time
    monkeypatch.setattr(clock, "now_s", lambda: begin_s)
    return begin_s


def _sight(family: Family) -> Mapping[str, Any]:
    item = dynamodb.get(tables.identity(), tables.sightings_key(family.sid))
    assert item is not None
    return item


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
