"""The outbox: every security-relevant change writes its event in the same transaction.

Events are numbered by the account's standing, so they have an order and a gap can be found.
"""

from portcullis.aws.dynamodb import Put, Update, Value
from portcullis.identity import tables
from portcullis.identity.standing import Standing

KEPT_S = 35 * 86_400


def event(account: str, *, number: int, kind: str, at_s: int, **facts: Value) -> Put:
    """Return the write of event *number* of an account. *facts* hold ids, never PII."""
    return Put(
        tables.identity(),
        {
            "pk": f"EVENT#{account}",
            "sk": f"{number:012d}",
            "kind": kind,
            "at": at_s,
            "ttl": at_s + KEPT_S,
            **facts,
        },
    )


def numbered(seen: Standing, *, kind: str, at_s: int, **facts: Value) -> tuple[Update, Put]:
    """Return the writes that give an account its next event and that event its number.

    They fail if another event took the number, if the epoch moved, or if the account is no
    longer in the status that was seen.
    """
    number = seen.event_seq + 1
    take = Update(
        tables.standing(),
        tables.standing_key(seen.account),
        change="SET #event_seq = :next",
        condition="#event_seq = :seen AND #epoch = :epoch AND #status = :status",
        values={
            ":next": number,
            ":seen": seen.event_seq,
            ":epoch": seen.epoch,
            ":status": seen.status,
        },
    )
    return take, event(seen.account, number=number, kind=kind, at_s=at_s, **facts)
