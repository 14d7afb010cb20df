"""A client of the public API: what a wallet application would do, and what its thief would try."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack
from urllib.parse import urlencode

from infra.local.arrival import SOURCE_HEADER
from tests.support import http, jws
from tests.support.authenticator import HONEST as WELL_BEHAVED
from tests.support.authenticator import Authenticator, Misbehaviour
from tests.support.dpop import HONEST, Forgery, ProofKey
from tests.support.http import Headers, Reply

CLIENT_ID = "portcullis"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Overrides(TypedDict, total=False):
    """What to change about one request, to attack with it.

    The proof is made over what is really sent, so that only what is overridden is wrong.

    Attributes:
        proof: A whole proof instead of a fresh one, or None for no proof at all.
        proof_key: Another key that makes the proof: a thief's own.
        claims: Proof claims to replace, or to drop with `jws.ABSENT`.
        forgery: What else is wrong with the proof.
        nonce: Another nonce in the proof, or None for none; then no challenge is taken up.
        now: Seconds since the epoch for the proof's `iat`.
        token: Another access token, or None for no token at all.
        body: Other body bytes.
        content_type: Another content type, or None for none.
        headers: Header fields sent besides the client's own.
    """

    proof: str | None
    proof_key: ProofKey
    claims: Mapping[str, Any]
    forgery: Forgery
    nonce: str | None
    now: float
    token: str | None
    body: bytes
    content_type: str | None
    headers: Headers


@dataclass
class Client:
    """One person's application, talking to one public origin.

    Every method returns the server's reply and raises on no refusal. A ceremony of two requests
    returns the first refusal it meets; overrides shape its second request.

    Attributes:
        origin: The public origin, and the origin of the page that asks for the passkey.
        authenticator: Holds the person's passkeys.
        account: The account's id, once opened.
        proof_key: The key that the current tokens are bound to; a new one at each ceremony.
        access_token: The current access token.
        refresh_token: The current refresh token.
        nonce: The last nonce that the server gave (RFC 9449 section 8.2).
        clock: The application's clock, seconds since the epoch.
        address: Where a staged stack takes the requests to come from; this machine if None.
        user_agent: What the application says it is, if anything.
    """

    origin: str
    authenticator: Authenticator = field(default_factory=Authenticator)
    account: str | None = None
    proof_key: ProofKey = field(default_factory=ProofKey)
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    nonce: str | None = None
    clock: Callable[[], float] = time.time
    address: str | None = None
    user_agent: str | None = None

    def open_account(
        self, *, misbehaviour: Misbehaviour = WELL_BEHAVED, **overrides: Unpack[Overrides]
    ) -> Reply:
        """Open an account with a new passkey; remember its id."""
        self.proof_key = ProofKey()
        options = self._post("/accounts/options", {}, token=None)
        if options.status != 200:
            return options
        credential = self.authenticator.create(
            options.json["publicKey"], self.origin, misbehaviour=misbehaviour
        )
        opened = self._post("/accounts", {"credential": credential}, **_without_token(overrides))
        if opened.status == 201:
            self.account = opened.json["account"]
        return opened

    def sign_in(
        self, *, misbehaviour: Misbehaviour = WELL_BEHAVED, **overrides: Unpack[Overrides]
    ) -> Reply:
        """Sign in with the passkey under a new proof key; remember the tokens."""
        self.proof_key = ProofKey()
        options = self._post("/sessions/options", {}, token=None)
        if options.status != 200:
            return options
        credential = self.authenticator.get(
            options.json["publicKey"], self.origin, misbehaviour=misbehaviour
        )
        reply = self._post("/sessions", {"credential": credential}, **_without_token(overrides))
        return self._remember(reply)

    def refresh(self, refresh_token: str | None = None, **overrides: Unpack[Overrides]) -> Reply:
        """Trade the current refresh token, or the one given, for its successor; remember it."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token or self.refresh_token or "",
            "client_id": CLIENT_ID,
        }
        return self._remember(self._post_form("/oauth/token", form, **_without_token(overrides)))

    def revoke(self, refresh_token: str | None = None, **overrides: Unpack[Overrides]) -> Reply:
        """Revoke the current refresh token, or the one given (RFC 7009)."""
        form = {
            "token": refresh_token or self.refresh_token or "",
            "token_type_hint": "refresh_token",
        }
        bare: Overrides = {"proof": None, "token": None}
        return self._post_form("/oauth/revoke", form, **(bare | overrides))

    def wallets(self, **overrides: Unpack[Overrides]) -> Reply:
        """Return the wallets and their balances."""
        return self.call("GET", "/wallets", **overrides)

    def open_wallet(
        self, currency: str, key: str | None = None, **overrides: Unpack[Overrides]
    ) -> Reply:
        """Order a wallet in `currency`."""
        return self.order("/wallets", {"currency": currency}, key, **overrides)

    def transfer(
        self,
        to: str | None,
        amount: str,
        currency: str,
        key: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> Reply:
        """Order `amount`, a decimal text such as "12.34", to the account `to`."""
        meaning = {"to_account": to, "amount": {"amount": amount, "currency": currency}}
        return self.order("/transfers", meaning, key, **overrides)

    def statement(
        self,
        currency: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> Reply:
        """Return the entries of one wallet, newest first."""
        asked = {"limit": limit, "cursor": cursor}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return self.call("GET", f"/wallets/{currency}/entries", query=query, **overrides)

    def order(
        self,
        path: str,
        meaning: Mapping[str, object],
        key: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> Reply:
        """POST an order: the proof covers its raw body and its idempotency key."""
        body: Overrides = {"body": jws.compact_json(meaning), "content_type": JSON}
        key = key or uuid.uuid4().hex
        return self.call("POST", path, idempotency_key=key, **(body | overrides))

    def call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        idempotency_key: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> Reply:
        """Send any request with the current token and a fresh proof.

        A challenge for a nonce is taken up once, unless an override makes the proof its own.
        """
        reply = self._send(method, path, query, idempotency_key, **overrides)
        if _is_nonce_challenge(reply) and not {"proof", "nonce"} & overrides.keys():
            reply = self._send(method, path, query, idempotency_key, **overrides)
        return reply

    def _send(
        self,
        method: str,
        path: str,
        query: str,
        idempotency_key: str | None,
        **overrides: Unpack[Overrides],
    ) -> Reply:
        body = overrides.get("body")
        token = overrides.get("token", self.access_token)
        content_type = overrides.get("content_type")
        if "proof" in overrides:
            proof = overrides["proof"]
        else:
            proof = self.proof(method, path, idempotency_key=idempotency_key, **overrides)
        fields = {
            "Accept": JSON,
            "Content-Type": content_type,
            "Authorization": None if token is None else f"DPoP {token}",
            "DPoP": proof,
            "Idempotency-Key": idempotency_key,
            "User-Agent": self.user_agent,
            SOURCE_HEADER: self.address,
        }
        own = [(name, value) for name, value in fields.items() if value is not None]
        target = f"{path}?{query}" if query else path
        headers = [*own, *overrides.get("headers", ())]
        reply = http.send(self.origin, method, target, headers=headers, body=body)
        self.nonce = reply.header("DPoP-Nonce") or self.nonce
        return reply

    def proof(
        self,
        method: str,
        path: str,
        *,
        idempotency_key: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> str:
        """Return the proof that `call` would send; an order's proof signs the order."""
        return overrides.get("proof_key", self.proof_key).proof(
            method,
            self.origin + path,
            access_token=overrides.get("token", self.access_token),
            body=None if idempotency_key is None else overrides.get("body"),
            idempotency_key=idempotency_key,
            nonce=overrides.get("nonce", self.nonce),
            now=overrides.get("now", self.clock()),
            forgery=overrides.get("forgery", HONEST),
            **overrides.get("claims", {}),
        )

    def _post(
        self, path: str, meaning: Mapping[str, object], **overrides: Unpack[Overrides]
    ) -> Reply:
        body: Overrides = {"body": jws.compact_json(meaning), "content_type": JSON}
        return self.call("POST", path, **(body | overrides))

    def _post_form(
        self, path: str, form: Mapping[str, str], **overrides: Unpack[Overrides]
    ) -> Reply:
        body: Overrides = {"body": urlencode(form).encode(), "content_type": FORM}
        return self.call("POST", path, **(body | overrides))

    def _remember(self, reply: Reply) -> Reply:
        if reply.status == 200:
            self.access_token = reply.json["access_token"]
            self.refresh_token = reply.json["refresh_token"]
        return reply


def _is_nonce_challenge(reply: Reply) -> bool:
    return reply.status in {400, 401} and reply.problem == "use-dpop-nonce"


def _without_token(overrides: Overrides) -> Overrides:
    """Ceremonies and refresh present no access token unless an attack says so."""
    bare: Overrides = {"token": None}
    return bare | overrides
