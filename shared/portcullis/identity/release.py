"""The operators' release: a way back for an owner who lost every factor and every code.

Two operators grant one recovery code, which becomes good only after three days. The owner is told
at once, and whoever still holds a factor can cancel it until then. It lifts no quarantine and
moves no money: the code recovers as any other does, with its freeze and its provisional passkey.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError
from portcullis.evidence.commands import Command
from portcullis.evidence.orders import ReleaseAccount
from portcullis.identity import once, operators, outbox, recovery_codes, tables
from portcullis.identity.factors import Factors
from portcullis.identity.operators import CommandReplayedError
from portcullis.identity.outbox import Event
from portcullis.identity.standing import NoSuchAccountError

WAIT_S = 72 * 3_600
"""How long the owner has to hear of a release and to cancel it."""
ROUNDS_MAX = 6
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Released:
    """A code that is shown once, and the Unix time from which it recovers the account."""

    code: str
    good_from: int


def release(
    account: str, compacts: Sequence[str], *, caller_role: str | None, now_s: int
) -> Released:
    """Grant a recovery code to an account; a release that is pending is replaced.

    Args:
        account: the account that the request names.
        compacts: two operators' commands, which name it, too.
        caller_role: the IAM role that API Gateway authenticated.
        now_s: the time, in Unix seconds.

    Raises:
        InvalidCommandError: a command does not verify, or it is for another account.
        TwoOperatorsRequiredError: one operator, one key or two orders are behind the commands.
        CommandReplayedError: a command has served before.
        NoSuchAccountError: there is no such account.
        InfrastructureError: a service did not answer, or others kept changing the account.
    """
    given = operators.ordered(
        compacts,
        expected_kind="release-account",
        expected_path=f"/accounts/{account}/release",
        caller_role=caller_role,
        now_s=now_s,
    )
    operators.demand_named(account, given[0], ReleaseAccount)
    code, attempt = recovery_codes.new_code(), entropy.new_id()
    item = recovery_codes.item(account, code, of_set=entropy.new_id())
    released = Released(code, now_s + WAIT_S)
    for round_ in range(ROUNDS_MAX):
        if _commit(account, given, released, item, attempt=attempt, now_s=now_s):
            return released
        time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
    raise ContentionError("release")


def _commit(
    account: str,
    given: Sequence[Command],
    released: Released,
    item: Mapping[str, Any],
    *,
    attempt: str,
    now_s: int,
) -> bool:
    """Return whether it is written: False if the account's state moved meanwhile."""
    enrolled, head, *spent = dynamodb.batch_get(
        (tables.identity(), tables.factors_key(account)),
        (tables.identity(), tables.outbox_key(account)),
        *((tables.once(), tables.command_key(command.iss, command.jti)) for command in given),
    )
    if all(once.is_of(one, attempt) for one in spent):
        return True
    if any(spent):
        raise CommandReplayedError
    if enrolled is None:
        raise NoSuchAccountError
    held = Factors.from_item(enrolled)
    event = Event(
        "account-released",
        {
            "operators": operators.names(given),
            "good_from": released.good_from,
        },
    )
    try:
        dynamodb.execute(
            *(operators.used(command, attempt=attempt) for command in given),
            dynamodb.insert(tables.identity(), item),
            held.next(release=item["set"], release_from=released.good_from).written_after(held),
            *outbox.numbered(account, event, after=outbox.last(head), at_s=now_s),
        )
    except ConditionFailedError:
        return False
    return True
