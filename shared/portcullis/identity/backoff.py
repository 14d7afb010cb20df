"""Back-off for second factors: an attempt is charged before its code is looked at.

The charge is one conditional write that counts the attempt as a failure and says when the next
may come; success takes the count back. However many guess at once, each slot verifies one code.

Five attempts may follow each other; then the pause is 1, 2, 4 ... s, at most 900 s. That is 109
attempts on the first day and 96 on each after. With TOTP three codes of 10^6 are valid at a time,
so one who holds the password guesses right within a day with a probability of 0.03 %, within a
year of not pausing with 10 %.

NIST SP 800-63B-4 section 3.2.2 has the authenticator disabled after 100 failures in a row. Here it
never is: then whoever knows a password could shut its owner out for good (ASVS 6.1.1). For the
same reason a proof key that has completed a second factor of this account within 90 days has a
lane of its own, which the failures of others do not slow, and passkeys do not pass here at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import (
    ConditionFailedError,
    ContentionError,
    Item,
    Key,
    Statement,
    Update,
)
from portcullis.errors import TooManyRequestsError
from portcullis.identity import once, outbox, tables, throttle
from portcullis.identity.outbox import Event

POLICY = "second-factor-failures"
FREE_FAILURES = 4
PAUSE_S_MAX = 900
DOUBLINGS_MAX = 10
"""2^10 s is the first pause beyond the longest."""
FORGOTTEN_AFTER_S = 86_400
"""Who waits a day for a fresh start has fewer attempts than who goes on: 15 against 96."""
FAILURES_TOLD = frozenset({5, 20, 100})
"""So many wrong codes in a row tell the owner that somebody has the password (ASVS 6.3.5)."""
DEVICE_KNOWN_S = 90 * 86_400
SHARED_LANE = "unknown"
"""One lane for all keys that are not known: a stranger makes as many keys as it likes."""
ROUNDS_MAX = FREE_FAILURES + 2
"""A lost round is an attempt of somebody else: after the free ones the next has to wait. Only
where servers' clocks are seconds apart can one lose more, and is then not heard."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One attempt at a second factor that may be verified now.

    ``failures``: how many there will be in a row in its lane if this is another.
    """

    account: str
    jkt: str
    lane: str
    is_device_stored: bool
    failures: int


def pause_s(failures: int) -> int:
    """Return how long to wait after so many failures in a row, in seconds."""
    if failures <= FREE_FAILURES:
        return 0
    return min(PAUSE_S_MAX, 1 << min(failures - FREE_FAILURES - 1, DOUBLINGS_MAX))


def admit(account: str, *, jkt: str, now_s: int) -> Charge:
    """Charge an attempt to its lane, and to the account's bucket: now its code may be looked at.

    Raises:
        TooManyRequestsError: it is too early in this lane, or too often for the account.
        InfrastructureError: as ``charge``.
    """
    found = dynamodb.batch_get(*wanted(account, jkt=jkt))
    charged = charge(account, jkt=jkt, found=found, now_s=now_s)
    # After the lane, so that strangers cannot empty this bucket for the owner's known devices.
    throttle.admit(throttle.SECOND_FACTOR_BY_ACCOUNT, account, now_s=now_s)
    return charged


def failed(charged: Charge, *, now_s: int) -> None:
    """Tell the owner of a failure, if it is the one in a row that is to be told.

    Raises:
        InfrastructureError: it is not known whether the event was written.
    """
    if charged.failures in FAILURES_TOLD:
        failing = Event("second-factor-failing", {"failures": charged.failures})
        outbox.append(charged.account, failing, at_s=now_s)


def wanted(account: str, *, jkt: str) -> tuple[tuple[str, Key], ...]:
    """Return table and key of the items that ``charge`` decides by, for its caller's one read."""
    return (
        (tables.once(), tables.device_key(account, jkt)),
        (tables.once(), tables.backoff_key(account, jkt)),
        (tables.once(), tables.backoff_key(account, SHARED_LANE)),
    )


def charge(account: str, *, jkt: str, found: Sequence[Item | None], now_s: int) -> Charge:
    """Charge an attempt to the lane of its proof key: one write, unless others interfere.

    Args:
        account: whose second factor it is.
        jkt: thumbprint of the key of the request's proof, which was verified.
        found: the items of ``wanted``, in its order.
        now_s: Unix seconds.

    Raises:
        TooManyRequestsError: it is too early in this lane. Nothing was written.
        InfrastructureError: the store did not answer, or others kept interfering. The code may
            not be looked at, and the attempt may have been charged.
    """
    device, own, shared = found
    is_known = device is not None and now_s < device["ttl"]
    lane, met = (jkt, own) if is_known else (SHARED_LANE, shared)
    attempt = entropy.new_id()
    for _ in range(ROUNDS_MAX):
        _demand_due(met, now_s=now_s)
        failures = 1 if met is None or now_s >= met["ttl"] else met["failures"] + 1
        charged = Charge(account, jkt, lane, is_device_stored=device is not None, failures=failures)
        try:
            dynamodb.update(_counted(charged, met, attempt=attempt, now_s=now_s))
        except ConditionFailedError as failure:
            met = failure.reasons[0].item
            if once.is_of(met, attempt):
                return charged
        else:
            return charged
    raise ContentionError("backoff")


def cleared(charged: Charge) -> Statement:
    """Return the write that forgets a lane's failures, for the transaction that success permits.

    It does not demand that the charge was the last: a guess beside it must not undo a success.
    """
    return dynamodb.change(
        tables.once(),
        tables.backoff_key(charged.account, charged.lane),
        {"failures": 0, "not_before": 0},
        where='"failures" >= ?',
        given=(0,),
    )


def remembered(charged: Charge, *, now_s: int) -> Statement:
    """Return the write that makes the charge's key a known device, for the same transaction."""
    table, key = tables.once(), tables.device_key(charged.account, charged.jkt)
    known = {"ttl": now_s + DEVICE_KNOWN_S}
    if charged.is_device_stored:
        # Expired or not: DynamoDB deletes days later, and an insert would meet it.
        return dynamodb.change(table, key, known, where='"ttl" >= ?', given=(0,))
    return dynamodb.insert(table, {**key, **known})


def _demand_due(met: Item | None, *, now_s: int) -> None:
    if met is not None and now_s < met["not_before"]:
        raise TooManyRequestsError(
            policy=POLICY,
            quota=1,
            window_s=pause_s(met["failures"]),
            retry_after_s=met["not_before"] - now_s,
        )


def _counted(charged: Charge, met: Item | None, *, attempt: str, now_s: int) -> Update:
    pause = pause_s(charged.failures)
    return Update(
        tables.once(),
        tables.backoff_key(charged.account, charged.lane),
        change=(
            "SET #failures = :failures, #not_before = :not_before, #attempt = :attempt, #ttl = :ttl"
        ),
        condition=(
            "attribute_not_exists(#failures)"
            if met is None
            else "#failures = :seen AND #not_before <= :now"
        ),
        values={
            ":failures": charged.failures,
            # Free attempts are free of clocks too: a server that is behind refuses none of them.
            ":not_before": now_s + pause if pause else 0,
            ":attempt": attempt,
            ":ttl": now_s + FORGOTTEN_AFTER_S,
            **({} if met is None else {":seen": met["failures"], ":now": now_s}),
        },
    )
