"""The end of one session: its own status, no epoch, and an event in the same transaction."""

import time
from typing import Literal

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Statement
from portcullis.identity import outbox, sessions, tables
from portcullis.identity.outbox import Event

ROUNDS_MAX = 8
PAUSE_S = 0.02

Reason = Literal["revoked", "refresh-token-reused", "signed-out", "displaced"]


def ended(sid: str, *, reason: Reason, now_s: int) -> Statement:
    """Return the write that ends a session which is live."""
    return dynamodb.change(
        tables.identity(),
        tables.session_key(sid),
        {"status": sessions.ENDED, "ended_at": now_s, "end_reason": reason},
        where='"status" = ?',
        given=(sessions.LIVE,),
    )


def end(sid: str, account: str, *, reason: Reason, now_s: int) -> None:
    """End a session; ending an ended one changes nothing.

    Raises:
        InfrastructureError: it is not known whether the session ended.
    """
    for attempt in range(ROUNDS_MAX):
        session, head = dynamodb.batch_get(
            (tables.identity(), tables.session_key(sid)),
            (tables.identity(), tables.outbox_key(account)),
        )
        if session is None or session["account"] != account:
            return  # a revoked token's handle is not authenticated: its halves may not belong
        if session["status"] != sessions.LIVE:
            return  # perhaps by an earlier try of this very call
        try:
            dynamodb.execute(
                ended(sid, reason=reason, now_s=now_s),
                *outbox.numbered(
                    account,
                    Event("session-ended", {"sid": sid, "reason": reason}),
                    after=outbox.last(head),
                    at_s=now_s,
                ),
            )
        except ConditionFailedError:
            time.sleep(entropy.jitter_s(PAUSE_S * 2**attempt))
        else:
            return
    raise ContentionError("end of session")
