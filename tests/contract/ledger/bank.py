"""A ledger with everybody who orders something from it: real evidence, honest or forged.

What a function's handler does, and no more, stands between a command and the tables.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypedDict, Unpack

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from portcullis import entropy
from portcullis.ledger import authority, post
from portcullis.ledger import orders as ordered
from portcullis.ledger.answers import answer
from portcullis.ledger.book import Order
from portcullis.ledger.post import Posted
from portcullis.operations import registry
from portcullis.operations.registry import Registration
from tests.contract.ledger import orders
from tests.contract.ledger.books import Books, audited, dump
from tests.support import jws
from tests.support.dpop import ProofKey
from tests.support.key_service import KeyService
from tests.support.tables import Tables

PUBLIC_ORIGIN = "https://api.example.test"
INTERNAL_ORIGIN = "https://internal.example.test"
NOW = 1_800_000_000
"""The time at which everything here happens, unless a test says otherwise."""

ROUTES = {"open-wallet": "/wallets", "transfer": "/transfers", "deposit": "/deposits"}
ROLES = {"open-wallet": "money-open-wallet", "transfer": "money-order-transfer"}


class Forgery(TypedDict, total=False):
    """What is wrong with a JWS.

    Attributes:
        header: Members to replace, or to drop with `jws.ABSENT`.
        claims: Claims to replace or add, or to drop with `jws.ABSENT`.
        signed_by: Another signing key; the header still names the right one.
        after_signing: Claims changed once the signature is made.
    """

    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed_by: EllipticCurvePrivateKey
    after_signing: Mapping[str, object]


def signed(
    typ: str,
    content: Mapping[str, object],
    key: EllipticCurvePrivateKey,
    **forgery: Unpack[Forgery],
) -> str:
    """Return the JWS of *content* by *key*, with what the forgery changes."""
    header = {"typ": typ, "alg": "ES256", "kid": jws.thumbprint(jws.public_jwk(key))}
    compact = jws.sign(
        {**header, **forgery.get("header", {})},
        {**content, **forgery.get("claims", {})},
        forgery.get("signed_by", key),
    )
    return (
        jws.altered(compact, **forgery["after_signing"]) if "after_signing" in forgery else compact
    )


@dataclass(frozen=True)
class User:
    """Somebody with an account, and the key that its session is bound to."""

    account: str = field(default_factory=entropy.new_id)
    key: ProofKey = field(default_factory=ProofKey)


@dataclass(frozen=True)
class Partner:
    """A registered partner with its role and its signing key."""

    name: str
    key: EllipticCurvePrivateKey = field(default_factory=jws.new_key, repr=False)

    @property
    def role(self) -> str:
        """The IAM role that is its own."""
        return f"partner-{self.name}"

    @property
    def issuer(self) -> str:
        """What it calls itself."""
        return f"partner:{self.name}"

    @property
    def house(self) -> str:
        """The owner of its house account."""
        return f"house:{self.name}"

    def command(self, body: bytes, *, now: int = NOW, **forgery: Unpack[Forgery]) -> str:
        """Return its signed command to deposit."""
        claims = _command_claims(self.issuer, "/deposits", "deposit", body, now)
        return signed("portcullis-command+jwt", claims, self.key, **forgery)


@dataclass(frozen=True)
class Bank:
    """The ledger of one test."""

    tables: Tables
    keys: KeyService

    def user(self, *, status: str = "ACTIVE", epoch: int = 1) -> User:
        """Return somebody of that standing, without a wallet."""
        user = User()
        self.stand(user, status=status, epoch=epoch)
        return user

    def stand(
        self,
        user: User,
        *,
        status: str = "ACTIVE",
        epoch: int = 1,
        frozen_until: int = 0,
        approval_required_since: int = 0,
    ) -> None:
        """Change somebody's standing."""
        self.tables.call(
            "put_item",
            TableName=self.tables.standing,
            Item={
                "pk": {"S": user.account},
                "status": {"S": status},
                "epoch": {"N": str(epoch)},
                "frozen_until": {"N": str(frozen_until)},
                "approval_required_since": {"N": str(approval_required_since)},
            },
        )

    def holder(self, amount: str | None = None, currency: str = "EUR") -> User:
        """Return somebody with an open wallet that holds *amount*."""
        user = self.user()
        self.give("open-wallet", user, orders.open_wallet(currency))
        if amount is not None:
            self.deposit(self.funds, user, amount, currency=currency)
        return user

    @cached_property
    def funds(self) -> Partner:
        """A partner whose house may owe much in every currency."""
        return self.partner(
            "funds",
            floor=dict.fromkeys(("CHF", "EUR", "GBP", "USD"), "1000000000.00")
            | {"JPY": "1000000000000000"},
        )

    def partner(self, name: str, *, floor: Mapping[str, str]) -> Partner:
        """Return a partner, registered as an operator does it."""
        partner = Partner(name)
        registration = {
            "partner": name,
            "role": partner.role,
            "key": jws.public_jwk(partner.key),
            "floor": dict(floor),
        }
        registry.register(Registration.model_validate(registration))
        return partner

    def token(
        self, user: User, *, now: int = NOW, epoch: int = 1, **forgery: Unpack[Forgery]
    ) -> str:
        """Return an access token of the user, issued at *now*."""
        claims = {
            "iss": PUBLIC_ORIGIN,
            "aud": PUBLIC_ORIGIN,
            "sub": user.account,
            "client_id": "portcullis",
            "iat": now,
            "exp": now + 900,
            "jti": uuid.uuid4().hex,
            "cnf": {"jkt": user.key.jkt},
            "sid": "s" * 26,
            "epoch": epoch,
            "gen": 1,
            "acr": "phr",
            "amr": ["hwk", "user"],
            "auth_time": now,
        }
        return signed("at+jwt", claims, self.keys.signing_key("access-token"), **forgery)

    def proof(
        self, user: User, kind: str, order: bytes, key: str, token: str, **overrides: Any
    ) -> str:
        """Return the user's proof over one order."""
        honest: dict[str, Any] = {
            "access_token": token,
            "body": order,
            "idempotency_key": key,
            "now": NOW,
        }
        url = PUBLIC_ORIGIN + ROUTES[kind]
        return user.key.proof("POST", url, **(honest | overrides))

    def command(
        self,
        kind: str,
        user: User,
        body: bytes,
        *,
        key: str | None = None,
        token: str | None = None,
        proof: str | None = None,
        approval: str | None = None,
        now: int = NOW,
        **forgery: Unpack[Forgery],
    ) -> str:
        """Return the money zone's command for what a user ordered under *key*."""
        token = token or self.token(user, now=now)
        proof = proof or self.proof(user, kind, body, key or uuid.uuid4().hex, token, now=now)
        claims = _command_claims("money", "/postings", kind, body, now)
        return signed(
            "portcullis-command+jwt",
            claims
            | {"proof": proof, "token": token}
            | ({} if approval is None else {"approval": approval}),
            self.keys.signing_key("command"),
            **forgery,
        )

    def obey(self, command: str, *, role: str | None, now: int = NOW) -> tuple[Order, Posted]:
        """Do with a command of the money zone what `POST /postings` does."""
        order = ordered.of_user(authority.money_command(command, caller_role=role, now_s=now))
        return order, post.post(order, command=command, floor_minor=0, now_s=now)

    def obey_partner(
        self, command: str, *, role: str | None, now: int = NOW
    ) -> tuple[Order, Posted]:
        """Do with a partner's command what `POST /deposits` does."""
        verified, partner = authority.partner_command(command, caller_role=role, now_s=now)
        order = ordered.of_partner(verified, partner)
        floor_minor = partner.floor_of(order.currency)
        return order, post.post(order, command=command, floor_minor=floor_minor, now_s=now)

    def give(
        self, kind: str, user: User, body: bytes, *, key: str | None = None, now: int = NOW
    ) -> dict[str, Any]:
        """Return the ledger's answer to an honest order, and whether it was a replay."""
        command = self.command(kind, user, body, key=key, now=now)
        return _answered(*self.obey(command, role=ROLES[kind], now=now))

    def transfer(
        self, giver: User, taker: User, amount: str, *, key: str | None = None, now: int = NOW
    ) -> dict[str, Any]:
        """Return the ledger's answer to an honest transfer of euros."""
        body = orders.transfer(taker.account, amount)
        return self.give("transfer", giver, body, key=key, now=now)

    def deposit(
        self,
        partner: Partner,
        user: User,
        amount: str,
        *,
        reference: str | None = None,
        currency: str = "EUR",
    ) -> dict[str, Any]:
        """Return the ledger's answer to an honest deposit."""
        body = orders.deposit(user.account, amount, reference or uuid.uuid4().hex, currency)
        return _answered(*self.obey_partner(partner.command(body), role=partner.role))

    def balance(self, owner: User | Partner, currency: str = "EUR") -> int:
        """Return what somebody holds, in minor units, after an audit of everything."""
        name = owner.account if isinstance(owner, User) else owner.house
        return self.audit().balances[name, currency]

    def audit(self) -> Books:
        """Return the books, in which everything agrees."""
        return audited(self.tables, self.keys)

    @contextmanager
    def unchanged(self, refusal: type[Exception]) -> Iterator[None]:
        """Demand that what is done here is refused with exactly *refusal*, and changes nothing."""
        before = dump(self.tables)
        with pytest.raises(refusal) as refused:
            yield
        assert refused.type is refusal
        assert dump(self.tables) == before


def _answered(order: Order, posted: Posted) -> dict[str, Any]:
    return answer(order, posted) | {"replayed": posted.replayed}


def _command_claims(issuer: str, path: str, kind: str, body: bytes, now: int) -> dict[str, object]:
    return {
        "iss": issuer,
        "aud": INTERNAL_ORIGIN,
        "htm": "POST",
        "htu": INTERNAL_ORIGIN + path,
        "iat": now,
        "exp": now + 30,
        "jti": uuid.uuid4().hex,
        "kind": kind,
        "body": jws.b64url(body),
    }
