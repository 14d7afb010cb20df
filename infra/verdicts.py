"""Recorded verdicts: out of the table of a stack, or out of a file that was written before.

A record holds places and devices, so only the auditor's role reads it (no function does), it ends
after 35 days in the table, and is as sensitive in a file as it was there.

It is read account by account, for no role may scan a table that also holds sessions and factors.
Which accounts there are, the audit trail knows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import botocore.session
from pydantic import ValidationError

from infra.local import aws
from portcullis.identity.restraint import Judged, Occasion
from portcullis.schema import Strict

VERDICT, EVENT = "VERDICT#", "EVENT#"
TRAIL = "events/"
QUARANTINED = "account-quarantined"

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
    occasion: Occasion | None = None
    """What was asked for; None: the event that says so has ended before its verdict."""
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

    def of(self, account: str) -> "History":
        """Return what there is of one account."""
        return History(
            verdicts=[one for one in self.verdicts if one.account == account],
            lifts=[one for one in self.lifts if one.account == account],
        )

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


def of_stack(stack: str, *, endpoint: str | None, account: str | None = None) -> History:
    """Return the history of a stack, on the emulator at *endpoint* or, without one, on AWS.

    Args:
        stack: its name.
        endpoint: where the emulator is.
        account: whose; None: of every account in the audit trail.

    Raises:
        HistoryError: a record is not readable: nothing of it may be left out in silence.
        botocore.exceptions.ClientError: the credentials may not read it, or there is no such stack.
    """
    functions, dynamodb, s3 = (_client(one, endpoint) for one in ("lambda", "dynamodb", "s3"))
    publisher = functions.get_function_configuration(FunctionName=f"{stack}-operations-publish")
    settings = publisher["Environment"]["Variables"]
    accounts = _accounts(s3, settings["AUDIT_BUCKET"]) if account is None else iter((account,))
    return of_items(
        item for one in accounts for item in items_of(dynamodb, settings["IDENTITY_TABLE"], one)
    )


def items_of(dynamodb: Any, table: str, account: str) -> Iterator[dict[str, Any]]:
    """Yield an account's verdicts and, if there are any, its events, as DynamoDB gives them.

    Raises:
        botocore.exceptions.ClientError: the credentials may not read them.
    """
    found = list(_query(dynamodb, table, VERDICT + account))
    yield from found
    if found:
        yield from _query(dynamodb, table, EVENT + account)


def of_items(items: Iterator[dict[str, Any]]) -> History:
    """Return the history in items of the table, as DynamoDB gives them.

    Raises:
        HistoryError: a record or an event is not readable.
    """
    records: dict[tuple[str, int], dict[str, Any]] = {}
    told: dict[tuple[str, int], _Told] = {}
    for item in items:
        kind, _, account = item["pk"]["S"].partition("#")
        place = (account, int(item["sk"]["S"]))
        if kind == "VERDICT":
            records[place] = item
        else:
            told[place] = _read(place, item)
    return History(
        verdicts=[
            _recorded(place, item, told=told.get(place)) for place, item in sorted(records.items())
        ],
        lifts=[
            Lift(account=account, number=number, was_you=one.was_you)
            for (account, number), one in sorted(told.items())
            if one.was_you is not None
        ],
    )


class _Told(Strict):
    """What an event says that a replay needs: of a verdict its occasion, of a lift its answer."""

    kind: str
    occasion: Occasion | None = None
    was_you: WasYou | None = None


def _read(place: tuple[str, int], item: dict[str, Any]) -> _Told:
    account, number = place
    members = {name: item[name].get("S") for name in _Told.model_fields if name in item}
    try:
        return _Told.model_validate(members)
    except ValidationError as error:
        raise HistoryError(f"event {account}/{number} is unreadable ({_where(error)})") from None


def _recorded(place: tuple[str, int], item: dict[str, Any], *, told: _Told | None) -> Recorded:
    account, number = place
    try:
        judged = Judged.model_validate_json(item["record"]["S"])
    except ValidationError as error:
        raise HistoryError(f"verdict {account}/{number} is unreadable ({_where(error)})") from None
    return Recorded(
        account=account,
        number=number,
        at=int(item["at"]["N"]),
        quarantined=told is not None and told.kind == QUARANTINED,
        occasion=told.occasion if told is not None else None,
        judged=judged,
    )


def _query(dynamodb: Any, table: str, partition: str) -> Iterator[dict[str, Any]]:
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        ConsistentRead=True,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": partition}},
    )
    for page in pages:
        yield from page["Items"]


def _accounts(s3: Any, bucket: str) -> Iterator[str]:
    """Yield every account that has something in the audit trail."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=TRAIL, Delimiter="/")
    for page in pages:
        for one in page.get("CommonPrefixes", []):
            yield one["Prefix"].removeprefix(TRAIL).removesuffix("/")


def _client(service: str, endpoint: str | None) -> Any:
    if endpoint is not None:
        return aws.client(service, endpoint=endpoint)
    return botocore.session.get_session().create_client(service)


def _where(error: ValidationError) -> str:
    """Say where a model was not met, and never with which value."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['type']}"
