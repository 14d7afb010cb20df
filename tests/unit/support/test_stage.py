"""The addresses that people of staged stacks come from."""

import pytest

from portcullis.identity import places
from tests.support import stage
from tests.system import test_crowd, test_travel


@pytest.mark.parametrize(
    ("address", "country"),
    [
        (stage.LONDON, "GB"),
        (test_travel.HOME, "GB"),
        (test_travel.NEIGHBOUR, "GB"),
        (test_crowd.HOME, "GB"),
        (stage.BUCHAREST, "RO"),
        (test_travel.AWAY, "RO"),
        (test_crowd.AWAY, "RO"),
    ],
)
def test_an_address_is_where_its_name_says(
    address: str, country: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packaged list of the registries has it in that country; a move would be told here."""
    for database in ("PLACES_DATABASE", "NETWORKS_DATABASE"):
        monkeypatch.setenv(database, places.OFF)
    label, place = places.locate(address)
    assert label == country
    assert place is not None
