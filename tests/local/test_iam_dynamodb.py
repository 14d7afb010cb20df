"""What a DynamoDB request is authorised for: each item, each statement, by its key."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulators import Emulator

TABLES = "arn:aws:dynamodb:us-east-1:000000000000:table/"
TENANTS, JOURNAL = f"{TABLES}tenants", f"{TABLES}journal"
MINE, THEIRS = "a#mine", "b#theirs"

type Call = Callable[[Any, str], Any]


def allow(*actions: str, on: str = TENANTS, condition: dict[str, Any] | None = None) -> Any:
    """Return a statement that allows DynamoDB actions."""
    statement = {
        "Effect": "Allow",
        "Action": [f"dynamodb:{action}" for action in actions],
        "Resource": [on, f"{on}/index/*"],
    }
    return {**statement, "Condition": condition} if condition else statement


def only_mine(*actions: str, on: str = TENANTS) -> Any:
    """Return a statement that allows actions on the keys of tenant a."""
    keys = {"dynamodb:LeadingKeys": ["a#*"]}
    return allow(*actions, on=on, condition={"ForAllValues:StringLike": keys})


def item(key: str) -> dict[str, Any]:
    """Return an item with this partition key, owned by its own tenant."""
    return {"pk": {"S": key}, "owner": {"S": key}}


def key(value: str) -> dict[str, Any]:
    """Return the primary key with this partition key."""
    return {"pk": {"S": value}}


def is_allowed(call: Call, client: Any, value: str) -> bool:
    """Say whether the call got past authorisation; any other refusal is the test's mistake."""
    try:
        call(client, value)
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDeniedException":
            return False
        raise
    return True


CALLS: dict[str, tuple[str, Call]] = {
    "PutItem": ("PutItem", lambda c, v: c.put_item(TableName="tenants", Item=item(v))),
    "GetItem": ("GetItem", lambda c, v: c.get_item(TableName="tenants", Key=key(v))),
    "DeleteItem": ("DeleteItem", lambda c, v: c.delete_item(TableName="tenants", Key=key(v))),
    "UpdateItem": (
        "UpdateItem",
        lambda c, v: c.update_item(TableName="tenants", Key=key(v), UpdateExpression="REMOVE x"),
    ),
    "Query": (
        "Query",
        lambda c, v: c.query(
            TableName="tenants",
            KeyConditionExpression="#k = :k",
            ExpressionAttributeNames={"#k": "pk"},
            ExpressionAttributeValues={":k": {"S": v}},
        ),
    ),
    "Query on an index": (
        "Query",
        lambda c, v: c.query(
            TableName="tenants",
            IndexName="by-owner",
            KeyConditionExpression="#o = :k",
            ExpressionAttributeNames={"#o": "owner"},
            ExpressionAttributeValues={":k": {"S": v}},
        ),
    ),
    "BatchGetItem": (
        "BatchGetItem",
        lambda c, v: c.batch_get_item(RequestItems={"tenants": {"Keys": [key(v)]}}),
    ),
    "BatchWriteItem": (
        "BatchWriteItem",
        lambda c, v: c.batch_write_item(
            RequestItems={"tenants": [{"PutRequest": {"Item": item(v)}}]}
        ),
    ),
    "TransactGetItems": (
        "GetItem",
        lambda c, v: c.transact_get_items(
            TransactItems=[{"Get": {"TableName": "tenants", "Key": key(v)}}]
        ),
    ),
    "TransactWriteItems": (
        "PutItem",
        lambda c, v: c.transact_write_items(
            TransactItems=[{"Put": {"TableName": "tenants", "Item": item(v)}}]
        ),
    ),
    "INSERT": (
        "PartiQLInsert",
        lambda c, v: c.execute_statement(
            Statement="INSERT INTO \"tenants\" VALUE {'pk': ?, 'owner': 'x'}",
            Parameters=[{"S": f"{v}#inserted"}],
        ),
    ),
    "UPDATE": (
        "PartiQLUpdate",
        lambda c, v: c.execute_statement(
            Statement='UPDATE "tenants" SET seen = 1 WHERE pk = ?', Parameters=[{"S": v}]
        ),
    ),
    "SELECT": (
        "PartiQLSelect",
        lambda c, v: c.execute_statement(
            Statement='SELECT pk FROM "tenants" WHERE pk = ?', Parameters=[{"S": v}]
        ),
    ),
    "SELECT in a batch": (
        "PartiQLSelect",
        lambda c, v: c.batch_execute_statement(
            Statements=[
                {"Statement": 'SELECT pk FROM "tenants" WHERE pk = ?', "Parameters": [{"S": v}]}
            ]
        ),
    ),
    "DELETE": (
        "PartiQLDelete",
        lambda c, v: c.execute_statement(
            Statement='DELETE FROM "tenants" WHERE pk = ?', Parameters=[{"S": f"{v}#inserted"}]
        ),
    ),
    "UPDATE in a transaction": (
        "PartiQLUpdate",
        lambda c, v: c.execute_transaction(
            TransactStatements=[
                {
                    "Statement": 'UPDATE "tenants" SET seen = 1 WHERE pk = ?',
                    "Parameters": [{"S": v}],
                }
            ]
        ),
    ),
}


@pytest.fixture(autouse=True)
def rows(stock: Emulator, ours: Emulator) -> None:
    """A row of each tenant in each emulator."""
    for emulator in (stock, ours):
        for value in (MINE, THEIRS):
            emulator.root("dynamodb").put_item(TableName="tenants", Item=item(value))
            emulator.root("dynamodb").put_item(TableName="journal", Item=key(value))


@pytest.fixture(scope="module")
def stock_tenant(stock: Emulator) -> Any:
    """Tenant a, on the stock emulator."""
    return stock.acting("dynamodb", *_tenant())


@pytest.fixture(scope="module")
def our_tenant(ours: Emulator) -> Any:
    """Tenant a, on ours."""
    return ours.acting("dynamodb", *_tenant())


def _tenant() -> list[Any]:
    return [only_mine(*{action for action, _ in CALLS.values()})]


@pytest.mark.parametrize("name", CALLS)
def test_leading_keys_bind(name: str, stock_tenant: Any, our_tenant: Any) -> None:
    """A tenant reaches its own items and nobody else's, by every operation."""
    _, call = CALLS[name]
    stock_verdicts = [is_allowed(call, stock_tenant, value) for value in (MINE, THEIRS)]
    assert stock_verdicts in ([True, True], [False, False])
    verdicts = [is_allowed(call, our_tenant, value) for value in (MINE, THEIRS)]
    assert verdicts == [True, False]


@pytest.mark.parametrize("name", CALLS)
def test_each_operation_has_its_own_action(name: str, ours: Emulator) -> None:
    """A role that may do everything but this operation's action is refused."""
    wanted, call = CALLS[name]
    others = {action for action, _ in CALLS.values()} - {wanted}
    assert not is_allowed(call, ours.acting("dynamodb", allow(*others)), MINE)


def test_scan_has_no_leading_key(ours: Emulator) -> None:
    """ForAllValues is true of a request without the key, so a scan needs no action to pass."""
    scan: Call = lambda client, _: client.scan(TableName="tenants")  # noqa: E731
    assert is_allowed(scan, ours.acting("dynamodb", only_mine("Scan")), MINE)
    strict = {"Null": {"dynamodb:LeadingKeys": "false"}}
    assert not is_allowed(scan, ours.acting("dynamodb", allow("Scan", condition=strict)), MINE)


def test_full_table_scan_by_partiql_is_told_apart(ours: Emulator) -> None:
    """A SELECT without its partition key is a full table scan to the policy."""
    no_scan = {"Bool": {"dynamodb:FullTableScan": "false"}}
    role = ours.acting("dynamodb", allow("PartiQLSelect", condition=no_scan))
    by_key: Call = lambda client, value: client.execute_statement(  # noqa: E731
        Statement='SELECT pk FROM "tenants" WHERE pk = ?', Parameters=[{"S": value}]
    )
    whole: Call = lambda client, _: client.execute_statement(  # noqa: E731
        Statement='SELECT pk FROM "tenants"'
    )
    assert is_allowed(by_key, role, MINE)
    assert not is_allowed(whole, role, MINE)


def posting(client: Any, value: str) -> None:
    """Run one transaction of three statements on two tables."""
    client.execute_transaction(
        TransactStatements=[
            {
                "Statement": "INSERT INTO \"journal\" VALUE {'pk': ?}",
                "Parameters": [{"S": f"{value}#{id(client)}"}],
            },
            {
                "Statement": 'UPDATE "tenants" SET seen = 1 WHERE pk = ?',
                "Parameters": [{"S": value}],
            },
            {
                "Statement": 'EXISTS(SELECT * FROM "journal" WHERE pk = ? AND ended IS MISSING)',
                "Parameters": [{"S": MINE}],
            },
        ]
    )


POSTING = (
    allow("PartiQLInsert", "PartiQLSelect", on=JOURNAL),
    allow("PartiQLUpdate", on=TENANTS),
)


def test_transaction_needs_every_statement(stock: Emulator, ours: Emulator) -> None:
    """A transaction passes with exactly its statements' actions on their tables."""
    assert not is_allowed(posting, stock.acting("dynamodb", *POSTING), MINE)
    assert is_allowed(posting, ours.acting("dynamodb", *POSTING), MINE)


@pytest.mark.parametrize(
    "held",
    [
        (allow("PartiQLInsert", on=JOURNAL), POSTING[1]),
        (allow("PartiQLSelect", on=JOURNAL), POSTING[1]),
        POSTING[:1],
        (allow("PartiQLInsert", "PartiQLUpdate", "PartiQLSelect", on=TENANTS),),
        (allow("ExecuteTransaction", "PutItem", "UpdateItem", "GetItem", on=f"{TABLES}*"),),
    ],
    ids=["no select", "no insert", "no update", "another table", "other actions"],
)
def test_transaction_without_one_of_them_is_refused(held: tuple[Any, ...], ours: Emulator) -> None:
    """One statement that is not allowed refuses the whole transaction."""
    assert not is_allowed(posting, ours.acting("dynamodb", *held), MINE)


def test_insert_only_role_cannot_rewrite(ours: Emulator) -> None:
    """A role that may only insert cannot replace what is there, by any operation."""
    role = ours.acting("dynamodb", allow("PartiQLInsert", on=JOURNAL))
    replace: Call = lambda client, value: client.put_item(  # noqa: E731
        TableName="journal", Item=key(value)
    )
    assert not is_allowed(replace, role, MINE)


def test_batch_get_is_authorised_per_table(ours: Emulator) -> None:
    """BatchGetItem needs its action on every table it names."""
    both: Call = lambda client, value: client.batch_get_item(  # noqa: E731
        RequestItems={"tenants": {"Keys": [key(value)]}, "journal": {"Keys": [key(value)]}}
    )
    one = ours.acting("dynamodb", allow("BatchGetItem"))
    two = ours.acting("dynamodb", allow("BatchGetItem"), allow("BatchGetItem", on=JOURNAL))
    assert not is_allowed(both, one, MINE)
    assert is_allowed(both, two, MINE)


def test_unreadable_query_is_refused(ours: Emulator) -> None:
    """A query whose key cannot be told is not taken for one without a key."""
    role = ours.acting("dynamodb", only_mine("Query"))
    hidden: Call = lambda client, value: client.query(  # noqa: E731
        TableName="tenants",
        KeyConditionExpression="pk = :k AND pk = :k",
        ExpressionAttributeValues={":k": {"S": value}},
    )
    assert not is_allowed(hidden, role, THEIRS)
