"""A story told in steps, each of which promises something; a broken promise ends it."""

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException

from botocore.exceptions import BotoCoreError, ClientError

from tests.support.authenticator import Authenticator, CeremonyRefusedError
from tests.support.http import Reply
from tests.support.owner import Owner
from tests.support.partner import Partner
from tests.support.stack import Stack


class BrokenPromiseError(Exception):
    """A step of the story did not go as promised."""

    def __init__(self, promised: str, got: str = "something else") -> None:
        super().__init__(f"promised {promised}, got {got}")


FAILURES = (
    BrokenPromiseError,
    CeremonyRefusedError,
    ClientError,
    BotoCoreError,
    HTTPException,
    OSError,
    # A reply without a promised member.
    LookupError,
    TypeError,
    ValueError,
)


@dataclass
class Cast:
    """Who plays, and what one scene leaves for a later one.

    Attributes:
        stack: Where it plays.
        alice: Has money.
        bob: Gets some.
        partner: Brings it.
        key: The idempotency key of Alice's first transfer.
        posting: The posting of Alice's first transfer.
        spent: A refresh token that Alice has traded in.
        secret: Alice's TOTP secret.
        ticket: Alice's pending sign-in.
        code: The TOTP code that Alice used last.
        codes: Alice's recovery codes.
        phone: The authenticator on Alice's new phone.
        thief: Who found one of the codes.
    """

    stack: Stack
    alice: Owner
    bob: Owner
    partner: Partner
    key: str = ""
    posting: str = ""
    spent: str | None = None
    secret: str = ""
    ticket: str = ""
    code: str = ""
    codes: list[str] = field(default_factory=list)
    phone: Authenticator = field(default_factory=Authenticator)
    thief: Owner | None = None

    @classmethod
    def strangers(cls, stack: Stack) -> "Cast":
        """Return people whom the stack has never seen."""
        origin = stack.public_origin
        return cls(stack, Owner(origin), Owner(origin), Partner(stack))


type Scene[Players = Cast] = Callable[[Players], str]
"""Plays one step. Its docstring is the step's title; it returns what was seen."""


def expect(reply: Reply, status: int, kind: str | None = None) -> Reply:
    """Return the reply if it is the promised one.

    Args:
        reply: What came.
        status: The promised status.
        kind: The promised problem type or, of the token endpoint, the promised `error`.

    Raises:
        BrokenPromiseError: Another one came.
    """
    if reply.status == status and kind in {None, reply.problem, reply.json.get("error")}:
        return reply
    came = f"{reply.status} {reply.body.decode(errors='replace')}".strip()
    promised = f"{status} {kind or ''}".strip()
    raise BrokenPromiseError(promised, came)


def refused(reply: Reply, status: int, kind: str) -> str:
    """Return the words for the promised refusal.

    Raises:
        BrokenPromiseError: Another reply came.
    """
    expect(reply, status, kind)
    return f"{status} {kind}"


def check(promise: str, *, kept: bool) -> None:
    """Go on if the promise is kept.

    Raises:
        BrokenPromiseError: It is not.
    """
    if not kept:
        raise BrokenPromiseError(promise)


type Acts[Players = Cast] = tuple[tuple[str, tuple[Scene[Players], ...]], ...]


@dataclass(frozen=True)
class Page:
    """Prints the story, in colour where there is somebody to see it.

    Attributes:
        columns: The longest title's length.
        coloured: Whether the output is a terminal that shows colours.
    """

    columns: int
    coloured: bool

    def heading(self, text: str) -> None:
        """Print the title of an act."""
        print(f"\n{self._in('1', text)}")

    def step(self, number: int, title: str, seen: str, *, kept: bool) -> None:
        """Print one step and what was seen."""
        dots = self._in("2", "." * (self.columns - len(title) + 3))
        result = self._in("32", seen) if kept else self._in("31", seen)
        print(f"{number:4}  {title} {dots} {result}", flush=True)

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.coloured else text


def title_of(scene: Callable[..., str]) -> str:
    """Return the scene's docstring, as a title."""
    return (scene.__doc__ or "").strip().rstrip(".")


def tell[Players](acts: Acts[Players], cast: Players, *, coloured: bool = False) -> int:
    """Play the acts in order and return the exit status: 1 at the first broken promise."""
    columns = max(len(title_of(scene)) for _, scenes in acts for scene in scenes)
    page = Page(columns=columns, coloured=coloured)
    numbers = itertools.count(1)
    for heading, scenes in acts:
        page.heading(heading)
        for scene, number in zip(scenes, numbers, strict=False):
            title = title_of(scene)
            try:
                page.step(number, title, scene(cast), kept=True)
            except FAILURES as failure:
                page.step(number, title, "not as promised", kept=False)
                reason = f"{type(failure).__name__}: {failure}"
                print(f"\nStep {number} failed: {title}.\n{reason}", file=sys.stderr)
                return 1
    print("\nEvery step went as promised.")
    return 0
