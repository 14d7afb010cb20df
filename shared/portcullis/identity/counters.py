"""Signature counters: never lowered, and one that went back is an event (WebAuthn section 6.1.1).

A counter that went back says that a passkey was cloned. Synced passkeys report zero always.
"""

import time

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Statement
from portcullis.identity import challenges, credentials, outbox, tables
from portcullis.identity.challenges import Challenge
from portcullis.identity.outbox import Event
from portcullis.identity.passkeys import Passkey

ROUNDS_MAX = 6
PAUSE_S = 0.02


def counted(before: Passkey, asserted: Passkey, *, now_s: int) -> Statement:
    """Return the write of a passkey's counter: it must still be the one that was verified."""
    return dynamodb.change(
        tables.identity(),
        tables.credential_key(asserted.credential_id),
        {
            "sign_count": asserted.sign_count,
            "backed_up": asserted.backed_up,
            "used_at": now_s,
        },
        where='"sign_count" = ?',
        given=(before.sign_count,),
    )


def report(
    account: str, passkey: Passkey, *, challenge: Challenge, last_event: int, now_s: int
) -> None:
    """Tell the owner, once for each challenge, that a passkey's counter went back.

    Raises:
        InfrastructureError: it is not known whether the event was written.
    """
    attempt = entropy.new_id()
    for round_ in range(ROUNDS_MAX):
        try:
            dynamodb.execute(
                challenges.use(challenge, attempt=attempt, now_s=now_s),
                *outbox.numbered(
                    account,
                    Event(
                        "passkey-counter-regressed",
                        {"passkey": credentials.id_of(passkey.credential_id)},
                    ),
                    after=last_event,
                    at_s=now_s,
                ),
            )
        except ConditionFailedError:
            item, head = dynamodb.batch_get(
                (tables.once(), tables.challenge_key(challenge.value)),
                (tables.identity(), tables.outbox_key(account)),
            )
            if item is None or item["used_by"] != challenges.UNUSED:
                return  # told, by this call or by another that had the same answer
            last_event = outbox.last(head)
            time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
        else:
            return
    raise ContentionError("counter event")
