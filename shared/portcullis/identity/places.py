"""Where an address is: a country and how wide it is, or a city where a database was supplied.

A country comes from the registries' list of who was given which addresses, and its centre and
radius from a packaged table (``infra/countries.py``). Either setting below is ``off`` or a path:

* ``PLACES_DATABASE`` goes before that list: the layout of MaxMind's GeoIP2 City, or the flat one
  of ip-location-db;
* ``NETWORKS_DATABASE`` names networks that hide where their users are: the layout of GeoIP2
  Anonymous IP, or of GeoLite2 ASN.

A supplied database that cannot be read is an alarm in the log and counts as absent. A place is a
sign and no credential, so the platform need not stand still for it, and what is left is still a
judgement: by country.
"""

import functools
import json
import math
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import iptocc

from portcullis import log
from portcullis.identity.observations import ANONYMOUS, UNKNOWN, Label, Place
from portcullis.settings import setting
from portcullis.source import host

if TYPE_CHECKING:
    from maxminddb import Reader

OFF = "off"
RADIUS_KM_DEFAULT = 100
"""For coordinates whose database does not say how wrong they may be."""
ROUNDING_KM = 8
"""How far a tenth of a degree may move a place: half the diagonal, at the equator."""
RADIUS_KM_MAX = 20_038
"""Half of the equator: anywhere."""
LATITUDE_MAX = 90
LONGITUDE_MAX = 180

HIDING_FLAGS = frozenset(
    {
        "is_anonymous",
        "is_anonymous_proxy",
        "is_anonymous_vpn",
        "is_hosting_provider",
        "is_public_proxy",
        "is_residential_proxy",
        "is_satellite_provider",
        "is_tor_exit_node",
    }
)
"""The members of GeoIP2 Anonymous IP, and of older databases' ``traits``, that mean it."""

HIDING_SYSTEMS = frozenset(
    {
        9009,  # M247: rented by many VPN services
        13335,  # Cloudflare: WARP, and a second hop of iCloud Private Relay
        14593,  # SpaceX Starlink: users appear where their ground station's addresses are
        16625,  # Akamai: a CDN's edge
        20940,  # Akamai: a CDN's edge
        36183,  # Akamai: a second hop of iCloud Private Relay
        39351,  # 31173 Services: Mullvad
        54113,  # Fastly: a second hop of iCloud Private Relay
        60068,  # Datacamp (CDN77): rented by VPN services
        207137,  # PacketHub: NordVPN
        209103,  # Proton: Proton VPN
        212238,  # Datacamp: rented by VPN services
    }
)
"""Autonomous systems whose users are elsewhere: few and sure (docs/anomaly-policy.md)."""

RELAYS = tuple(
    ip_network(network)
    for network in (
        "104.28.0.0/16",  # Cloudflare
        "140.248.0.0/18",  # Fastly
        "146.75.128.0/17",  # Fastly
        "172.224.0.0/12",  # Akamai
        "2606:54c0::/30",  # Cloudflare
        "2a02:26f7::/32",  # Akamai
        "2a04:4e41::/32",  # Fastly
        "2a09:bac0::/29",  # Cloudflare
    )
)
"""Where iCloud Private Relay and WARP come out. Known without a database: the registries place
them in their owners' countries, so whoever switches one on in Paris would be in the USA at once."""


def locate(address: str) -> tuple[Label, Place | None]:
    """Return what an address is called in a verdict, and where it is.

    The label is the country's code (ISO 3166-1), ``anonymous`` or ``unknown``; the last two have
    no place. A malformed, private or unlisted address is unknown. IPv4 inside IPv6 is IPv4.

    Raises:
        MissingSettingError: a setting is neither a path nor ``off``.
    """
    networks, cities = setting("NETWORKS_DATABASE"), setting("PLACES_DATABASE")
    known = host(address)
    if known is None:
        return UNKNOWN, None
    if any(known in relay for relay in RELAYS) or _hides(_record(networks, known)):
        return ANONYMOUS, None
    city = _record(cities, known)
    if _hides(_member(city, "traits")):
        return ANONYMOUS, None
    place = _city(city) or countries().get(iptocc.country_code(str(known)) or UNKNOWN)
    return (UNKNOWN, None) if place is None else (place.country, place)


@functools.cache
def countries() -> dict[str, Place]:
    """Return the place that stands for each country, by its code."""
    table = json.loads(Path(__file__).with_name("countries.json").read_bytes())["countries"]
    return {
        code: Place(
            country=code,
            latitude_tenths=latitude_tenths,
            longitude_tenths=longitude_tenths,
            radius_km=radius_km,
        )
        for code, (latitude_tenths, longitude_tenths, radius_km) in table.items()
    }


def _hides(network: Mapping[str, object]) -> bool:
    number = network.get("autonomous_system_number")
    return (isinstance(number, int) and number in HIDING_SYSTEMS) or any(
        network.get(flag) is True for flag in HIDING_FLAGS
    )


def _city(record: Mapping[str, object]) -> Place | None:
    """Return the place in a city database's record: its coordinates, else its country's disc."""
    country = _member(record, "country").get("iso_code", record.get("country_code"))
    if not isinstance(country, str) or country not in countries():
        return None
    location = _member(record, "location") or record
    latitude, longitude = (_number(location, name) for name in ("latitude", "longitude"))
    # Not a number compares as false.
    if not (abs(latitude) <= LATITUDE_MAX and abs(longitude) <= LONGITUDE_MAX):
        return countries()[country]
    radius_km = _number(location, "accuracy_radius")
    if not radius_km >= 0:
        radius_km = RADIUS_KM_DEFAULT
    return Place(
        country=country,
        latitude_tenths=round(latitude * 10),
        longitude_tenths=round(longitude * 10),
        radius_km=math.ceil(min(radius_km + ROUNDING_KM, RADIUS_KM_MAX)),
    )


def _number(record: Mapping[str, object], name: str) -> float:
    number = record.get(name)
    return number if isinstance(number, int | float) else math.nan


def _member(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    member = record.get(name)
    return member if isinstance(member, Mapping) else {}


def _record(path: str, known: IPv4Address | IPv6Address) -> Mapping[str, object]:
    """Return what the database at a path says of an address: nothing, if it cannot be read."""
    if path == OFF:
        return {}
    opened = _opened(path)
    if opened is None or known.version > opened.metadata().ip_version:
        return {}
    try:
        record = opened.get(known)
    except (ValueError, RuntimeError) as error:
        _unreadable(error)
        return {}
    return record if isinstance(record, Mapping) else {}


@functools.cache
def _opened(path: str) -> "Reader | None":
    """Open a database, once for each path: a layer does not change under a function."""
    # Costs more than all the rest of this module, and most deployments have no database.
    import maxminddb  # noqa: PLC0415

    try:
        return maxminddb.open_database(path)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        _unreadable(error)
        return None


def _unreadable(error: Exception) -> None:
    log.alarm("location-database-unreadable", {"exception": type(error).__name__})
