"""The operators' release: a way back for an owner who lost every factor and every code.

Two operators grant one recovery code, which becomes good only after three days. The owner is told
at once, and whoever still holds a factor can cancel it until then. It lifts no quarantine and
moves no money: the code recovers as any other does, with its freeze and its provisional passkey.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Statement
from portcullis.evidence.orders import ReleaseAccount
from portcullis.identity import operators, outbox, recovery_codes, tables
from portcullis.identity.factors import Factors
from portcullis.identity.outbox import Event
from portcullis.identity.standing import NoSuchAccountError

WAIT_S = 72 * 3_600
"""How long the owner has to hear of a release and to cancel it."""


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
    code, of_set = recovery_codes.new_code(), entropy.new_id()
    stored = recovery_codes.item(account, code, of_set=of_set)
    released = Released(code, now_s + WAIT_S)
    event = Event(
        "account-released",
        {"operators": operators.names(given), "good_from": released.good_from},
    )

    def decide(item: Item | None, head: Item | None) -> tuple[Released, Sequence[Statement]]:
        if item is None:
            raise NoSuchAccountError
        held = Factors.from_item(item)
        return released, [
            dynamodb.insert(tables.identity(), stored),
            held.next(release=of_set, release_from=released.good_from).written_after(held),
            *outbox.numbered(account, event, after=outbox.last(head), at_s=now_s),
        ]

    factors = tables.identity(), tables.factors_key(account)
    return operators.commit(given, decide, on=factors, account=account)
