"""An OAuth library that we did not write refreshes, calls and revokes, by the metadata alone."""

from dataclasses import dataclass

import pytest
import requests
from requests_oauth2client import (
    DPoPKey,
    DPoPToken,
    InvalidGrant,
    OAuth2Client,
    UnsupportedTokenType,
)

from tests.support import jws
from tests.support.client import CLIENT_ID, Client
from tests.support.stack import Stack
from tests.system.people import signed_in

METADATA = "/.well-known/oauth-authorization-server"
TIMEOUT_S = 35.0


@dataclass
class Library:
    """A library's client, and the token that it holds."""

    oauth: OAuth2Client
    token: DPoPToken

    @property
    def key(self) -> DPoPKey:
        """The key that the token is bound to, with the nonces that the library has been given."""
        return self.token.dpop_key

    def refresh(self) -> None:
        """Trade the refresh token for its successor."""
        fresh = self.oauth.refresh_token(self.token)
        assert isinstance(fresh, DPoPToken)
        self.token = fresh


def _library(person: Client) -> Library:
    """Return a library that goes on with a session: all it knows besides is the issuer."""
    oauth = OAuth2Client.from_discovery_endpoint(
        url=person.origin + METADATA,
        issuer=person.origin,
        client_id=CLIENT_ID,
        testing=True,  # a laptop has no https
    )
    key = DPoPKey(private_key=jws.private_jwk(person.proof_key.private), alg="ES256")
    token = DPoPToken(
        access_token=person.access_token or "",
        refresh_token=person.refresh_token,
        expires_in=900,
        _dpop_key=key,
    )
    return Library(oauth, token)


@pytest.fixture
def library(stack: Stack) -> Library:
    """A library with somebody's live session."""
    return _library(signed_in(stack))


def _wallets(stack: Stack, library: Library) -> requests.Response:
    return requests.get(stack.public_origin + "/wallets", auth=library.token, timeout=TIMEOUT_S)


def test_it_refreshes_through_the_nonce_challenge(stack: Stack, library: Library) -> None:
    """RFC 9449 section 8: challenged once, it repeats with the nonce, and the new token works."""
    before = library.token
    assert library.key.as_nonce is None
    library.refresh()
    assert library.key.as_nonce is not None
    assert library.token.access_token != before.access_token
    assert library.token.refresh_token != before.refresh_token
    assert _wallets(stack, library).status_code == 200


def test_it_refreshes_on_with_the_nonce_that_it_has(library: Library) -> None:
    """Within the nonce's minute a second refresh is not challenged."""
    library.refresh()
    nonce = library.key.as_nonce
    library.refresh()
    assert library.key.as_nonce == nonce


def test_it_answers_the_challenge_of_a_money_route(stack: Stack, library: Library) -> None:
    """RFC 9449 section 9: on 401 with a nonce it repeats with it.

    It signs no order (`bd`, `idk` are ours), so what it hears then is that, and no challenge.
    """
    reply = requests.post(
        stack.public_origin + "/wallets",
        json={"currency": "EUR"},
        headers={"Idempotency-Key": "order-1"},
        auth=library.token,
        timeout=TIMEOUT_S,
    )
    assert library.key.rs_nonce is not None
    assert (reply.status_code, reply.json()["type"].rpartition(":")[2]) == (400, "order-not-signed")


def test_it_mends_a_nonce_that_is_old(stack: Stack, library: Library) -> None:
    """An old nonce on a route that demands none is challenged, and the library goes on."""
    library.key.rs_nonce = "eyJ7S_zG.eyJH0-Z.HX4w-7v"
    assert _wallets(stack, library).status_code == 200
    assert library.key.rs_nonce != "eyJ7S_zG.eyJH0-Z.HX4w-7v"


def test_it_revokes(stack: Stack, library: Library) -> None:
    """RFC 7009: the session is over, and a refresh says so in the library's own terms."""
    library.refresh()
    assert library.oauth.revoke_refresh_token(library.token) is True
    with pytest.raises(InvalidGrant):
        library.oauth.refresh_token(library.token)
    # It takes any DPoP challenge for one of nonces and repeats once, with the nonce of the Deny.
    assert _wallets(stack, library).status_code == 401


def test_it_is_told_that_an_access_token_is_not_revoked(library: Library) -> None:
    """RFC 7009 section 2.2.1: `unsupported_token_type`."""
    with pytest.raises(UnsupportedTokenType):
        library.oauth.revoke_access_token(library.token)


def test_another_key_refreshes_nothing(library: Library) -> None:
    """RFC 9449 section 5: a public client's refresh token is worth nothing under another key."""
    stolen = DPoPToken(
        access_token=library.token.access_token,
        refresh_token=library.token.refresh_token,
        expires_in=900,
        _dpop_key=DPoPKey.generate(),
    )
    with pytest.raises(InvalidGrant):
        library.oauth.refresh_token(stolen)
    library.refresh()
