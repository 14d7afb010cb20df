"""The list of an account's sessions: what its owner sees, and why there are at most 32.

Whatever starts a session adds it here in the same transaction, under the list's version, so the
list holds every session that could be live.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portcullis import clock
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Statement
from portcullis.errors import NotFoundError
from portcullis.evidence.access_token import AccessToken
from portcullis.identity import sessions, tables
from portcullis.identity.sessions import Session
from portcullis.identity.standing import Standing

SESSIONS_MAX = 32


class NoSuchSessionError(NotFoundError):
    """The caller has no such live session."""

    code = "no-such-session"
    title = "This account has no such live session."


@dataclass(frozen=True, slots=True)
class SessionList:
    """The ids of an account's sessions, oldest first, as of one version."""

    account: str
    version: int
    sids: tuple[str, ...]

    @classmethod
    def empty(cls, account: str) -> "SessionList":
        """Return the list of an account that is just being opened."""
        return cls(account=account, version=1, sids=())

    @classmethod
    def from_item(cls, item: Item) -> "SessionList":
        """Return the list in a stored item."""
        return cls(account=item["account"], version=item["version"], sids=tuple(item["sids"]))

    def to_item(self) -> dict[str, Any]:
        """Return the item to store."""
        return {
            **tables.sessions_key(self.account),
            "account": self.account,
            "version": self.version,
            "sids": list(self.sids),
        }

    def with_only(self, sids: tuple[str, ...]) -> Statement:
        """Return the write of the next version, if this one is still what is stored."""
        return dynamodb.change(
            tables.identity(),
            tables.sessions_key(self.account),
            {"sids": list(sids), "version": self.version + 1},
            where='"version" = ?',
            given=(self.version,),
        )


def live(
    listed: SessionList, standing: Standing, *, now_s: int
) -> tuple[list[Session], Mapping[str, int]]:
    """Return the live sessions of the list, oldest first, and when the gate last saw each.

    A session that no gate has seen yet was last used when it was started.

    Raises:
        InfrastructureError: the store did not answer.
    """
    if not listed.sids:
        return [], {}
    items = dynamodb.batch_get(
        *((tables.identity(), tables.session_key(sid)) for sid in listed.sids),
        *((tables.identity(), tables.sightings_key(sid)) for sid in listed.sids),
    )
    found, sights = items[: len(listed.sids)], items[len(listed.sids) :]
    alive = [
        session
        for session in (Session.from_item(item) for item in found if item is not None)
        if session.is_live(standing, now_s=now_s) and now_s < session.idle_expires
    ]
    seen = {
        sid: max(sight.get("placed_at", 0), sight.get("unplaced_at", 0))
        for sid, sight in zip(listed.sids, sights, strict=True)
        if sight is not None
    }
    return alive, {one.sid: max(seen.get(one.sid, 0), one.rotated_at) for one in alive}


def show(token: AccessToken, *, now_s: int) -> list[dict[str, Any]]:
    """Return the caller's live sessions, newest first, for their owner to recognise.

    Raises:
        InfrastructureError: the store did not answer.
    """
    listed, standing = dynamodb.batch_get(
        (tables.identity(), tables.sessions_key(token.sub)),
        (tables.standing(), tables.standing_key(token.sub)),
    )
    if listed is None or standing is None:
        return []
    alive, last_used = live(
        SessionList.from_item(listed), Standing.from_item(standing), now_s=now_s
    )
    return [
        {
            "id": one.sid,
            "current": one.sid == token.sid,
            "device": one.device,
            "place": one.place,
            "acr": one.acr,
            "amr": list(one.amr),
            "started_at": clock.rfc3339(one.auth_time),
            "last_used_at": clock.rfc3339(last_used[one.sid]),
            "idle_expires_at": clock.rfc3339(one.idle_expires),
            "expires_at": clock.rfc3339(one.absolute_expires),
        }
        for one in reversed(alive)
    ]


def owned(token: AccessToken, sid: str, item: Item | None, *, standing: Standing) -> str:
    """Return *sid* if its stored item is a live session of the caller's account.

    Raises:
        NoSuchSessionError: it is not.
    """
    if item is None or item["account"] != token.sub:
        raise NoSuchSessionError
    if item["status"] != sessions.LIVE or item["epoch"] != standing.epoch:
        raise NoSuchSessionError
    return sid
