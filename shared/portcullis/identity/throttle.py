"""Throttling: how often one subject may do one thing, decided by one conditional write.

The generic cell rate algorithm in its form of virtual scheduling (ITU-T I.371 annex A, ATM Forum
TM 4.0). A bucket is one number, the *theoretical arrival time*: when the next request would come
if all came evenly spaced. A request conforms if that time is at most ``burst - 1`` intervals ahead
of it, and moves that time on by one interval, from its own time if that is later.

The store decides, not the caller: an admission *is* one successful conditional write. Each moves
the arrival time on by an interval at least, so of any number of callers at most ``burst`` are
admitted, and one more for each interval between the first and the latest of their times. A clock
that steps back admits fewer; one that is ahead, as many as if it were right. An answer that was
lost and is asked for again by the SDK charges once more, and never less than once.
"""

from dataclasses import dataclass

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Item, Update
from portcullis.errors import TooManyRequestsError
from portcullis.identity import tables

WRITES_MAX = 2
"""DynamoDB computes no maximum, so an idle and a busy bucket each have a write of their own."""
FORGOTTEN_AFTER_S = 3600
"""How long a full bucket is kept: longer than clocks differ, so that expiry admits nobody."""


@dataclass(frozen=True, slots=True)
class Policy:
    """*burst* requests at once, and *burst* in each *period_s* seconds from then on."""

    name: str
    burst: int
    period_s: int

    @property
    def interval_ms(self) -> int:
        """The time that one request takes to be forgotten: rounded up, so never too short."""
        return -(-self.period_s * 1000 // self.burst)

    @property
    def tolerance_ms(self) -> int:
        """How far the theoretical arrival time may be ahead of a request that conforms."""
        return (self.burst - 1) * self.interval_ms

    def wait_ms(self, *, arrival_ms: int, now_ms: int) -> int:
        """Return how long a request has to wait until it conforms: nothing if it does now."""
        return max(0, arrival_ms - self.tolerance_ms - now_ms)


# By network: nothing that these stop can be guessed. They keep one source from spending what all
# share (signatures of KMS, writes), and leave room for everybody behind one address translation.
OPTIONS_BY_NETWORK = Policy("options-network", burst=1200, period_s=60)
"""20 a second: a challenge is one write, gone after five minutes."""
SIGN_IN_BY_NETWORK = Policy("sign-in-network", burst=1200, period_s=60)
"""20 a second: one signature of KMS each. A passkey cannot be guessed."""
ACCOUNTS_BY_NETWORK = Policy("accounts-network", burst=1200, period_s=3600)
"""One in three seconds: an account is kept for ever, and an answer tells whether a login is taken.
The burst is a conference hall's, or a test suite's."""
RECOVERY_BY_NETWORK = Policy("recovery-network", burst=120, period_s=3600)
"""One in 30 s: a code has 128 bits, so this only bounds the cost. Nobody recovers in bulk."""

# Where guessing matters.
PASSWORD_BY_NETWORK = Policy("password-network", burst=300, period_s=600)
"""One in 2 s against many logins from one network, each of which takes an Argon2 of 64 MiB."""
SIGN_IN_BY_LOGIN = Policy("sign-in-login", burst=20, period_s=1200)
"""One in 60 s from all networks: 1,440 guesses a day at a password of 15 characters that is on no
list. Who knows a login name can empty this bucket: passkeys do not pass by it."""
SECOND_FACTOR_BY_ACCOUNT = Policy("second-factor-account", burst=30, period_s=3600)
"""One in 120 s over all lanes of ``backoff``, and to be asked after it: what one lane lets pass
(17 in its first hour, 4 in each after) cannot empty this bucket for the others."""
RECOVERY_BY_ACCOUNT = Policy("recovery-account", burst=10, period_s=3600)
"""One in 6 minutes: an owner types one of ten codes, perhaps wrongly."""

# By account or session: the caller is known, and the cost is what is bounded.
ENROLMENT_BY_ACCOUNT = Policy("enrolment-account", burst=30, period_s=3600)
"""One in 120 s: each is a signed certificate and a credential that is kept."""
APPROVALS_BY_ACCOUNT = Policy("approvals-account", burst=60, period_s=600)
"""One in 10 s: faster than a person approves, so what is faster is no person."""


def admit(policy: Policy, subject: str, *, now_s: int) -> None:
    """Admit one request of *subject*, or refuse it and change nothing.

    At most ``WRITES_MAX`` conditional writes, and no read: one if the bucket is idle.

    Raises:
        TooManyRequestsError: too many came before it. Its pause is exact: then, if nobody else
            came meanwhile, one request conforms.
        InfrastructureError: the store did not answer. The request may not pass, and may have been
            charged.
    """
    for write in _writes(policy, subject, now_s=now_s):
        try:
            dynamodb.update(write)
        except ConditionFailedError as failure:
            _demand_conformance(policy, failure.reasons[0].item, now_s=now_s)
        else:
            return
    # An arrival time only grows, so only expiry between the two writes leads here.
    raise ContentionError("bucket")


def _writes(policy: Policy, subject: str, *, now_s: int) -> tuple[Update, Update]:
    table, key = tables.once(), tables.bucket_key(policy.name, subject)
    now_ms = now_s * 1000
    ttl = now_s + policy.period_s + FORGOTTEN_AFTER_S
    idle = Update(
        table,
        key,
        change="SET #arrival_ms = :next, #ttl = :ttl",
        condition="attribute_not_exists(#arrival_ms) OR #arrival_ms <= :now",
        values={":next": now_ms + policy.interval_ms, ":now": now_ms, ":ttl": ttl},
    )
    busy = Update(
        table,
        key,
        change="SET #arrival_ms = #arrival_ms + :interval, #ttl = :ttl",
        condition="#arrival_ms > :now AND #arrival_ms <= :limit",
        values={
            ":interval": policy.interval_ms,
            ":now": now_ms,
            ":limit": now_ms + policy.tolerance_ms,
            ":ttl": ttl,
        },
    )
    return idle, busy


def _demand_conformance(policy: Policy, met: Item | None, *, now_s: int) -> None:
    arrival_ms = met["arrival_ms"] if met else 0
    wait_ms = policy.wait_ms(arrival_ms=arrival_ms, now_ms=now_s * 1000)
    if wait_ms:
        raise TooManyRequestsError(
            policy=policy.name,
            quota=policy.burst,
            window_s=policy.period_s,
            retry_after_s=-(-wait_ms // 1000),
        )
