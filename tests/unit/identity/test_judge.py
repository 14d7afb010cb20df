"""The verdict on a request: the named cases, and what holds for every case."""

import datetime as dt
import itertools
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from portcullis.identity import devices, places, sightings
from portcullis.identity.judge import (
    EARTH_RADIUS_KM,
    Outcome,
    Policy,
    Reason,
    Verdict,
    distance_km,
    judge,
)
from portcullis.identity.observations import (
    ANONYMOUS,
    NOTHING,
    REMEMBERED_MAX,
    RETRIES_MAX,
    SIGHTS_MAX,
    UNKNOWN,
    Baseline,
    Observation,
    Place,
)
from portcullis.identity.sightings import Sightings

CASES = tomllib.loads(Path("tests/vectors/anomaly_cases.toml").read_text())
SEVERITY = list(Outcome)
POLICY = Policy()
DAY_S = 86_400


def place_of(name: str) -> Place | None:
    """Return the place that a case names: a city, a country of the packaged table, or none."""
    if name in {ANONYMOUS, UNKNOWN}:
        return None
    city = CASES["cities"].get(name)
    if city is None:
        return places.countries()[name]
    return Place(
        country=city["country"],
        latitude_tenths=round(city["latitude"] * 10),
        longitude_tenths=round(city["longitude"] * 10),
        radius_km=city["radius_km"],
    )


def observation_of(request: dict[str, Any]) -> Observation:
    """Return what is seen of a case's request."""
    place = place_of(request["from"])
    at: dt.time = request["at"]
    return Observation(
        at_s=DAY_S + at.hour * 3600 + at.minute * 60 + at.second,
        label=place.country if place else request["from"],
        place=place,
        network=request["on"],
        device=devices.kind(CASES["user_agents"][request["with"]]),
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES["cases"]])
def test_named_cases(case: dict[str, Any]) -> None:
    """Each request of a named case gets the outcome, and the reasons, that the case gives.

    What is remembered in between is what the gate would have written, when it is due.
    """
    first, *later = case["requests"]
    stored: dict[str, Any] = {**sightings.moved(NOTHING, observation_of(first))}
    assert later
    for request in later:
        seen, remembered = observation_of(request), Sightings.from_item(stored)
        assert remembered.baseline
        verdict = judge(POLICY, remembered.baseline, seen)
        assert (verdict.outcome, [*verdict.reasons]) == (request["then"], request["why"])
        assert verdict.outcome is not Outcome.KILL or request is later[-1]
        if verdict.outcome is Outcome.STEP_UP or remembered.is_due(seen):
            stored |= sightings.moved(remembered.baseline, seen)


def test_no_two_cases_have_one_name() -> None:
    """A name stands for one case."""
    names = [case["name"] for case in CASES["cases"]]
    assert len(set(names)) == len(names)


def test_every_reason_of_place_and_device_has_a_case() -> None:
    """The file of cases shows each reason at work."""
    shown = {
        reason
        for case in CASES["cases"]
        for request in case["requests"][1:]
        for reason in request["why"]
    }
    assert set(Reason) - shown == {Reason.REPEATED_RETRIES}


def test_the_policy_is_documented_as_it_is() -> None:
    """Each number and each outcome of the policy stands in its table."""
    told = Path("docs/anomaly-policy.md").read_text()
    rows = [row for row in told.splitlines() if row.startswith("| `")]
    for field, value in Policy().model_dump().items():
        if field != "version":
            row = next(row for row in rows if f"`{field}`" in row.split("|")[1])
            assert str(value) in row.split("|")[2]


# ---- what holds for every case -------------------------------------------------------------------

COUNTRIES = ("BR", "FR", "GB", "RO")

coordinates = st.builds(
    Place,
    country=st.sampled_from(COUNTRIES),
    latitude_tenths=st.integers(-900, 900),
    longitude_tenths=st.integers(-1800, 1800),
    radius_km=st.integers(0, 20_038),
)
networks = st.sampled_from(["one", "two", "three", "four", "five", "six"])
kinds = st.sampled_from(["WebKit on Apple", "Gecko on Windows", "curl"])
times = st.integers(0, 2**40)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Draw what may be seen: a place with its country's label, or a label without a place."""
    place = draw(st.none() | coordinates)
    return Observation(
        at_s=draw(times),
        label=place.country if place else draw(st.sampled_from([ANONYMOUS, UNKNOWN])),
        place=place,
        network=draw(networks),
        device=draw(kinds),
        retries=draw(st.integers(0, RETRIES_MAX)),
    )


@st.composite
def baselines(draw: st.DrawFn) -> Baseline:
    """Draw what may be remembered: what a series of requests leaves behind."""
    first, *later = draw(st.lists(observations(), min_size=1, max_size=6))
    baseline = Baseline.of(first)
    for seen in later:
        baseline = baseline.after(seen)
    return baseline


policies = st.builds(
    Policy,
    speed_kmh_max=st.integers(1, 100_000),
    distance_km_min=st.integers(0, 20_038),
    skew_s_max=st.integers(0, 3600),
    new_place=st.sampled_from(Outcome),
    anonymous_network=st.sampled_from(Outcome),
    unknown_place=st.sampled_from(Outcome),
    device_changed=st.sampled_from(Outcome),
    impossible_travel=st.sampled_from(Outcome),
)


@given(policies, baselines(), observations())
def test_a_verdict_is_total_and_depends_on_nothing_else(
    policy: Policy, baseline: Baseline, seen: Observation
) -> None:
    """Any policy, baseline and observation have one verdict, with a reason of place first."""
    verdict = judge(policy, baseline, seen)
    assert judge(policy, baseline, seen) == verdict
    assert verdict.policy == policy.version
    about_place, *others = verdict.reasons
    assert about_place not in {Reason.DEVICE_CHANGED, Reason.REPEATED_RETRIES}
    assert set(others) <= {Reason.DEVICE_CHANGED, Reason.REPEATED_RETRIES}


@given(policies, baselines(), observations())
def test_a_recorded_verdict_can_be_judged_again(
    policy: Policy, baseline: Baseline, seen: Observation
) -> None:
    """What was written as JSON and read back gives the verdict that was written."""
    verdict = judge(policy, baseline, seen)
    again = judge(
        Policy.model_validate_json(policy.model_dump_json()),
        Baseline.model_validate_json(baseline.model_dump_json()),
        Observation.model_validate_json(seen.model_dump_json()),
    )
    assert again == verdict == Verdict.model_validate_json(verdict.model_dump_json())


@given(
    baselines(),
    observations(),
    st.integers(-POLICY.skew_s_max, 10 * DAY_S),
    st.integers(0, 10 * DAY_S),
)
def test_less_time_is_never_milder(
    baseline: Baseline, seen: Observation, elapsed_s: int, more_s: int
) -> None:
    """After the same sights, a shorter time never gives a milder outcome."""
    last_s = baseline.last.at_s if baseline.last else 0
    soon, late = (
        judge(POLICY, baseline, seen.model_copy(update={"at_s": last_s + after_s}))
        for after_s in (elapsed_s, elapsed_s + more_s)
    )
    assert SEVERITY.index(soon.outcome) >= SEVERITY.index(late.outcome)


@st.composite
def journeys(draw: st.DrawFn) -> tuple[Place, Place, int]:
    """Draw two places of two countries, and how far apart beyond their errors: 100 km or more."""
    begin, end = (
        Place(
            country=country,
            latitude_tenths=draw(st.integers(-900, 900)),
            longitude_tenths=draw(st.integers(-1800, 1800)),
            radius_km=draw(st.integers(0, 300)),
        )
        for country in ("GB", "RO")
    )
    beyond_km = int(distance_km(begin, end)) - begin.radius_km - end.radius_km
    assume(beyond_km >= POLICY.distance_km_min)
    return begin, end, beyond_km


@given(journeys())
def test_a_second_too_soon_is_a_kill_and_a_second_later_is_none(
    journey: tuple[Place, Place, int],
) -> None:
    """For any two places, speed alone divides the outcomes, to the second."""
    begin, end, beyond_km = journey
    innocent_s = math.ceil(beyond_km * 3600 / POLICY.speed_kmh_max)
    outcomes = [
        judge(
            POLICY, Baseline.of(placed(begin, "one", at_s=0)), placed(end, "two", at_s=elapsed_s)
        ).outcome
        for elapsed_s in (innocent_s - 1, innocent_s)
    ]
    assert outcomes == [Outcome.KILL, Outcome.STEP_UP]


@given(st.integers(0, 1799), st.integers(0, 1799), st.integers(0, 500), st.integers(0, 20_000))
@example(90, 180, 0, 4_800)  # the nearer is reachable, the farther is not
@example(15, 18, 100, 0)  # the nearer is within the error
def test_farther_is_never_milder(
    one_tenths: int, other_tenths: int, radius_km: int, elapsed_s: int
) -> None:
    """In the same time, with the same errors, a place farther off never gives a milder outcome."""
    begin = Place(country="GB", latitude_tenths=0, longitude_tenths=0, radius_km=radius_km)
    near, far = (
        judge(
            POLICY,
            Baseline.of(placed(begin, "one", at_s=0)),
            placed(
                begin.model_copy(update={"country": "RO", "longitude_tenths": tenths}),
                "two",
                at_s=elapsed_s,
            ),
        )
        for tenths in sorted((one_tenths, other_tenths))
    )
    assert SEVERITY.index(far.outcome) >= SEVERITY.index(near.outcome)


@given(baselines(), observations())
def test_one_more_sight_is_never_milder(baseline: Baseline, seen: Observation) -> None:
    """To have been somewhere else before the last place excuses nothing."""
    alone = baseline.model_copy(update={"sights": baseline.sights[-1:]})
    assert SEVERITY.index(judge(POLICY, baseline, seen).outcome) >= SEVERITY.index(
        judge(POLICY, alone, seen).outcome
    )


@given(coordinates, coordinates, st.integers(-DAY_S, DAY_S))
def test_there_is_as_far_as_back(one: Place, other: Place, elapsed_s: int) -> None:
    """The two places of a journey may change places: the numbers and the outcome are the same."""
    assume(one.country != other.country)
    there, back = (
        judge(
            POLICY,
            Baseline.of(placed(begin, "one", at_s=0)),
            placed(end, "two", at_s=elapsed_s),
        )
        for begin, end in ((one, other), (other, one))
    )
    assert there == back


@given(baselines(), observations())
def test_without_a_place_nothing_is_proved(baseline: Baseline, seen: Observation) -> None:
    """Where either side has no place there is no travel, and never a kill."""
    assume(baseline.last is None or seen.place is None)
    verdict = judge(POLICY, baseline, seen)
    assert verdict.travel is None
    assert verdict.outcome is not Outcome.KILL


@given(baselines(), observations())
def test_what_has_no_place_moves_no_sight(baseline: Baseline, seen: Observation) -> None:
    """An unknown or anonymous request leaves every sight; one with a place becomes the last."""
    after = baseline.after(seen)
    if seen.place is None:
        assert after.sights == baseline.sights
    else:
        assert after.last
        assert (after.last.at_s, after.last.place, after.last.network) == (
            seen.at_s,
            seen.place,
            seen.network,
        )


@given(st.lists(observations()))
def test_sights_are_of_different_countries_and_in_the_order_of_time(
    series: list[Observation],
) -> None:
    """At most four, one for each country and each network, none ahead of a later one."""
    baseline = NOTHING
    for seen in series:
        baseline = baseline.after(seen)
    sights = baseline.sights
    assert len(sights) <= SIGHTS_MAX
    assert len({sight.place.country for sight in sights}) == len(sights)
    assert len({sight.network for sight in sights}) == len(sights)
    assert [sight.at_s for sight in sights] == sorted(sight.at_s for sight in sights)


@given(st.lists(st.sampled_from(["AA", "AB", "AC", "AD", "AE", "AF", "AG", "AH", "AI", "AJ"])))
def test_what_is_remembered_is_bounded_and_the_latest(labels: list[str]) -> None:
    """Never more than the limit, each once, the latest last."""
    baseline = Baseline.of(labelled("ZZ"))
    for label in labels:
        baseline = baseline.after(labelled(label))
    assert len(baseline.labels) <= REMEMBERED_MAX
    assert len(baseline.devices) <= REMEMBERED_MAX
    latest = list(dict.fromkeys(reversed(["ZZ", *labels])))[:REMEMBERED_MAX]
    assert list(baseline.labels) == latest[::-1]
    assert list(baseline.devices) == [f"of {label}" for label in baseline.labels]


@given(baselines(), observations())
def test_what_was_let_through_is_known(baseline: Baseline, seen: Observation) -> None:
    """The same request again, at once, is no new ground."""
    verdict = judge(POLICY, baseline.after(seen), seen.model_copy(update={"retries": 0}))
    assert verdict.outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (0, 1800), 20_015),
        ((900, 0), (-900, 0), 20_015),
        ((0, 1799), (0, -1799), 22),
        ((515, -1), (444, 261), 2091),
    ],
)
def test_distances(one: tuple[int, int], other: tuple[int, int], km: int) -> None:
    """Known great-circle distances, whatever the meridian; at most half way around."""
    begin, end = (
        Place(country="GB", latitude_tenths=up, longitude_tenths=along, radius_km=0)
        for up, along in (one, other)
    )
    assert distance_km(begin, end) == pytest.approx(km, abs=1)


@pytest.mark.parametrize(
    ("apart_km", "elapsed_s", "outcome"),
    [
        (99, 0, Outcome.STEP_UP),
        (101, 0, Outcome.KILL),
        (1001, 3600, Outcome.KILL),
        (899, 3600, Outcome.STEP_UP),
    ],
)
def test_the_limits_are_where_the_policy_says(
    apart_km: int, elapsed_s: int, outcome: Outcome
) -> None:
    """100 km beyond the error, and 900 km/h."""
    # Along a meridian, in tenths of a degree of 11.1 km: the radius takes up what is left over.
    tenths = apart_km // 11 + 1
    exact_km = EARTH_RADIUS_KM * 3.141592653589793 * tenths / 1800
    begin = Place(country="GB", latitude_tenths=0, longitude_tenths=0, radius_km=0)
    end = Place(
        country="RO",
        latitude_tenths=tenths,
        longitude_tenths=0,
        radius_km=int(exact_km) - apart_km,
    )
    verdict = judge(
        POLICY, Baseline.of(placed(begin, "one", at_s=0)), placed(end, "two", at_s=elapsed_s)
    )
    assert verdict.travel
    assert verdict.travel.beyond_error_km == apart_km
    assert verdict.outcome is outcome


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *itertools.product(["version"], ["", "Ä", "x" * 33, "a b"]),
        *itertools.product(["speed_kmh_max"], [0, -1, 100_001, 1.5, "900", True]),
        *itertools.product(["distance_km_min"], [-1, 20_039]),
        *itertools.product(["skew_s_max"], [-1, 3601]),
        *itertools.product(["retries_max"], [-1, RETRIES_MAX]),
        *itertools.product(["impossible_travel"], ["ignore", "", None]),
        ("unknown", 1),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    """Every number has bounds, every outcome is one of three, and nothing is unknown."""
    with pytest.raises(ValidationError):
        Policy.model_validate({field: value})


def placed(place: Place, network: str, *, at_s: int) -> Observation:
    """Return an observation at a place."""
    return Observation(
        at_s=at_s, label=place.country, place=place, network=network, device="WebKit on Apple"
    )


def labelled(label: str) -> Observation:
    """Return an observation in a country, with a device of that country's."""
    place = Place(country=label, latitude_tenths=0, longitude_tenths=0, radius_km=0)
    return Observation(at_s=0, label=label, place=place, network="one", device=f"of {label}")
