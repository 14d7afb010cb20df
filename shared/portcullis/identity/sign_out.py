"""Sign-out: one session, all others, or all, by their owner."""

from portcullis.identity import changes, ending, session_list, tables
from portcullis.identity.changes import Change, Principal, Seen
from portcullis.identity.outbox import Event


def end_one(sid: str, *, principal: Principal, now_s: int) -> None:
    """End one live session of the caller's account, which may be the caller's own.

    Raises:
        NoSuchSessionError: the account has no such live session.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: the store did not answer.
    """

    def decide(seen: Seen) -> Change:
        session_list.owned(principal.token, sid, seen.items[0], standing=seen.standing)
        return Change(
            events=[Event("session-ended", {"sid": sid, "reason": "signed-out"})],
            statements=[ending.ended(sid, reason="signed-out", now_s=now_s)],
            writes_session=sid == principal.token.sid,
        )

    key = (tables.identity(), tables.session_key(sid))
    changes.commit(principal, decide, also=[key], now_s=now_s)


def end_all(*, except_current: bool, principal: Principal, now_s: int) -> None:
    """End every session of the account at once, or all but the caller's: one raised epoch.

    A session that is kept goes on with its refresh token; its access tokens are dead.

    Raises:
        RefusedError: one of ``changes.commit``.
        InfrastructureError: the store did not answer.
    """

    def decide(_: Seen) -> Change:
        kept = {"kept": principal.token.sid} if except_current else {}
        return Change(
            events=[Event("sessions-ended", {"reason": "signed-out", **kept})],
            kills=True,
            ends_caller=not except_current,
        )

    changes.commit(principal, decide, now_s=now_s)
