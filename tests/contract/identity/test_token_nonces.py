"""Nonces at the token endpoint (RFC 9449 section 8), through its handler."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from functions.identity.refresh.handler import handler
from portcullis.identity import nonces
from portcullis.settings import setting
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import TOKEN, Family, is_admitted, now
from tests.contract.identity.records import unchanged
from tests.support import faults
from tests.support.dpop import ProofKey
from tests.support.events import FORM, Context, Sent
from tests.support.faults import Proxy

pytestmark = pytest.mark.contract


def _refresh(text: str, *, key: ProofKey, nonce: str | None, jti: str | None = None) -> Any:
    """Return the answer of the token endpoint, its body parsed."""
    proof = key.proof("POST", setting("PUBLIC_ORIGIN") + TOKEN, nonce=nonce, jti=jti)
    form = {"grant_type": "refresh_token", "refresh_token": text}
    sent = Sent(path=TOKEN, headers=[*FORM, ("DPoP", proof)], body=urlencode(form))
    reply = handler(sent.to_function(), Context())
    return reply | {"json": json.loads(reply["body"])}


def _is_challenge(reply: Any) -> bool:
    return (reply["statusCode"], reply["json"].get("error")) == (400, "use_dpop_nonce")


def test_a_challenge_hands_out_a_nonce_that_serves(family: Family) -> None:
    """400 `use_dpop_nonce` with a DPoP-Nonce; the same proof with it is not used up yet."""
    challenge = _refresh(family.refresh_token, key=family.key, nonce=None, jti="the-same")
    assert _is_challenge(challenge)
    assert challenge["headers"]["Cache-Control"] == "no-store"
    nonce = challenge["headers"]["DPoP-Nonce"]
    granted = _refresh(family.refresh_token, key=family.key, nonce=nonce, jti="the-same")
    assert granted["statusCode"] == 200
    assert granted["json"]["token_type"] == "DPoP"
    assert granted["headers"]["DPoP-Nonce"]
    assert is_admitted(family.key, granted["json"]["access_token"])


def test_a_wrong_nonce_is_challenged_without_io(
    product: Product, proxy: Proxy, family: Family
) -> None:
    """None, old, foreign: nothing is read, nothing is spent, and the right one is handed out."""
    old = nonces.current(now() - 2 * nonces.BUCKET_S)
    with unchanged(product[0]):
        proxy.calls.clear()
        for nonce in (None, "", "eyJ7S_zG.eyJH0-Z.HX4w-7v", old):
            challenge = _refresh(family.refresh_token, key=family.key, nonce=nonce)
            assert _is_challenge(challenge)
            assert challenge["headers"]["DPoP-Nonce"] not in {"", old}
        assert not proxy.calls


def test_a_spent_token_without_a_nonce_ends_nothing(product: Product, family: Family) -> None:
    """A challenge is no verdict on the token: only a whole proof ends a family."""
    family.refresh(family.refresh().refresh_token)
    with unchanged(product[0]):
        assert _is_challenge(_refresh(family.refresh_token, key=family.key, nonce=None))


def test_a_proof_made_ahead_of_time_refreshes_nothing(product: Product, family: Family) -> None:
    """Who had the device's key for a minute cannot have signed the nonce of a later one."""
    stolen = nonces.current(now() - 10 * nonces.BUCKET_S)
    with unchanged(product[0]):
        assert _is_challenge(_refresh(family.refresh_token, key=family.key, nonce=stolen))


def test_a_refusal_hands_out_a_nonce_too(family: Family) -> None:
    """Whatever is refused, the client has what its next proof needs."""
    refused = _refresh("prt1.nothing", key=family.key, nonce=nonces.fresh())
    assert (refused["statusCode"], refused["json"]["error"]) == (400, "invalid_grant")
    assert refused["headers"]["DPoP-Nonce"] == nonces.fresh()


def test_a_failure_hands_out_none(proxy: Proxy, family: Family) -> None:
    """503 says only when to come again."""
    proxy.fail_before("BatchGetItem", times=faults.ALWAYS)
    failed = _refresh(family.refresh_token, key=family.key, nonce=nonces.fresh())
    assert failed["statusCode"] == 503
    assert "DPoP-Nonce" not in failed["headers"]
