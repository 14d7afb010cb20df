"""What docs/threat-model.md says of standards is held by tests that are there."""

import re
from pathlib import Path

import pytest

PAGE = Path("docs/threat-model.md").read_text().partition("## Deviations from standards")[2]
ROWS_AT_LEAST = 30
NAMED = sorted(set(re.findall(r"`(test_\w+)::(test_\w+)`", PAGE)))


@pytest.mark.parametrize(("module", "name"), NAMED, ids=str)
def test_a_test_that_is_named_is_there(module: str, name: str) -> None:
    """Whoever renames a test that a standard rests on renames it on the page."""
    files = Path("tests").rglob(f"{module}.py")
    assert any(f"def {name}(" in file.read_text() for file in files)


def test_every_row_has_a_test_or_a_reason() -> None:
    """No clause of FAPI 2.0 or RFC 9449 stands there without one."""
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(rows) > ROWS_AT_LEAST
    for clause, *cells in rows:
        assert all(cell.strip() for cell in cells), clause


def test_the_comparison_sees_something() -> None:
    """The page names tests of both standards."""
    assert ("test_dpop", "test_another_method_is_refused") in NAMED
    assert ("test_oauth_client", "test_another_key_refreshes_nothing") in NAMED
