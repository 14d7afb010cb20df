"""Access tokens: whose, for whom, since when and until when, exactly at the edges."""

import json
from pathlib import Path

import pytest

from portcullis.evidence import access_token
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey, TrustedKeys
from tests.support import jws
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import (
    ACCOUNT,
    INTERNAL_ORIGIN,
    NOW,
    ORIGIN,
    PUBLIC,
    STRANGER,
    TRUSTED,
    USER,
    signed,
    token_claims,
)

REQUIRED = sorted(token_claims())


def accept(compact: str, *, now: int = NOW, keys: TrustedKeys = TRUSTED) -> AccessToken:
    """Return the token of our issuer."""
    return access_token.verify(compact, keys=keys, expected_issuer=ORIGIN, now_s=now)


def refuse(compact: str, why: str, *, now: int = NOW) -> None:
    """Demand that a token is refused for one reason and no other."""
    with pytest.raises(EvidenceError, match=why):
        accept(compact, now=now)


def test_a_genuine_token_tells_its_claims() -> None:
    """The claims come out as they were signed."""
    token = accept(genuine.token())
    assert (token.sub, token.cnf.jkt, token.epoch, token.gen) == (ACCOUNT, USER.jkt, 1, 1)


def test_either_of_two_trusted_keys_signs() -> None:
    """While keys rotate, tokens of both verify, each under its own name."""
    other = PublicKey.of(STRANGER.public_key())
    both = TrustedKeys(other, PUBLIC)
    by_other = signed("at+jwt", token_claims(), key=STRANGER, kid=other.thumbprint)
    assert accept(genuine.token(), keys=both) == accept(by_other, keys=both)


def test_another_keys_token_under_a_trusted_name_is_refused() -> None:
    """A `kid` is a name, not a proof."""
    refuse(signed("at+jwt", token_claims(), key=STRANGER), "JWS signature$")


@pytest.mark.parametrize(
    "kid", [jws.ABSENT, None, "", PublicKey.of(STRANGER.public_key()).thumbprint, 1, ["x"]]
)
def test_a_token_of_an_unknown_key_is_refused(kid: object) -> None:
    """A key that is not trusted by name is never tried."""
    refuse(signed("at+jwt", token_claims(), key=STRANGER, kid=kid), "unknown kid")


def test_a_key_in_the_header_is_not_used() -> None:
    """A token that brings its own key (`jwk`) verifies under the trusted one or not at all."""
    compact = signed("at+jwt", token_claims(), key=STRANGER, jwk=jws.public_jwk(STRANGER))
    refuse(compact, "JWS signature$")


def test_the_token_of_the_rfc_is_not_ours() -> None:
    """The JWT of RFC 9449 figure 8 has no type, so it is no access token here."""
    vectors = json.loads(Path("tests/vectors/rfc9449.json").read_text())
    refuse(vectors["access_token_jwt"]["token"], "another type")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        INTERNAL_ORIGIN,
        ORIGIN + "/",
        ORIGIN.upper(),
        "http://api.example.test",
        ORIGIN + ":443",
        ORIGIN + " ",
    ],
)
@pytest.mark.parametrize("claim", ["iss", "aud"])
def test_another_issuer_or_audience_is_refused(claim: str, origin: str) -> None:
    """Issuer and audience are compared exactly, as texts."""
    refuse(genuine.token(**{claim: origin}), "issuer or audience")


def test_an_audience_of_several_is_refused() -> None:
    """A token for us and for another is not for us alone."""
    refuse(genuine.token(aud=[ORIGIN, "https://other.example"]), "claims")


@pytest.mark.parametrize("client", ["", "Portcullis", "portcullis ", "other"])
def test_another_client_is_refused(client: str) -> None:
    """There is one client."""
    refuse(genuine.token(client_id=client), "token client")


@pytest.mark.parametrize(("ahead", "accepted"), [(0, True), (10, True), (11, False), (900, False)])
def test_a_token_from_the_future_is_refused_from_11_s_on(ahead: int, *, accepted: bool) -> None:
    """FAPI 2.0 section 5.3.2.1-13: clocks may differ by 10 s."""
    compact = genuine.token(iat=NOW + ahead, exp=NOW + ahead + 900)
    if accepted:
        assert accept(compact)
    else:
        refuse(compact, "future")


def test_a_token_lives_until_the_second_before_it_expires() -> None:
    """At `exp` itself the token is over (RFC 7519 section 4.1.4: on or after)."""
    assert accept(genuine.token(), now=NOW + 899)
    refuse(genuine.token(), "expired", now=NOW + 900)
    refuse(genuine.token(), "expired", now=NOW + 10**9)


@pytest.mark.parametrize("lifetime", [1, 899, 900])
def test_a_lifetime_up_to_900_s_is_accepted(lifetime: int) -> None:
    """A token lives between 1 and 900 s."""
    assert accept(genuine.token(exp=NOW + lifetime))


@pytest.mark.parametrize("lifetime", [-900, -1, 0, 901, 86_400, 10**18])
def test_another_lifetime_is_refused(lifetime: int) -> None:
    """A token that lives longer than any we issue is not ours, whoever signed it."""
    refuse(genuine.token(exp=NOW + lifetime), "lifetime")


@pytest.mark.parametrize("claim", REQUIRED)
@pytest.mark.parametrize("value", [jws.ABSENT, None, 1.5, True])
def test_a_claim_that_is_absent_or_of_another_type_is_refused(claim: str, value: object) -> None:
    """Every claim is required, and of its type without coercion."""
    refuse(genuine.token(**{claim: value}), "claims")


@pytest.mark.parametrize("claim", ["iat", "exp", "epoch", "gen", "auth_time"])
def test_a_text_is_no_number(claim: str) -> None:
    """A number in quotes is refused, not converted."""
    refuse(genuine.token(**{claim: "1"}), "claims")


@pytest.mark.parametrize("claim", ["epoch", "gen"])
@pytest.mark.parametrize("value", [0, -1])
def test_an_epoch_or_generation_below_one_is_refused(claim: str, value: int) -> None:
    """Epochs and generations count from one."""
    refuse(genuine.token(**{claim: value}), "claims")


@pytest.mark.parametrize("cnf", [{}, {"jkt": None}, {"jkt": "a", "x5t#S256": "b"}, [], "jkt"])
def test_another_confirmation_is_refused(cnf: object) -> None:
    """A token is bound to one key, by its thumbprint and in no other way."""
    refuse(genuine.token(cnf=cnf), "claims")


@pytest.mark.parametrize("claim", ["scope", "nbf", "role", "admin"])
def test_an_unknown_claim_is_refused(claim: str) -> None:
    """We issue the token, so a claim that we do not know is not from us."""
    refuse(genuine.token(**{claim: "x"}), "claims")


def test_a_claim_given_twice_is_refused() -> None:
    """Two subjects are none, whichever a parser would take."""
    payload = jws.compact_json(token_claims()).replace(b'"sub":', b'"sub":"other","sub":')
    head = genuine.token().split(".", maxsplit=1)[0]
    signing_input = f"{head}.{jws.b64url(payload)}"
    signature = jws.b64url(jws.signature(signing_input.encode(), genuine.KEY))
    refuse(f"{signing_input}.{signature}", "claims")


def test_an_oversized_token_is_refused() -> None:
    """A token has at most 2,048 characters."""
    refuse(genuine.token(acr="x" * 2048), "too long")
