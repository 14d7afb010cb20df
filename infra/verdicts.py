"""Recorded verdicts: out of the table of a stack, or out of a file that was written before.

A record holds places and devices, so it is read by an operator's own right (a scan; no function
has one), ends after 35 days in the table, and is as sensitive in a file as it was there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import botocore.session
from pydantic import ValidationError

from infra.local import aws
from portcullis.identity.restraint import Judged
from portcullis.schema import Strict

VERDICT, EVENT = "VERDICT#", "EVENT#"
QUARANTINED, LIFTED = "account-quarantined", "quarantine-lifted"

WasYou = Literal["yes", "no", "unsaid"]
"""What the owner said of the request that quarantined the account."""


class HistoryError(Exception):
    """A sentence for who asked."""


class Recorded(Strict):
    """One verdict that was acted on: event *number* of its account, at Unix time *at*."""

    account: str
    number: int
    at: int
    quarantined: bool
    """Whether it killed and quarantined; or else it demanded an approval."""
    judged: Judged


class Lift(Strict):
    """The end of a quarantine: event *number* of its account."""

    account: str
    number: int
    was_you: WasYou


class History(Strict):
    """All that a replay goes by."""

    verdicts: list[Recorded]
    lifts: list[Lift]

    def truth(self, verdict: Recorded) -> WasYou | None:
        """Return what the owner said of a quarantine, at its first lift; None: not yet lifted."""
        answers = [
            (lift.number, lift.was_you)
            for lift in self.lifts
            if lift.account == verdict.account and lift.number > verdict.number
        ]
        return min(answers)[1] if answers else None


def read(file: Path) -> History:
    """Return the history in a file.

    Raises:
        HistoryError: there is none in it.
    """
    try:
        return History.model_validate_json(file.read_bytes())
    except OSError as error:
        raise HistoryError(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        raise HistoryError(f"{file} holds no exported verdicts ({_where(error)})") from None


def of_stack(stack: str, *, endpoint: str | None) -> History:
    """Return the history in a stack's table, on the emulator at *endpoint* or, without one, on AWS.

    Raises:
        HistoryError: a record is not readable: nothing of it may be left out in silence.
        botocore.exceptions.ClientError: the credentials may not read it, or there is no such stack.
    """
    functions, dynamodb = (_client(service, endpoint) for service in ("lambda", "dynamodb"))
    gate = functions.get_function_configuration(FunctionName=f"{stack}-identity-gate")
    return of_items(_scan(dynamodb, gate["Environment"]["Variables"]["IDENTITY_TABLE"]))


def of_items(items: Iterator[dict[str, Any]]) -> History:
    """Return the history in items of the table, as DynamoDB gives them.

    Raises:
        HistoryError: a record is not readable.
    """
    records: dict[tuple[str, int], dict[str, Any]] = {}
    quarantines: set[tuple[str, int]] = set()
    lifts: list[Lift] = []
    for item in items:
        kind, _, account = item["pk"]["S"].partition("#")
        place = (account, int(item["sk"]["S"]))
        if kind == "VERDICT":
            records[place] = item
        elif item["kind"]["S"] == QUARANTINED:
            quarantines.add(place)
        else:
            lifts.append(_lift(place, item))
    return History(
        verdicts=[
            _recorded(place, item, quarantined=place in quarantines)
            for place, item in sorted(records.items())
        ],
        lifts=sorted(lifts, key=lambda lift: (lift.account, lift.number)),
    )


def _lift(place: tuple[str, int], item: dict[str, Any]) -> Lift:
    account, number = place
    return Lift(account=account, number=number, was_you=item["was_you"]["S"])


def _recorded(place: tuple[str, int], item: dict[str, Any], *, quarantined: bool) -> Recorded:
    account, number = place
    try:
        judged = Judged.model_validate_json(item["record"]["S"])
    except ValidationError as error:
        raise HistoryError(f"verdict {account}/{number} is unreadable ({_where(error)})") from None
    return Recorded(
        account=account,
        number=number,
        at=int(item["at"]["N"]),
        quarantined=quarantined,
        judged=judged,
    )


def _scan(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        ConsistentRead=True,
        FilterExpression="begins_with(pk, :verdict)"
        " OR (begins_with(pk, :event) AND #kind IN (:quarantined, :lifted))",
        ExpressionAttributeNames={"#kind": "kind"},
        ExpressionAttributeValues={
            ":verdict": {"S": VERDICT},
            ":event": {"S": EVENT},
            ":quarantined": {"S": QUARANTINED},
            ":lifted": {"S": LIFTED},
        },
    )
    for page in pages:
        yield from page["Items"]


def _client(service: str, endpoint: str | None) -> Any:
    if endpoint is not None:
        return aws.client(service, endpoint=endpoint)
    return botocore.session.get_session().create_client(service)


def _where(error: ValidationError) -> str:
    """Say where a model was not met, and never with which value."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['type']}"
