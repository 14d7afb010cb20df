"""People with their authenticators, proof keys and tokens, at the domain's door."""

import time
from dataclasses import dataclass, field

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Put
from portcullis.evidence import dpop
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.dpop import Proof
from portcullis.identity import accounts, gate, refresh, sessions, sign_in, tables, tokens
from portcullis.identity.families import Handle, RefreshToken
from portcullis.identity.passkeys import Assertion, Registration
from portcullis.identity.sessions import Session
from portcullis.identity.standing import Standing
from portcullis.identity.tokens import Tokens
from portcullis.settings import setting
from tests.support import jws
from tests.support.authenticator import HONEST, Authenticator, Misbehaviour
from tests.support.dpop import ProofKey

OPEN_OPTIONS, OPEN = "/accounts/options", "/accounts"
SIGN_IN_OPTIONS, SIGN_IN = "/sessions/options", "/sessions"
TOKEN = "/oauth/token"
WALLETS = "/wallets"


def now() -> int:
    """Return the machine's time in Unix seconds."""
    return int(time.time())


def proof_of(key: ProofKey, path: str, *, at_s: int | None = None) -> Proof:
    """Return a fresh proof for a POST to *path*, verified as the edge verifies it."""
    url, now_s = setting("PUBLIC_ORIGIN") + path, now() if at_s is None else at_s
    return dpop.verify(
        key.proof("POST", url, now=now_s),
        expected_method="POST",
        expected_url=url,
        access_token=None,
        now_s=now_s,
    )


def admit(key: ProofKey, access_token: str, *, method: str = "GET") -> AccessToken:
    """Come to the gate with an access token and a fresh proof of *key*."""
    url = setting("PUBLIC_ORIGIN") + WALLETS
    proof = key.proof(method, url, access_token=access_token)
    return gate.admit(
        authorization=f"DPoP {access_token}", proof=proof, method=method, path=WALLETS
    )


def is_admitted(key: ProofKey, access_token: str) -> bool:
    """Whether the gate lets the token pass; False only if it says that the session is over."""
    try:
        admit(key, access_token)
    except (gate.SessionEndedError, gate.SessionTerminatedError):
        return False
    return True


@dataclass
class Family:
    """What a client holds of a session: its key, its first tokens, and what names the session."""

    account: str
    sid: str
    key: ProofKey
    refresh_token: str
    access_token: str

    def refresh(
        self,
        text: str | None = None,
        *,
        key: ProofKey | None = None,
        proof: Proof | None = None,
        at_s: int | None = None,
    ) -> Tokens:
        """Present a refresh token (this family's first one) with a fresh proof of its key."""
        shown = proof or proof_of(key or self.key, TOKEN, at_s=at_s)
        presented = self.refresh_token if text is None else text
        return refresh.refresh(presented, proof=shown, now_s=now() if at_s is None else at_s)

    @property
    def stored(self) -> Session:
        """The session as it is stored."""
        item = dynamodb.get(tables.identity(), tables.session_key(self.sid))
        assert item is not None
        return Session.from_item(item)


@dataclass
class Person:
    """Somebody with a passkey, and the account that it opens."""

    account: str
    authenticator: Authenticator
    key: ProofKey = field(default_factory=ProofKey)

    @classmethod
    def with_account(cls, authenticator: Authenticator | None = None) -> "Person":
        """Open an account through the product."""
        holder, key = authenticator or Authenticator(), ProofKey()
        registration = registered(holder, key)
        account = accounts.open_account(registration, proof=proof_of(key, OPEN), now_s=now())
        return cls(account, holder, key)

    @property
    def handle(self) -> bytes:
        """The account's user handle."""
        return self.authenticator.credentials[-1].user_handle

    def assertion(
        self, key: ProofKey, *, misbehaviour: Misbehaviour = HONEST, at_s: int | None = None
    ) -> Assertion:
        """Ask for a challenge with *key* and answer it with the passkey."""
        options = sign_in.options(
            proof=proof_of(key, SIGN_IN_OPTIONS), now_s=now() if at_s is None else at_s
        )
        answer = self.authenticator.get(
            options, setting("PUBLIC_ORIGIN"), misbehaviour=misbehaviour
        )
        return Assertion.model_validate(answer)

    def sign_in(self) -> Family:
        """Start a session through the product, bound to a new key."""
        key = ProofKey()
        answer = self.assertion(key)
        started = sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), now_s=now())
        return family_of(started, key)

    def session_at(self, generation: int) -> Family:
        """Store a live session of this person that has come to *generation*.

        It is written as a sign-in and its rotations would have left it, without their cost.
        """
        now_s, keys = now(), tokens.family_keys()
        standing = dynamodb.get(tables.standing(), tables.standing_key(self.account))
        assert standing is not None
        handle = Handle.new(self.handle)
        token = keys.mint(handle, generation)
        session = Session(
            sid=handle.sid,
            account=self.account,
            status=sessions.LIVE,
            epoch=Standing.from_item(standing).epoch,
            jkt=self.key.jkt,
            acr=sign_in.PHISHING_RESISTANT,
            amr=sign_in.PASSKEY_METHODS,
            auth_time=now_s,
            generation=token.generation,
            current=token.digest,
            previous=RefreshToken(handle, generation - 1, b"predecessor").digest,
            rotated_at=now_s,
            retries=0,
            sealed=b"",
            attempt=entropy.new_id(),
            idle_expires=now_s + sessions.IDLE_S,
            absolute_expires=now_s + sessions.ABSOLUTE_S,
        )
        dynamodb.put(Put(tables.identity(), session.to_item()))
        return Family(self.account, handle.sid, self.key, keys.text(token), "")


def registered(
    authenticator: Authenticator, key: ProofKey, *, misbehaviour: Misbehaviour = HONEST
) -> Registration:
    """Ask for a challenge with *key* and answer it with a new passkey."""
    options = accounts.options(proof=proof_of(key, OPEN_OPTIONS), now_s=now())
    answer = authenticator.create(options, setting("PUBLIC_ORIGIN"), misbehaviour=misbehaviour)
    return Registration.model_validate(answer)


def family_of(started: Tokens, key: ProofKey) -> Family:
    """Return what the client holds of the session that these tokens belong to."""
    claims = jws.claims_of(started.access_token)
    sub, sid = str(claims["sub"]), str(claims["sid"])
    return Family(sub, sid, key, started.refresh_token, started.access_token)
