"""Sessions: one item that is session and refresh family at once, and what may happen to it."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Statement
from portcullis.identity import tables
from portcullis.identity.families import RefreshToken
from portcullis.identity.standing import Standing

LIVE = "LIVE"
ENDED = "ENDED"

IDLE_S = 7 * 86_400
ABSOLUTE_S = 30 * 86_400
TOMBSTONE_S = 90 * 86_400
"""A dead family is remembered this long: a token stolen from a backup still raises its alarm."""
RETRY_WINDOW_S = 30
RETRIES_COUNTED_OVER = 5
"""Generations: two retries among so many are reported (docs/anomaly-policy.md)."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session and its family. ``current`` and ``previous`` are digests of refresh secrets.

    ``device`` and ``place`` say coarsely where it was started, for its owner to recognise.
    """

    sid: str
    account: str
    status: str
    epoch: int
    jkt: str
    acr: str
    amr: tuple[str, ...]
    auth_time: int
    generation: int
    current: bytes
    previous: bytes
    rotated_at: int
    retries: int
    sealed: bytes
    attempt: str
    idle_expires: int
    absolute_expires: int
    device: str = ""
    place: str = ""
    retried: int = 0
    """The last generation that needed a sealed retry."""

    @classmethod
    def from_item(cls, item: Item) -> "Session":
        """Return the session in a stored item."""
        return cls(
            sid=item["sid"],
            account=item["account"],
            status=item["status"],
            epoch=item["epoch"],
            jkt=item["jkt"],
            acr=item["acr"],
            amr=tuple(item["amr"]),
            auth_time=item["auth_time"],
            generation=item["generation"],
            current=bytes(item["current"]),
            previous=bytes(item["previous"]),
            rotated_at=item["rotated_at"],
            retries=item["retries"],
            sealed=bytes(item["sealed"]),
            attempt=item["attempt"],
            idle_expires=item["idle_expires"],
            absolute_expires=item["absolute_expires"],
            device=item["device"],
            place=item["place"],
            retried=item.get("retried", 0),
        )

    def to_item(self) -> dict[str, Any]:
        """Return the item to store."""
        return {
            **tables.session_key(self.sid),
            "sid": self.sid,
            "account": self.account,
            "status": self.status,
            "epoch": self.epoch,
            "jkt": self.jkt,
            "acr": self.acr,
            "amr": list(self.amr),
            "auth_time": self.auth_time,
            "generation": self.generation,
            "current": self.current,
            "previous": self.previous,
            "rotated_at": self.rotated_at,
            "retries": self.retries,
            "sealed": self.sealed,
            "attempt": self.attempt,
            "idle_expires": self.idle_expires,
            "absolute_expires": self.absolute_expires,
            "device": self.device,
            "place": self.place,
            "retried": self.retried,
            "ttl": self.absolute_expires + TOMBSTONE_S,
        }

    def is_live(self, standing: Standing, *, now_s: int) -> bool:
        """Whether the session is live: its status, its epoch, the standing, and its age."""
        return standing.is_active and self.stands(standing.epoch, now_s=now_s)

    def stands(self, epoch: int, *, now_s: int) -> bool:
        """Whether nothing has ended it, whatever the account may do: status, epoch and age."""
        return self.status == LIVE and self.epoch == epoch and now_s < self.absolute_expires


class Use(Enum):
    """What presenting a refresh token amounts to."""

    ROTATION = auto()
    """The current token: it is to be rotated."""
    RETRY = auto()
    """The predecessor again, because an answer was lost: it is to get the same successor."""
    REUSE = auto()
    """A spent token: the family is to end."""
    REFUSED = auto()
    """Nothing of it: refused, and nothing changes."""


def use_of(
    token: RefreshToken,
    session: Session,
    standing: Standing,
    *,
    jkt: str,
    generation_seen: int,
    now_s: int,
) -> Use:
    """Return what it amounts to that the holder of key *jkt* presents *token* now.

    Args:
        token: a token with a good tag.
        session: its session.
        standing: the standing of the session's account.
        jkt: the thumbprint of the key of the proof that came with it.
        generation_seen: the highest generation of which the gate saw an access token.
        now_s: the time, in Unix seconds.
    """
    if not session.is_live(standing, now_s=now_s):
        return Use.REFUSED
    if token.generation == session.generation and token.digest == session.current:
        # A current token with a wrong key is refused and not spent: a reader of logs must not
        # be able to end sessions.
        alive = session.jkt == jkt and now_s < session.idle_expires
        return Use.ROTATION if alive else Use.REFUSED
    if token.generation >= session.generation:
        return Use.REFUSED  # not ours: the table was rewound
    predecessor = (
        token.generation == session.generation - 1
        and token.digest == session.previous
        and session.jkt == jkt
        and now_s < session.rotated_at + RETRY_WINDOW_S
        and session.retries == 0
        and generation_seen < session.generation
    )
    return Use.RETRY if predecessor else Use.REUSE


def carried(sid: str, *, epoch: int) -> Statement:
    """Return the write that carries one live session over a raised epoch.

    Its access tokens die with the old epoch; its refresh token lives.
    """
    return dynamodb.change(
        tables.identity(),
        tables.session_key(sid),
        {"epoch": epoch + 1},
        where='"status" = ? AND "epoch" = ?',
        given=(LIVE, epoch),
    )


def demanded(sid: str, *, epoch: int) -> Statement:
    """Return the demand that a session is live and of *epoch*."""
    return dynamodb.demand(
        tables.identity(),
        tables.session_key(sid),
        where='"status" = ? AND "epoch" = ?',
        given=(LIVE, epoch),
    )


def seal_context(sid: str, *, generation: int, jkt: str, rotated_at: int) -> bytes:
    """Return what a sealed successor is bound to."""
    return f"portcullis/sealed/v1|{sid}|{generation}|{jkt}|{rotated_at}".encode()
