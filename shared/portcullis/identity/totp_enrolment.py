"""TOTP as a factor: enrol, confirm by a first code, remove."""

from typing import Any

from portcullis import clock, entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Item, Statement
from portcullis.errors import ConflictError, InvalidError
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import changes, factors, once, person, tables, throttle, totp
from portcullis.identity.changes import Change, Principal, Seen
from portcullis.identity.factors import Totp
from portcullis.identity.outbox import Event

CONFIRM_S = 600
"""ASVS 6.4.1: a secret that nobody confirmed is good for this long."""
FIELD = "secret"


class TotpEnrolledError(ConflictError):
    """The account has TOTP already: another would replace it unseen."""

    code = "totp-enrolled"
    title = "This account has TOTP already. Remove it first."


class CodeRefusedError(InvalidError):
    """The code is wrong, too old, or was used; or there is no such enrolment."""

    code = "code-refused"
    title = "The code is not valid for this enrolment. Wait for the next one and try again."


def enrol(principal: Principal, *, now_s: int) -> dict[str, Any]:
    """Return a new secret to be confirmed within ten minutes; it is shown once.

    Raises:
        TooManyRequestsError: too many changes of this account's factors.
        ProofReplayedError: the proof has done another deed.
        InfrastructureError: a service did not answer.
    """
    account, enrolment = principal.token.sub, entropy.new_id()
    throttle.admit(throttle.ENROLMENT_BY_ACCOUNT, account, now_s=now_s)
    secret, attempt = entropy.random_bytes(totp.SECRET_BYTES), entropy.new_id()
    sealed = person.ensured(account).seal(totp.text(secret), record=enrolment, field=FIELD)
    try:
        dynamodb.execute(
            once.deed_insert(principal.proof, attempt=attempt),
            dynamodb.insert(
                tables.identity(),
                {
                    **tables.totp_key(account, enrolment),
                    "secret": sealed,
                    "last_step": 0,
                    "confirm_by": now_s + CONFIRM_S,
                },
            ),
        )
    except ConditionFailedError:
        if not once.is_of(dynamodb.get(tables.once(), tables.deed_key(principal.proof)), attempt):
            raise ProofReplayedError from None
    return {
        "enrolment": enrolment,
        "secret": totp.text(secret),
        "uri": totp.uri(secret, account=account),
        "confirm_by": clock.rfc3339(now_s + CONFIRM_S),
    }


def confirm(enrolment: str, code: str, *, principal: Principal, now_s: int) -> dict[str, Any]:
    """Make an enrolment a factor by its first code, which is burned.

    It is provisional for a day, unless a passkey approved it (kind ``add-totp``).

    Raises:
        TooManyRequestsError: too many tries.
        CodeRefusedError: the code or the enrolment is not good.
        TotpEnrolledError: the account has TOTP already.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: a service did not answer.
    """
    account = principal.token.sub
    throttle.admit(throttle.ENROLMENT_BY_ACCOUNT, account, now_s=now_s)
    established = now_s if principal.approved else now_s + factors.PROVISIONAL_S

    def decide(seen: Seen) -> Change:
        pending, person_item = seen.items
        if seen.factors.totp is not None:
            raise TotpEnrolledError
        if pending is None or person_item is None or now_s >= pending["confirm_by"]:
            raise CodeRefusedError
        step = matching_step(account, enrolment, code, pending, person_item, now_s=now_s)
        if step is None:
            raise CodeRefusedError
        return Change(
            events=[Event("totp-added", {"established_at": established})],
            statements=[step_used(account, enrolment, step)],
            factors=seen.factors.next(
                totp=Totp(enrolment, added_at=now_s, established_at=established)
            ),
        )

    changes.commit(
        principal,
        decide,
        also=[
            (tables.identity(), tables.totp_key(account, enrolment)),
            (tables.identity(), tables.person_key(account)),
        ],
        now_s=now_s,
    )
    return {"established_at": clock.rfc3339(established)}


def remove(principal: Principal, *, now_s: int) -> None:
    """Remove TOTP; every other session of the account ends with it.

    Raises:
        ApprovalRequiredError: the account has a passkey, and it did not approve
            (kind ``remove-totp``).
        AccountFrozenError: a recovery has frozen removals.
        NoSuchFactorError: the account has no TOTP.
        LastFactorError: no complete way in would be left.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: the store did not answer.
    """

    def decide(seen: Seen) -> Change:
        changes.demand_removable(principal, seen, now_s=now_s)
        return Change(
            events=[Event("totp-removed")],
            factors=seen.factors.without_totp(now_s=now_s),
            kills=True,
        )

    changes.commit(principal, decide, now_s=now_s)


def matching_step(
    account: str, enrolment: str, code: str, stored: Item, person_item: Item, *, now_s: int
) -> int | None:
    """Return the step that a code of this enrolment belongs to, None if it is not good now.

    Raises:
        InfrastructureError: the secret could not be opened.
    """
    key = person.key_of(account, person_item)
    secret = totp.secret_in(key.open(bytes(stored["secret"]), record=enrolment, field=FIELD))
    return totp.matching_step(secret, code, last_step=stored["last_step"], now_s=now_s)


def step_used(account: str, enrolment: str, step: int) -> Statement:
    """Return the write that uses a step up: forward only."""
    return dynamodb.change(
        tables.identity(),
        tables.totp_key(account, enrolment),
        {"last_step": step},
        where='"last_step" < ?',
        given=(step,),
    )
