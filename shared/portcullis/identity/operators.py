"""Operators: what one of them signs freezes, at most; all else takes the same order by two.

They come through one role of IAM, which shows that somebody may call at all; who they are is shown
by their keys, which the registry knows and no function can change.
"""

import time
from collections.abc import Callable, Sequence

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import (
    ConditionFailedError,
    ContentionError,
    Item,
    Key,
    Statement,
    Value,
)
from portcullis.errors import ForbiddenError
from portcullis.evidence import commands, orders
from portcullis.evidence.commands import Command
from portcullis.evidence.errors import EvidenceError, InvalidCommandError
from portcullis.evidence.jws import Jws
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.operators import ISSUER_PREFIX, Operator
from portcullis.evidence.orders import LiftQuarantine, OrderKind, ReleaseAccount
from portcullis.identity import once, tables
from portcullis.schema import Strict
from portcullis.settings import setting

ROUNDS_MAX = 6
PAUSE_S = 0.02


class TwoOperatorsRequiredError(ForbiddenError):
    """The commands are too few, or one person's, or they order two things."""

    code = "two-operators-required"
    title = "Two different operators must sign the same order, each with a key of their own."


class CommandReplayedError(ForbiddenError):
    """A command has served before."""

    code = "command-replayed"
    title = "One of the commands was used before. Both operators must sign anew."


def ordered(
    compacts: Sequence[str],
    *,
    expected_kind: OrderKind,
    expected_path: str,
    caller_role: str | None,
    now_s: int,
    expected_operators: int = 2,
) -> list[Command]:
    """Return the commands by which operators order the same thing, now and here.

    Args:
        compacts: the commands, as they came.
        expected_kind: the kind of order that the route takes.
        expected_path: the route that the commands must name.
        caller_role: the IAM role that API Gateway authenticated.
        now_s: the time, in Unix seconds.
        expected_operators: how many different operators must have signed, neither fewer nor more.

    Raises:
        InvalidCommandError: one is not an operator's command of this kind for this route and
            moment, or they came from another role.
        TwoOperatorsRequiredError: too few operators or keys, or two orders, are behind them.
        InfrastructureError: the registry did not answer.
    """
    if caller_role != setting("OPERATOR_ROLE"):
        raise InvalidCommandError
    if len(compacts) != expected_operators:
        raise TwoOperatorsRequiredError
    try:
        parsed = [commands.parse(one) for one in compacts]
        names = [commands.issuer(one).removeprefix(ISSUER_PREFIX) for one in parsed]
        known = dynamodb.batch_get(
            *((tables.registry(), tables.operator_key(name)) for name in names)
        )
        given = [
            _verified(one, item, expected_path=expected_path, now_s=now_s)
            for one, item in zip(parsed, known, strict=True)
        ]
    except EvidenceError as error:
        raise InvalidCommandError from error
    if any(command.kind != expected_kind for command in given):
        raise InvalidCommandError
    # A name has one key for ever, so two keys are two names, too. Each ``kid`` was compared.
    keys = {one.header["kid"] for one in parsed}
    told = {command.body for command in given}
    if len(keys) < len(given) or len(told) > 1:
        raise TwoOperatorsRequiredError
    return given


def order[Order: Strict](command: Command, model: type[Order]) -> Order:
    """Return what a command orders.

    Raises:
        InvalidCommandError: its order is another.
    """
    try:
        return orders.read(command.order, model)
    except EvidenceError as error:
        raise InvalidCommandError from error


def demand_named(
    account: str, command: Command, model: type[ReleaseAccount] | type[LiftQuarantine]
) -> None:
    """Demand that a command's order names the account that the request names.

    Raises:
        InvalidCommandError: it does not.
    """
    if order(command, model).account != account:
        raise InvalidCommandError


def names(given: Sequence[Command]) -> list[Value]:
    """Return who gave the commands, for an event to tell."""
    return [command.iss.removeprefix(ISSUER_PREFIX) for command in given]


def commit[Outcome](
    given: Sequence[Command],
    decide: Callable[[Item | None, Item | None], tuple[Outcome, Sequence[Statement]]],
    *,
    on: tuple[str, Key],
    account: str,
) -> Outcome:
    """Use the commands up together with what *decide* makes of the present state; return its word.

    Args:
        given: the verified commands.
        decide: from the item that they are about, and the head of the account's outbox: what to
            answer, and what to write. It is called again when the state has moved; what it raises
            is the answer, and leaves the commands good.
        on: the table and the key of that item.
        account: whose outbox is told.

    Raises:
        CommandReplayedError: a command has served before.
        InfrastructureError: the store did not answer, or others kept changing the state.
    """
    attempt, meant = entropy.new_id(), list[Outcome]()
    for round_ in range(ROUNDS_MAX + 1):
        item, head, *spent = dynamodb.batch_get(
            on,
            (tables.identity(), tables.outbox_key(account)),
            *((tables.once(), _key(command)) for command in given),
        )
        if meant and all(once.is_of(one, attempt) for one in spent):
            return meant[-1]
        if any(spent):
            raise CommandReplayedError
        if round_ == ROUNDS_MAX:
            break
        outcome, writes = decide(item, head)
        meant.append(outcome)
        try:
            dynamodb.execute(*(_used(command, attempt) for command in given), *writes)
        except ConditionFailedError:
            time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
        else:
            return outcome
    raise ContentionError("operators")


def _key(command: Command) -> Key:
    return tables.command_key(command.iss, command.jti)


def _used(command: Command, attempt: str) -> Statement:
    ttl = command.exp + commands.LIFETIME_S
    return dynamodb.insert(tables.once(), {**_key(command), "attempt": attempt, "ttl": ttl})


def _verified(parsed: Jws, item: Item | None, *, expected_path: str, now_s: int) -> Command:
    if item is None:
        raise EvidenceError("command of nobody who is registered")
    operator = Operator(operator=item["operator"], jwk=dict(item["jwk"]))
    return commands.verify(
        parsed,
        key=PublicKey.from_jwk(operator.jwk),
        expected_issuer=operator.issuer,
        expected_audience=setting("INTERNAL_ORIGIN"),
        expected_path=expected_path,
        now_s=now_s,
    )
