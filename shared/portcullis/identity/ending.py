"""The end of one session: its own status, no epoch, and an event in the same transaction."""

import time
from typing import Literal

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Update
from portcullis.identity import outbox, sessions, tables

ROUNDS_MAX = 8
PAUSE_S = 0.02

Reason = Literal["revoked", "refresh-token-reused"]


def end(sid: str, account: str, *, reason: Reason, now_s: int) -> None:
    """End a session; ending an ended one changes nothing.

    Raises:
        InfrastructureError: it is not known whether the session ended.
    """
    for attempt in range(ROUNDS_MAX):
        head = dynamodb.get(tables.identity(), tables.outbox_key(account))
        try:
            dynamodb.transact(
                Update(
                    tables.identity(),
                    tables.session_key(sid),
                    change="SET #status = :ended, #ended_at = :now, #end_reason = :reason",
                    condition="#status = :live",
                    values={
                        ":ended": sessions.ENDED,
                        ":live": sessions.LIVE,
                        ":now": now_s,
                        ":reason": reason,
                    },
                ),
                *outbox.numbered(
                    account,
                    after=outbox.last(head),
                    kind="session-ended",
                    at_s=now_s,
                    sid=sid,
                    reason=reason,
                ),
            )
        except ConditionFailedError as failure:
            if failure.reasons[0].failed:
                return  # it was ended before, or there is none
            time.sleep(entropy.jitter_s(PAUSE_S * 2**attempt))
        else:
            return
    raise ContentionError("end of session")
