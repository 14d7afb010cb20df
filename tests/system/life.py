"""One account's whole life, on a tape: every unsafe route of the public API, with genuine requests.

The tape runs between the clients and the wire. It keeps each exchange to the byte, and sends each
request that succeeded and was no read once more at once, exactly as it was.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from tests.support import http
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey
from tests.support.http import Headers, Reply
from tests.support.inside import root, table
from tests.support.owner import Owner, totp_code
from tests.support.partner import Partner
from tests.support.stack import Stack
from tests.support.story import expect
from tests.system.deployed import Route, route_of

type State = dict[str, Any]
"""Items of the tables, by key."""


@dataclass(frozen=True)
class Exchange:
    """One request of a client, to the byte, and its reply."""

    origin: str
    method: str
    target: str
    headers: Headers
    body: bytes | None
    reply: Reply

    @property
    def route(self) -> Route:
        """The route that it was for."""
        return route_of(self.method, self.target)

    @property
    def succeeded(self) -> bool:
        """Whether it did what it was for."""
        return self.reply.status < 300


@dataclass(frozen=True)
class Replay:
    """A request that succeeded, sent again, and the accounts' state before and after that."""

    of: Exchange
    reply: Reply
    before: State
    after: State


@dataclass
class Life:
    """What was lived.

    Attributes:
        stack: Where.
        people: Whose accounts are looked at.
        exchanges: Everything that was sent and heard, replays left out.
        replays: One for each success that was no read.
        proof_keys: The private keys that signed the proofs.
    """

    stack: Stack
    people: tuple[Owner, ...]
    exchanges: list[Exchange] = field(default_factory=list)
    replays: list[Replay] = field(default_factory=list)

    @property
    def proof_keys(self) -> Iterator[ProofKey]:
        """The keys that the people hold at the end."""
        return (person.proof_key for person in self.people)

    def of(self, route: Route) -> list[Replay]:
        """Return the replays of a route."""
        return [one for one in self.replays if one.of.route == route]

    def state(self) -> State:
        """Return what there is of the accounts: factors, sessions, events, standing, money."""
        accounts = {person.account for person in self.people if person.account}
        keys = {
            "Identity": [
                {"pk": {"S": f"{kind}#{account}"}, "sk": {"S": sk}}
                for account in accounts
                for kind, sk in (
                    ("FACTORS", "FACTORS"),
                    ("SESSIONS", "SESSIONS"),
                    ("OUTBOX", "HEAD"),
                )
            ],
            "Standing": [{"pk": {"S": account}} for account in accounts],
            "Balances": [{"pk": {"S": f"WALLET#{one}"}, "sk": {"S": "EUR"}} for one in accounts],
        }
        if not accounts:
            return {}
        asked = {table(self.stack, name): {"Keys": those} for name, those in keys.items()}
        found = root(self.stack, "dynamodb").batch_get_item(RequestItems=asked)
        return {
            f"{one['pk']['S']} {name}": one
            for name, items in found["Responses"].items()
            for one in items
        }


@dataclass(frozen=True)
class Tape:
    """Stands where `http.send` stood, sends everything on, and keeps it."""

    life: Life
    send: Any

    def __call__(
        self,
        origin: str,
        method: str,
        target: str,
        *,
        headers: Headers = (),
        body: bytes | None = None,
    ) -> Reply:
        """Send a request, keep the exchange, and try a success a second time."""
        reply: Reply = self.send(origin, method, target, headers=headers, body=body)
        sent = Exchange(origin, method, target, tuple(headers), body, reply)
        self.life.exchanges.append(sent)
        if sent.succeeded and not sent.route.is_safe:
            before = self.life.state()
            again = self.send(origin, method, target, headers=headers, body=body)
            self.life.replays.append(Replay(sent, again, before, self.life.state()))
        return reply


@cache
def lived(stack: Stack) -> Life:
    """Return the life of an account of this stack; it is lived once for all who ask."""
    origin = stack.public_origin
    alice, bob, finder = Owner(origin), Owner(origin), Owner(origin)
    life = Life(stack, (alice, bob, finder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "send", Tape(life, http.send))
        _live(stack, alice, bob, finder)
    return life


def _live(stack: Stack, alice: Owner, bob: Owner, finder: Owner) -> None:
    for person in (alice, bob):
        expect(person.open_account(), 201)
        expect(person.sign_in(), 200)
        expect(person.open_wallet("EUR"), 201)
    expect(Partner(stack).deposit(alice.account, "10.00", "EUR", uuid.uuid4().hex), 201)
    expect(alice.transfer(bob.account, "1.00", "EUR"), 201)
    expect(alice.wallets(), 200)
    expect(alice.statement("EUR"), 200)
    expect(alice.refresh(), 200)
    phone = _add_factors(alice)
    _look_after_sessions(alice)
    expect(alice.sign_in(), 200)
    codes = expect(alice.mint_recovery_codes(), 201).json["codes"]
    _remove_factors(alice, phone)
    expect(alice.end_sessions(), 204)
    _recover(alice, finder, codes)


def _add_factors(alice: Owner) -> str:
    phone = Authenticator()
    added = expect(alice.add_passkey(phone, label=f"new phone {uuid.uuid4()}", approved=True), 201)
    expect(alice.rename_passkey(added.json["id"], f"old phone {uuid.uuid4()}"), 204)
    expect(alice.passkeys(), 200)
    login, password = f"{uuid.uuid4()}@example.test", f"seven otters {uuid.uuid4()}"
    expect(alice.put_password(login, password, approved=True), 200)
    enrolled = expect(alice.enrol_totp(), 201).json
    code = totp_code(enrolled["secret"])
    expect(alice.confirm_totp(enrolled["enrolment"], code, approved=True), 200)
    expect(alice.give_password(login, f"eight otters {uuid.uuid4()}"), 401)
    ticket = expect(alice.give_password(login, password), 200).json["ticket"]
    expect(alice.give_code(ticket, code), 401)
    expect(alice.give_code(ticket, totp_code(enrolled["secret"], steps=1)), 200)
    return str(added.json["id"])


def _look_after_sessions(alice: Owner) -> None:
    listed = expect(alice.sessions(), 200).json["sessions"]
    other = next(one["id"] for one in listed if not one["current"])
    expect(alice.end_session(other), 204)


def _remove_factors(alice: Owner, phone: str) -> None:
    # Each removal carries this session into the next epoch: it goes on with its refresh token.
    _, approval = alice.approve({"kind": "remove-totp"})
    expect(alice.remove_totp(approval=approval), 204)
    expect(alice.refresh(), 200)
    _, approval = alice.approve({"kind": "remove-passkey", "passkey": phone})
    expect(alice.remove_passkey(phone, approval=approval), 204)
    expect(alice.refresh(), 200)


def _recover(alice: Owner, finder: Owner, codes: list[str]) -> None:
    expect(finder.recover(codes[0]), 200)
    expect(finder.sign_in(), 200)
    expect(finder.recover(codes[0]), 401)
    expect(alice.sign_in(), 200)
    expect(alice.cancel_recovery(), 204)
    expect(alice.refresh(), 200)
    expect(alice.revoke(), 200)
