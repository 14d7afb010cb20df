"""People with their authenticators, proof keys and tokens, at the domain's door."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from portcullis import clock, entropy
from portcullis.aws import dynamodb, kms
from portcullis.aws.dynamodb import Put
from portcullis.evidence import caller, dpop
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.approvals import Act
from portcullis.evidence.caller import Caller
from portcullis.evidence.dpop import Proof
from portcullis.identity import (
    accounts,
    approving,
    assurance,
    changes,
    credentials,
    gate,
    nonces,
    passkey_adding,
    passkey_list,
    password_setting,
    password_sign_in,
    recovery,
    recovery_codes,
    refresh,
    second_factor,
    sessions,
    sign_in,
    tables,
    tickets,
    tokens,
    totp,
    totp_enrolment,
)
from portcullis.identity.changes import Principal
from portcullis.identity.factors import EnrolledPasskey, Factors
from portcullis.identity.families import Handle, RefreshToken
from portcullis.identity.passkey_adding import Addition
from portcullis.identity.passkeys import Assertion, Registration
from portcullis.identity.session_list import SessionList
from portcullis.identity.sessions import Session
from portcullis.identity.standing import Standing
from portcullis.identity.tickets import Ticket
from portcullis.identity.tokens import Tokens
from portcullis.settings import setting, settings_list
from portcullis.source import Source
from tests.support import jws
from tests.support.authenticator import HONEST, Authenticator, Misbehaviour, attestation_object
from tests.support.dpop import ProofKey

OPEN_OPTIONS, OPEN = "/accounts/options", "/accounts"
SIGN_IN_OPTIONS, SIGN_IN = "/sessions/options", "/sessions"
TOKEN = "/oauth/token"
WALLETS = "/wallets"
SOURCE = Source.of(
    address="81.2.69.142",
    user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
)
"""Where everybody comes from: an address in the United Kingdom."""
ELSEWHERE = Source.of(address="86.120.0.10", user_agent=SOURCE.user_agent)
"""The same client, at an address in Romania."""


def now() -> int:
    """Return the machine's time in Unix seconds."""
    return int(time.time())


def proof_of(key: ProofKey, path: str, *, at_s: int | None = None) -> Proof:
    """Return a fresh proof for a POST to *path*, verified as the edge verifies it.

    It has the server's nonce where one is demanded.
    """
    return proof_and_compact(key, path, at_s=at_s)[0]


def proof_and_compact(key: ProofKey, path: str, *, at_s: int | None = None) -> tuple[Proof, str]:
    """Return the same as ``proof_of``, and as it came."""
    url, now_s = setting("PUBLIC_ORIGIN") + path, now() if at_s is None else at_s
    nonce = nonces.current(now_s) if path == TOKEN else None
    compact = key.proof("POST", url, now=now_s, nonce=nonce)
    proof = dpop.verify(
        compact, expected_method="POST", expected_url=url, access_token=None, now_s=now_s
    )
    return proof, compact


def caller_of(
    key: ProofKey, access_token: str, method: str, path: str, *, at_s: int | None = None
) -> Caller:
    """Return the caller of a request with a fresh proof, verified as the edge verifies it."""
    origin, now_s = setting("PUBLIC_ORIGIN"), now() if at_s is None else at_s
    proof = key.proof(method, origin + path, access_token=access_token, now=now_s)
    return caller.verify(
        compact_token=access_token,
        compact_proof=proof,
        keys=kms.trusted_keys(*settings_list("ACCESS_TOKEN_KEYS")),
        expected_origin=origin,
        expected_method=method,
        expected_path=path,
        now_s=now_s,
    )


def admit(
    key: ProofKey,
    access_token: str,
    *,
    method: str = "GET",
    path: str = WALLETS,
    source: Source = SOURCE,
) -> AccessToken:
    """Come to the gate with an access token and a fresh proof of *key*, with a nonce if need be."""
    url = setting("PUBLIC_ORIGIN") + path
    nonce = None if method == "GET" else nonces.current(clock.now_s())
    proof = key.proof(method, url, access_token=access_token, nonce=nonce, now=clock.now_s())
    return gate.admit(
        authorization=f"DPoP {access_token}",
        proof=proof,
        method=method,
        path=path,
        resource=path,
        source=source,
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
        source: Source = SOURCE,
    ) -> Tokens:
        """Present a refresh token (this family's first one) with a fresh proof of its key."""
        shown = proof or proof_of(key or self.key, TOKEN, at_s=at_s)
        presented = self.refresh_token if text is None else text
        now_s = now() if at_s is None else at_s
        return refresh.refresh(presented, proof=shown, source=source, now_s=now_s)

    def principal(
        self,
        method: str,
        resource: str,
        *,
        act: Act | None = None,
        approval: str | None = None,
        at_s: int | None = None,
    ) -> Principal:
        """Return who comes with this family's access token and a fresh proof to a route."""
        now_s = now() if at_s is None else at_s
        who = caller_of(self.key, self.access_token, method, resource, at_s=now_s)
        return changes.principal(
            who, route=(method, resource), act=act, approval=approval, now_s=now_s
        )

    def renewed(self) -> "Family":
        """Return the same family after a refresh, as its client goes on with it."""
        return family_of(self.refresh(), self.key)

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
        account = open_account(registration, key)
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
            proof=proof_of(key, SIGN_IN_OPTIONS),
            source=SOURCE,
            now_s=now() if at_s is None else at_s,
        )
        answer = self.authenticator.get(
            options, setting("PUBLIC_ORIGIN"), misbehaviour=misbehaviour
        )
        return Assertion.model_validate(answer)

    @property
    def passkey(self) -> str:
        """What the API calls the newest passkey."""
        return credentials.id_of(self.authenticator.credentials[-1].id)

    @property
    def factors(self) -> Factors:
        """The account's factors as they are stored."""
        item = dynamodb.get(tables.identity(), tables.factors_key(self.account))
        assert item is not None
        return Factors.from_item(item)

    @property
    def standing(self) -> Standing:
        """The account's standing as it is stored."""
        item = dynamodb.get(tables.standing(), tables.standing_key(self.account))
        assert item is not None
        return Standing.from_item(item)

    def hold(self, count: int) -> None:
        """Let the account hold *count* passkeys, as that many additions would have left it."""
        held = self.factors
        more = tuple(
            EnrolledPasskey(
                id=f"{index:026}", credential_id=bytes([index]), added_at=0, established_at=0
            )
            for index in range(len(held.passkeys), count)
        )
        dynamodb.execute(held.next(passkeys=(*held.passkeys, *more)).written_after(held))

    def sign_in(self, *, at_s: int | None = None, source: Source = SOURCE) -> Family:
        """Start a session through the product, bound to a new key."""
        key, now_s = ProofKey(), now() if at_s is None else at_s
        answer = self.assertion(key, at_s=now_s)
        proof = proof_of(key, SIGN_IN, at_s=now_s)
        return family_of(sign_in.sign_in(answer, proof=proof, source=source, now_s=now_s), key)

    def answer(self, family: Family, act: Act, *, at_s: int | None = None) -> Assertion:
        """Ask in a session for the approval of an act, and answer with the passkey."""
        options = approving.options(
            act,
            principal=family.principal("POST", "/approvals/options", at_s=at_s),
            now_s=now() if at_s is None else at_s,
        )
        asked = options["publicKey"]
        return Assertion.model_validate(self.authenticator.get(asked, setting("PUBLIC_ORIGIN")))

    def approve(self, family: Family, act: Act, *, at_s: int | None = None) -> str:
        """Approve an act with the passkey, in a session of this person."""
        approval = approving.by_passkey(
            self.answer(family, act, at_s=at_s),
            principal=family.principal("POST", "/approvals", at_s=at_s),
            now_s=now() if at_s is None else at_s,
        )
        assert approval is not None
        return approval

    def add_passkey(
        self,
        family: Family,
        authenticator: Authenticator,
        *,
        approver: "Person | None" = None,
        label: str | None = None,
    ) -> dict[str, Any]:
        """Add a passkey of another authenticator, approved by *approver*'s passkey if given."""
        options = passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now())
        answer = authenticator.create(options, setting("PUBLIC_ORIGIN"))
        registration = Registration.model_validate(answer)
        bare = Addition(credential=registration, label=label)
        approval = approver.approve(family, bare.act) if approver else None
        who = caller_of(family.key, family.access_token, "POST", "/passkeys")
        return passkey_adding.add(
            bare.model_copy(update={"approval": approval}),
            principal=changes.principal(
                who, route=("POST", "/passkeys"), act=bare.act, approval=approval, now_s=now()
            ),
            evidence=who,
            now_s=now(),
        )

    def put_password(
        self, family: Family, login: str, password: str, *, approved: bool = True
    ) -> dict[str, str]:
        """Set the password, approved by this person's passkey or not."""
        act = Act(kind="set-password", fields=[])
        approval = self.approve(family, act) if approved else None
        principal = family.principal("PUT", "/password", act=act, approval=approval)
        return password_setting.put(login, password, principal=principal, now_s=now())

    def add_totp(self, family: Family, *, approved: bool = True) -> bytes:
        """Enrol TOTP and confirm it; return its secret."""
        enrolled = totp_enrolment.enrol(family.principal("POST", "/totp"), now_s=now())
        secret = totp.secret_in(enrolled["secret"])
        act = Act(kind="add-totp", fields=[enrolled["enrolment"]])
        approval = self.approve(family, act) if approved else None
        totp_enrolment.confirm(
            enrolled["enrolment"],
            totp_code(secret, now() - totp.STEP_S),
            principal=family.principal("POST", "/totp/confirm", act=act, approval=approval),
            now_s=now(),
        )
        return secret

    def remove_passkey(self, family: Family, id_: str, *, at_s: int | None = None) -> None:
        """Remove a passkey of the account, approved by this person's own."""
        act = Act(kind="remove-passkey", fields=[id_])
        approval = self.approve(family, act, at_s=at_s)
        principal = family.principal(
            "DELETE", "/passkeys/{id}", act=act, approval=approval, at_s=at_s
        )
        passkey_list.remove(id_, principal=principal, now_s=now() if at_s is None else at_s)

    def remove_totp(self, family: Family, *, at_s: int | None = None) -> None:
        """Remove TOTP, approved by this person's passkey."""
        act = Act(kind="remove-totp", fields=[])
        approval = self.approve(family, act, at_s=at_s)
        principal = family.principal("DELETE", "/totp", act=act, approval=approval, at_s=at_s)
        totp_enrolment.remove(principal, now_s=now() if at_s is None else at_s)

    def pending(self, key: ProofKey, *, at_s: int | None = None) -> str:
        """Return the ticket that the right password gets under *key*, without Argon2's cost."""
        held = self.factors
        assert held.password is not None
        ticket = Ticket(
            account=self.account,
            epoch=self.standing.epoch,
            verifier=held.password.verifier,
            totp=held.totp.enrolment if held.totp else "",
        )
        now_s = now() if at_s is None else at_s
        text, insert = tickets.issued(ticket, jkt=key.jkt, now_s=now_s)
        dynamodb.execute(insert)
        return text

    def mint_codes(self, family: Family) -> list[str]:
        """Mint recovery codes, approved by the passkey."""
        act = Act(kind="mint-recovery-codes", fields=[])
        principal = family.principal(
            "POST", "/recovery-codes", act=act, approval=self.approve(family, act)
        )
        return recovery_codes.mint(principal, now_s=now())

    def session_at(self, generation: int) -> Family:
        """Store a live session of this person that has come to *generation*.

        It is written as a sign-in and its rotations would have left it, without their cost.
        """
        now_s, keys = now(), tokens.family_keys()
        handle = Handle.new(self.handle)
        token = keys.mint(handle, generation)
        session = Session(
            sid=handle.sid,
            account=self.account,
            status=sessions.LIVE,
            epoch=self.standing.epoch,
            jkt=self.key.jkt,
            acr=assurance.PHR,
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


def listed(families: Sequence[Family]) -> None:
    """List the sessions that ``session_at`` stored, after those that the account's list has."""
    item = dynamodb.get(tables.identity(), tables.sessions_key(families[0].account))
    assert item is not None
    before = SessionList.from_item(item)
    dynamodb.execute(before.with_only((*before.sids, *(one.sid for one in families))))


def begin(
    login: str, password: str, key: ProofKey, *, at_s: int | None = None
) -> password_sign_in.Pending:
    """Give login name and password, under *key*."""
    now_s = now() if at_s is None else at_s
    proof = proof_of(key, "/sessions/password", at_s=now_s)
    return password_sign_in.begin(login, password, proof=proof, source=SOURCE, now_s=now_s)


def finish(ticket: str, code: str, key: ProofKey, *, at_s: int | None = None) -> Family:
    """Finish a sign-in with a TOTP code, under *key*."""
    now_s = now() if at_s is None else at_s
    proof = proof_of(key, "/sessions/second-factor", at_s=now_s)
    started = second_factor.by_code(ticket, code, proof=proof, source=SOURCE, now_s=now_s)
    return family_of(started, key)


def totp_code(secret: bytes, at_s: int) -> str:
    """Return the TOTP code of a moment."""
    return TOTP(secret, totp.DIGITS, SHA1(), totp.STEP_S).generate(at_s).decode()  # noqa: S303


def recover(code: str, authenticator: Authenticator, *, at_s: int | None = None) -> tuple[str, int]:
    """Recover the account of a code with a new passkey."""
    key, now_s = ProofKey(), now() if at_s is None else at_s
    options = recovery.options(
        code, proof=proof_of(key, "/recovery/options", at_s=now_s), source=SOURCE, now_s=now_s
    )
    answer = authenticator.create(options, setting("PUBLIC_ORIGIN"))
    proof, compact = proof_and_compact(key, "/recovery", at_s=now_s)
    return recovery.recover(
        code,
        Registration.model_validate(answer),
        proof=proof,
        compact_proof=compact,
        source=SOURCE,
        now_s=now_s,
    )


def open_account(
    registration: Registration,
    key: ProofKey,
    *,
    shown: tuple[Proof, str] | None = None,
    at_s: int | None = None,
) -> str:
    """Open an account with an answered ceremony, and a fresh proof unless one is to be shown."""
    proof, compact = shown or proof_and_compact(key, OPEN)
    now_s = now() if at_s is None else at_s
    return accounts.open_account(
        registration, proof=proof, compact_proof=compact, source=SOURCE, now_s=now_s
    )


def registered(
    authenticator: Authenticator, key: ProofKey, *, misbehaviour: Misbehaviour = HONEST
) -> Registration:
    """Ask for a challenge with *key* and answer it with a new passkey."""
    options = accounts.options(proof=proof_of(key, OPEN_OPTIONS), source=SOURCE, now_s=now())
    answer = authenticator.create(options, setting("PUBLIC_ORIGIN"), misbehaviour=misbehaviour)
    return Registration.model_validate(answer)


def same_passkey(holder: Authenticator, options: dict[str, Any]) -> Registration:
    """Answer a ceremony with the newest passkey that *holder* already has, as no browser would."""
    answer = Authenticator().create(options, setting("PUBLIC_ORIGIN"))
    passkey = holder.credentials[-1]
    data = holder.authenticator_data(passkey, HONEST, attested=True)
    answer["id"] = answer["rawId"] = jws.b64url(passkey.id)
    answer["response"]["attestationObject"] = jws.b64url(attestation_object(data))
    return Registration.model_validate(answer)


def family_of(started: Tokens, key: ProofKey) -> Family:
    """Return what the client holds of the session that these tokens belong to."""
    claims = jws.claims_of(started.access_token)
    sub, sid = str(claims["sub"]), str(claims["sid"])
    return Family(sub, sid, key, started.refresh_token, started.access_token)
