"""The judge: what a request's place, network and device say about whose hands a session is in.

``judge`` is pure and total: the same policy, baseline and observation give the same verdict, for
ever, so a recorded verdict can be judged again under another policy (docs/anomaly-policy.md).
"""

import math
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from portcullis.identity.observations import (
    ANONYMOUS,
    RETRIES_MAX,
    UNKNOWN,
    Baseline,
    Observation,
    Place,
    Sight,
)
from portcullis.schema import Strict

EARTH_RADIUS_KM = 6371.0088
"""The mean radius (IUGG)."""


class Outcome(StrEnum):
    """What is done. From mild to severe."""

    ALLOW = "allow"
    STEP_UP = "step-up"
    """Allowed, but the ledger demands an approval that is younger than this."""
    KILL = "kill"
    """Refused; every session of the account dies, and the account is quarantined."""


_SEVERITY = list(Outcome)


class Reason(StrEnum):
    """Why: one about the place, and one more for each other sign."""

    SAME_NETWORK = "same-network"
    SAME_COUNTRY = "same-country"
    KNOWN_PLACE = "known-place"
    """Another country, reachable, where this session has been before."""
    NEW_PLACE = "new-place"
    """Another country, reachable, where this session has not been."""
    CLOCK_WENT_BACK = "clock-went-back"
    """The remembered time is ahead of now, so no speed can be known."""
    IMPOSSIBLE_TRAVEL = "impossible-travel"
    ANONYMOUS_NETWORK = "anonymous-network"
    UNKNOWN_PLACE = "unknown-place"
    DEVICE_CHANGED = "device-changed"
    REPEATED_RETRIES = "repeated-retries"
    """Answers get lost, or somebody presents the same refresh tokens a moment later."""


Version = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")]


class Policy(Strict):
    """What a verdict goes by. ``version`` names it in every record.

    Sources: 900 km/h is an airliner's cruise, and the figure of published travel rules; below
    100 km a location database contradicts itself.
    """

    version: Version = "2026-11"
    speed_kmh_max: Annotated[int, Field(ge=1, le=100_000)] = 900
    distance_km_min: Annotated[int, Field(ge=0, le=20_038)] = 100
    skew_s_max: Annotated[int, Field(ge=0, le=3600)] = 60
    """How far the clocks of two environments, or two requests in flight, may be apart."""
    new_place: Outcome = Outcome.STEP_UP
    anonymous_network: Outcome = Outcome.STEP_UP
    """The first time that a session comes from one; later ones are known."""
    unknown_place: Outcome = Outcome.STEP_UP
    device_changed: Outcome = Outcome.STEP_UP
    retries_max: Annotated[int, Field(ge=0, lt=RETRIES_MAX)] = 1
    """How many of the last five generations of a family may have needed a sealed retry: as many
    as can be exceeded by what is observed."""
    repeated_retries: Outcome = Outcome.STEP_UP
    impossible_travel: Outcome = Outcome.KILL


POLICY = Policy()
"""The policy in force."""


class Travel(Strict):
    """How far and how fast, in whole kilometres, seconds and km/h.

    From the last sight, or from the latest one from which the journey is impossible.
    ``beyond_error_km`` is what both places' errors cannot explain; ``speed_kmh`` is what that
    distance takes in the time, None where no time has passed.
    """

    distance_km: int
    beyond_error_km: int
    elapsed_s: int
    speed_kmh: int | None


class Verdict(Strict):
    """What is done, why, and the numbers behind it (None where there are no two places)."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    travel: Travel | None
    policy: Version


def judge(policy: Policy, baseline: Baseline, observation: Observation) -> Verdict:
    """Return the verdict on a request, given what is remembered of its session."""
    travel = _travel(policy, baseline, observation)
    grounds = [_on_place(policy, baseline, observation, travel)]
    if observation.device not in baseline.devices:
        grounds.append((Reason.DEVICE_CHANGED, policy.device_changed))
    if observation.retries > policy.retries_max:
        grounds.append((Reason.REPEATED_RETRIES, policy.repeated_retries))
    return Verdict(
        outcome=max((outcome for _, outcome in grounds), key=_SEVERITY.index),
        reasons=tuple(reason for reason, _ in grounds),
        travel=travel,
        policy=policy.version,
    )


def _on_place(
    policy: Policy, baseline: Baseline, seen: Observation, travel: Travel | None
) -> tuple[Reason, Outcome]:
    if baseline.last and seen.network == baseline.last.network:
        # Whatever the databases say of it today: one network is in one place.
        return Reason.SAME_NETWORK, Outcome.ALLOW
    if baseline.last and seen.place and seen.place.country == baseline.last.place.country:
        return Reason.SAME_COUNTRY, Outcome.ALLOW
    if travel and _is_impossible(policy, travel):
        return Reason.IMPOSSIBLE_TRAVEL, policy.impossible_travel
    reason, outcome = _on_label(policy, seen.label)
    if travel and travel.elapsed_s < -policy.skew_s_max:
        reason = Reason.CLOCK_WENT_BACK
    if seen.label not in baseline.labels:
        return reason, outcome
    return Reason.KNOWN_PLACE if reason is Reason.NEW_PLACE else reason, Outcome.ALLOW


def _on_label(policy: Policy, label: str) -> tuple[Reason, Outcome]:
    if label == ANONYMOUS:
        return Reason.ANONYMOUS_NETWORK, policy.anonymous_network
    if label == UNKNOWN:
        return Reason.UNKNOWN_PLACE, policy.unknown_place
    return Reason.NEW_PLACE, policy.new_place


def _is_impossible(policy: Policy, travel: Travel) -> bool:
    if travel.elapsed_s < -policy.skew_s_max:
        return False
    # Multiplied out, so that no time at all is no division by zero.
    reach = policy.speed_kmh_max * max(travel.elapsed_s, 0)
    beyond_km = travel.beyond_error_km
    return beyond_km >= max(policy.distance_km_min, 1) and beyond_km * 3600 > reach


def _travel(policy: Policy, baseline: Baseline, seen: Observation) -> Travel | None:
    if baseline.last is None or seen.place is None:
        return None
    last = _from(baseline.last, seen.place, seen.at_s)
    # Hops between neighbours prove nothing, each of them; the journey that they make up may.
    journeys = (
        _from(sight, seen.place, seen.at_s)
        for sight in reversed(baseline.sights)
        if sight.place.country != seen.place.country
    )
    return next((one for one in journeys if _is_impossible(policy, one)), last)


def _from(sight: Sight, place: Place, at_s: int) -> Travel:
    exact = distance_km(sight.place, place)
    beyond_km = max(0, math.floor(exact) - sight.place.radius_km - place.radius_km)
    elapsed_s = at_s - sight.at_s
    return Travel(
        distance_km=math.floor(exact),
        beyond_error_km=beyond_km,
        elapsed_s=elapsed_s,
        speed_kmh=beyond_km * 3600 // elapsed_s if elapsed_s > 0 else None,
    )


def distance_km(one: Place, other: Place) -> float:
    """Return the great-circle distance of two centres (the haversine formula)."""
    latitude, other_latitude = (math.radians(place.latitude_tenths / 10) for place in (one, other))
    across = math.radians((other.longitude_tenths - one.longitude_tenths) / 10)
    half = (
        math.sin((other_latitude - latitude) / 2) ** 2
        + math.cos(latitude) * math.cos(other_latitude) * math.sin(across / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))
