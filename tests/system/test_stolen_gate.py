"""What a thief of a role that judges requests could do to an account's standing and its record.

Tried with the real roles' own credentials, through every API of DynamoDB that writes.
"""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from portcullis.identity import judge
from portcullis.identity.observations import Baseline, Observation, Place
from portcullis.identity.restraint import Judged, Restraint
from tests.support import iam
from tests.support.iam import ROOT, Role
from tests.support.inside import outputs
from tests.support.stack import Stack
from tests.system.people import signed_in
from tests.system.test_stolen_roles import denied, role

JUDGING = ("identity-gate", "identity-refresh", "identity-sign-in", "identity-second-factor")
RESTRAIN = "identity-restrain"

type Item = dict[str, Any]
type Attempt = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def resources(stack: Stack) -> dict[str, str]:
    """The physical names of tables and keys, by their names in the data template."""
    return outputs(stack)


@pytest.fixture(scope="module")
def account(stack: Stack) -> str:
    """An account that the restraining function has quarantined, asked with the gate's own role."""
    account = signed_in(stack).account
    assert account is not None
    answer = _invoked(role(stack, "identity-gate"), _order(account))
    assert answer == {"restrained": True}
    return account


def _order(account: str) -> dict[str, Any]:
    at_s = int(time.time())
    london, bucharest = (
        Observation(
            at_s=at_s - ago_s, label=place.country, place=place, network=place.country, device="x"
        )
        for ago_s, place in (
            (240, Place(country="GB", latitude_tenths=515, longitude_tenths=-1, radius_km=10)),
            (0, Place(country="RO", latitude_tenths=444, longitude_tenths=261, radius_km=10)),
        )
    )
    baseline = Baseline.of(london)
    order = Restraint(
        account=account,
        sid="a" * 26,
        occasion="request",
        epoch=1,
        judged=Judged(
            baseline=baseline,
            observation=bucharest,
            verdict=judge.judge(judge.POLICY, baseline, bucharest),
        ),
    )
    return order.model_dump(mode="json")


def _invoked(act: Role, order: Mapping[str, Any]) -> Any:
    answer = act.aws(
        "lambda",
        "invoke",
        FunctionName=f"{act.stack.name}-{RESTRAIN}:live",
        Payload=json.dumps(order).encode(),
    )
    return json.loads(answer["Payload"].read())


def _stored(stack: Stack, table: str, **key: str) -> Item:
    found = iam.aws(
        stack.endpoint,
        ROOT,
        "dynamodb",
        "get_item",
        TableName=table,
        Key={name: {"S": value} for name, value in key.items()},
        ConsistentRead=True,
    )
    item: Item = found["Item"]
    return item


def _writes(table: str, item: Item, *, inserts: bool = True) -> Iterator[Attempt]:
    """Yield every way to put an item there, to change one member of it, or to remove it.

    ``inserts``: PartiQL's INSERT, which some roles have for what is not there yet, among them.
    """
    key = {name: item[name] for name in ("pk", "sk") if name in item}
    (member, value) = next((name, item[name]) for name in item if name not in key)
    set_ = {
        "UpdateExpression": "SET #m = :m",
        "ExpressionAttributeNames": {"#m": member},
        "ExpressionAttributeValues": {":m": value},
    }
    yield "put_item", {"TableName": table, "Item": item}
    yield "update_item", {"TableName": table, "Key": key, **set_}
    yield "delete_item", {"TableName": table, "Key": key}
    for request in ({"PutRequest": {"Item": item}}, {"DeleteRequest": {"Key": key}}):
        yield "batch_write_item", {"RequestItems": {table: [request]}}
    for action in (
        {"Put": {"TableName": table, "Item": item}},
        {"Update": {"TableName": table, "Key": key, **set_}},
        {"Delete": {"TableName": table, "Key": key}},
    ):
        yield "transact_write_items", {"TransactItems": [action]}
    where = " AND ".join(f'"{name}" = ?' for name in key)
    statements = [
        (f'UPDATE "{table}" SET "{member}" = ? WHERE {where}', [value, *key.values()]),  # noqa: S608
        (f'DELETE FROM "{table}" WHERE {where}', [*key.values()]),  # noqa: S608
    ]
    if inserts:
        members = ", ".join(f"'{name}': ?" for name in item)
        statements.append((f'INSERT INTO "{table}" VALUE {{{members}}}', [*item.values()]))
    for text, values in statements:
        one = {"Statement": text, "Parameters": values}
        yield "execute_statement", one
        yield "execute_transaction", {"TransactStatements": [one]}
        yield "batch_execute_statement", {"Statements": [one]}


def _allowed(act: Role, attempts: Iterator[Attempt]) -> list[str]:
    """Return the operations that are not denied."""
    return [name for name, given in attempts if not denied(act, "dynamodb", name, **given)]


LOOSER = {
    "lifted": {"status": {"S": "ACTIVE"}},
    "an older epoch": {"epoch": {"N": "1"}},
    "no demand": {"approval_required_since": {"N": "0"}},
    "no freeze": {"frozen_until": {"N": "0"}},
}


@pytest.mark.parametrize("thief", JUDGING)
@pytest.mark.parametrize("wish", LOOSER)
def test_who_judges_cannot_loosen_what_stands(
    stack: Stack, resources: dict[str, str], account: str, thief: str, wish: str
) -> None:
    """No quarantine lifted, no epoch lowered, no demand or freeze ended: each API denies it."""
    table = resources["StandingTable"]
    before = _stored(stack, table, pk=account)
    assert (before["status"], before["epoch"]) == ({"S": "QUARANTINED"}, {"N": "2"})
    # The wish comes first: it is what the attempts to change one member change.
    loose = {"pk": before["pk"], **LOOSER[wish]} | {
        name: value for name, value in before.items() if name not in LOOSER[wish]
    }
    assert _allowed(role(stack, thief), _writes(table, loose)) == []
    assert _stored(stack, table, pk=account) == before


@pytest.mark.parametrize("thief", [*JUDGING, RESTRAIN])
def test_who_judges_or_restrains_cannot_touch_the_lockdown(
    stack: Stack, resources: dict[str, str], thief: str
) -> None:
    """Nobody of them freezes everybody's money, or ends that."""
    item = {"pk": {"S": "LOCKDOWN"}, "locked": {"BOOL": False}, "since": {"N": "0"}}
    assert _allowed(role(stack, thief), _writes(resources["StandingTable"], item)) == []


@pytest.mark.parametrize("thief", JUDGING)
def test_who_judges_cannot_write_the_record_of_a_verdict(
    stack: Stack, resources: dict[str, str], account: str, thief: str
) -> None:
    """What replay judges again is no word of a role that meets the world."""
    table = resources["IdentityTable"]
    before = _stored(stack, table, pk=f"VERDICT#{account}", sk=_number(stack, table, account))
    forged = {"pk": before["pk"], "sk": before["sk"], "record": {"S": "{}"}}
    fresh = {**forged, "sk": {"S": "000000000099"}}
    for item in (forged, fresh):
        assert _allowed(role(stack, thief), _writes(table, item)) == []


def _number(stack: Stack, table: str, account: str) -> str:
    """Return the sort key of the account's last event."""
    head = _stored(stack, table, pk=f"OUTBOX#{account}", sk="HEAD")
    return f"{int(head['last']['N']):012d}"


@pytest.mark.parametrize("kind", ["EVENT", "PENDING", "OUTBOX", "SESSION", "FACTORS"])
def test_the_gate_tells_nobody_anything(
    stack: Stack, resources: dict[str, str], account: str, kind: str
) -> None:
    """It writes no event, hides none, and changes no session or factor."""
    table = resources["IdentityTable"]
    keys = {
        "EVENT": (f"EVENT#{account}", "000000000001"),
        "PENDING": ("PENDING#00", f"{account}#000000000001"),
        "OUTBOX": (f"OUTBOX#{account}", "HEAD"),
        "SESSION": (f"SESSION#{'a' * 26}", "SESSION"),
        "FACTORS": (f"FACTORS#{account}", "FACTORS"),
    }
    pk, sk = keys[kind]
    item = {"pk": {"S": pk}, "sk": {"S": sk}, "at": {"N": "0"}}
    assert _allowed(role(stack, "identity-gate"), _writes(table, item)) == []


@pytest.mark.parametrize("thief", ["identity-refresh", "identity-sign-in", RESTRAIN])
@pytest.mark.parametrize("kind", ["EVENT", "PENDING"])
def test_who_tells_of_something_cannot_take_it_back(
    stack: Stack, resources: dict[str, str], account: str, thief: str, kind: str
) -> None:
    """An event, and the note that it is to be published, are inserted and never touched again."""
    pk, sk = {
        "EVENT": (f"EVENT#{account}", "000000000001"),
        "PENDING": ("PENDING#00", f"{account}#000000000001"),
    }[kind]
    item = {"pk": {"S": pk}, "sk": {"S": sk}, "at": {"N": "0"}}
    writes = _writes(resources["IdentityTable"], item, inserts=False)
    assert _allowed(role(stack, thief), writes) == []


def test_who_restrains_cannot_rewrite_a_verdict_or_touch_what_it_judged(
    stack: Stack, resources: dict[str, str], account: str
) -> None:
    """The record stays as it was inserted; sessions, sightings and factors are not its own."""
    table, act = resources["IdentityTable"], role(stack, RESTRAIN)
    number = _number(stack, table, account)
    record = {"pk": {"S": f"VERDICT#{account}"}, "sk": {"S": number}, "record": {"S": "{}"}}
    assert _allowed(act, _writes(table, record, inserts=False)) == []
    for pk, sk in (
        (f"SESSION#{'a' * 26}", "SESSION"),
        (f"SIGHTINGS#{'a' * 26}", "SIGHTINGS"),
        (f"FACTORS#{account}", "FACTORS"),
    ):
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "at": {"N": "0"}}
        assert _allowed(act, _writes(table, item)) == []


def test_a_stolen_gate_can_ask_for_restraint_and_for_nothing_looser(
    stack: Stack, resources: dict[str, str], account: str
) -> None:
    """Orders that lie are refused or late: what stands is not loosened by any of them."""
    table, act = resources["StandingTable"], role(stack, "identity-gate")
    before = _stored(stack, table, pk=account)
    order = _order(account)
    for lie in ({"status": "ACTIVE"}, {"epoch": "1"}, {"account": "LOCKDOWN"}):
        assert _invoked(act, order | lie)["type"] == "urn:portcullis:problem:invalid-body"
    for late in ({"epoch": 1}, {"epoch": 9}):
        assert _invoked(act, order | late) == {"restrained": True}
    assert _stored(stack, table, pk=account) == before


@pytest.mark.parametrize("thief", JUDGING)
@pytest.mark.parametrize(
    "function", ["operations-register-operator", "identity-certify-enrolment", "ledger-post"]
)
def test_who_may_have_restraint_done_may_invoke_nothing_else(
    stack: Stack, thief: str, function: str
) -> None:
    """The right to invoke is for one alias of one function."""
    for qualifier in ("", ":live"):
        assert denied(
            role(stack, thief),
            "lambda",
            "invoke",
            FunctionName=f"{stack.name}-{function}{qualifier}",
            Payload=b"{}",
        )


@pytest.mark.parametrize("thief", ["money-order-transfer", "ledger-post", "identity-revoke"])
def test_nobody_else_has_restraint_done(stack: Stack, account: str, thief: str) -> None:
    """A thief of another role quarantines nobody."""
    assert denied(
        role(stack, thief),
        "lambda",
        "invoke",
        FunctionName=f"{stack.name}-{RESTRAIN}:live",
        Payload=json.dumps(_order(account)).encode(),
    )
