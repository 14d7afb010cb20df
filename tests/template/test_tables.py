"""What outlives everything: tables that are kept, restorable, and forget only what may go."""

import ast

import pytest

from tests.template.transformed import ROOT, data, readable, resources

TABLES = {
    "IdentityTable": ("pk", "sk"),
    "StandingTable": ("pk",),
    "OnceTable": ("pk",),
    "BalancesTable": ("pk", "sk"),
    "JournalTable": ("pk", "sk"),
    "LedgerOnceTable": ("pk",),
    "RegistryTable": ("pk",),
}

FORGETFUL = {"IdentityTable", "OnceTable", "LedgerOnceTable"}
"""Sessions, events and used-up things age; balances, history, standing and partners never do."""

WRITE_TTL = {
    "identity/backoff.py",  # OnceTable
    "identity/challenges.py",  # OnceTable
    "identity/once.py",  # OnceTable
    "identity/operators.py",  # OnceTable
    "identity/outbox.py",  # IdentityTable: events
    "identity/restraint.py",  # IdentityTable: verdicts
    "identity/sessions.py",  # IdentityTable
    "identity/sightings.py",  # IdentityTable
    "identity/throttle.py",  # OnceTable
    "identity/tickets.py",  # OnceTable
    "ledger/book.py",  # LedgerOnceTable
    "operations/events.py",  # none: it keeps the attribute out of what leaves
}
"""The modules that give an item an end, and the tables that they write to."""


def properties(table: str) -> dict[str, object]:
    """Return a table's properties."""
    found: dict[str, object] = readable(
        resources("AWS::DynamoDB::Table", data())[table]["Properties"]
    )
    return found


def test_the_tables_are_these() -> None:
    """There is no other table, and each has the keys that the product spells."""
    actual = {
        name: tuple(key["AttributeName"] for key in table["Properties"]["KeySchema"])
        for name, table in resources("AWS::DynamoDB::Table", data()).items()
    }
    assert actual == TABLES


@pytest.mark.parametrize(
    "name",
    sorted(resources("AWS::DynamoDB::Table", data()) | resources("AWS::KMS::Key", data())),
)
def test_no_deployment_deletes_a_table_or_a_key(name: str) -> None:
    """Tables and keys stay when the stack goes, or when a change would replace them."""
    resource = data()["Resources"][name]
    assert resource["DeletionPolicy"] == "Retain"
    assert resource["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_can_be_restored_to_any_second(table: str) -> None:
    """Point-in-time recovery is on everywhere, and no table is sized by hand."""
    wanted = {"PointInTimeRecoveryEnabled": True}
    assert properties(table)["PointInTimeRecoverySpecification"] == wanted
    assert properties(table)["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("table", sorted(TABLES))
def test_only_what_may_be_forgotten_has_a_ttl(table: str) -> None:
    """DynamoDB removes aged items of three tables, and never money, history or standing."""
    expected = {"AttributeName": "ttl", "Enabled": True} if table in FORGETFUL else None
    assert properties(table).get("TimeToLiveSpecification") == expected


def test_the_product_gives_an_end_to_nothing_else() -> None:
    """A module that writes `ttl` writes to a table that has one: the list of both is above."""
    product = ROOT / "shared" / "portcullis"
    writers = {
        file.relative_to(product).as_posix()
        for file in product.rglob("*.py")
        if any(
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and _names_ttl(node.value)
            for node in ast.walk(ast.parse(file.read_text()))
        )
    }
    assert writers == WRITE_TTL


def _names_ttl(text: str) -> bool:
    return text == "ttl" or "#ttl" in text


@pytest.mark.parametrize("table", sorted(TABLES))
def test_personal_data_lies_under_a_key_of_its_own(table: str) -> None:
    """Identity is encrypted by its customer-managed key, the others by AWS's own."""
    expected = None
    if table == "IdentityTable":
        expected = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": "IdentityTableKey"}
    assert properties(table).get("SSESpecification") == expected
