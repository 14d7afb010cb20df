"""A staged stack: a test says what time it is, and where people are."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from infra.local.clock import Clock
from infra.local.ports import free_ports
from infra.local.stack import start
from tests.support.owner import Owner
from tests.support.partner import Partner
from tests.support.stack import Stack
from tests.support.story import expect

LONDON, BUCHAREST = "81.2.69.142", "86.120.10.10"
"""Addresses of providers' customers there; nothing is ever sent to them."""
BROWSER = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Safari/605.1.15"
)
CURRENCY = "EUR"
POLL_S = 0.1


@dataclass(frozen=True)
class Stage:
    """A staged stack and its clock."""

    stack: Stack
    clock: Clock

    @classmethod
    @contextmanager
    def opened(cls, name: str, *, local: Path) -> "Iterator[Stage]":
        """Deploy a staged stack on free ports, keeping all it writes in *local*; then stop it.

        Raises:
            infra.local.stack.StackError: It did not come up.
        """
        running = start(name=name, ports=free_ports(), home=local / name, staged=True)
        try:
            yield cls(Stack.load(name, local=local), running.emulator.clock)
        finally:
            running.stop()

    def now(self) -> float:
        """Return the time by the stack's clock, in seconds since the epoch."""
        return time.time() + self.clock.ahead_s()

    def pass_time(self, seconds: int) -> None:
        """Let time pass for the stack and everybody here."""
        self.clock.put_ahead(self.clock.ahead_s() + seconds)

    def person(self, address: str = LONDON) -> Owner:
        """Return somebody at an address, whom the stack has never seen."""
        origin = self.stack.public_origin
        return Owner(origin, clock=self.now, address=address, user_agent=BROWSER)

    def customer(self, amount: str | None = None, address: str = LONDON) -> Owner:
        """Return somebody signed in who has a wallet, with money in it if *amount* says so.

        Raises:
            BrokenPromiseError: A step of that was refused.
        """
        person = self.person(address)
        expect(person.open_account(), 201)
        expect(person.sign_in(), 200)
        expect(person.open_wallet(CURRENCY), 201)
        if amount is not None:
            self.deposit(person, amount)
        return person

    def deposit(self, person: Owner, amount: str) -> None:
        """Have the partner pay in.

        Raises:
            BrokenPromiseError: The deposit was refused.
        """
        partner, reference = Partner(self.stack), f"stage-{uuid4().hex}"
        paid = partner.deposit(person.account, amount, CURRENCY, reference, now=self.now())
        expect(paid, 201)


def stolen(owner: Owner, address: str = BUCHAREST) -> Owner:
    """Return a thief elsewhere with everything that the owner's application holds, keys too."""
    return replace(owner, address=address)


def within[Seen](seconds: float, look: Callable[[], Seen]) -> Seen:
    """Return what *look* sees: at once if it is true, else at the latest after *seconds*."""
    deadline = time.monotonic() + seconds
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return seen
