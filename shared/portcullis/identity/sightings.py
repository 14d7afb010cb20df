"""Sightings: what the gate remembers of a session, in an item of its own.

So that it never conflicts with transactions on the session. It is made when the session starts,
and then lags reality by at most a minute, for each country and for what has no place: one monotonic
write in that time. What has a place and what has none are two series, each with a time of its own,
so that neither holds the other back: hidden behind a relay, or in another country, nobody keeps a
session's place from being remembered.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

from portcullis import log
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Item, Statement, Update, Value
from portcullis.errors import InfrastructureError
from portcullis.identity import devices, judge, observations, places, sessions, tables
from portcullis.identity.observations import Baseline, Observation
from portcullis.identity.sessions import Session
from portcullis.source import Source

LAG_S_MAX = 60
"""How far the recorded sight of a session in a country may lag behind its requests there."""
AHEAD_S_MAX = judge.POLICY.skew_s_max
"""How far a recorded sight may be ahead of a request and still be right: environments' clocks
differ. What is further ahead is a clock's mistake, and is written over."""
NETWORK_CHARS = 32


@dataclass(frozen=True, slots=True)
class Sightings:
    """What is remembered: the highest generation of which an access token was seen, and the rest.

    ``unplaced_at_s`` is the time of the last recorded request without a place, 0 where there was
    none; those with one have theirs in the baseline. ``baseline`` is None for a session that is
    older than baselines are.
    """

    generation: int
    unplaced_at_s: int
    baseline: Baseline | None

    @classmethod
    def from_item(cls, item: Item | None) -> "Sightings":
        """Return the sightings in a stored item.

        A baseline that cannot be read, after a roll-back or of a stolen gate's making, is an alarm
        and is one of which nothing is known: a demand of an approval, and then it is written anew.
        """
        stored = item or {}
        return cls(
            generation=stored.get("gen_seen", 0),
            unplaced_at_s=stored.get("unplaced_at", 0),
            baseline=_baseline(stored) if "known" in stored else None,
        )

    def is_due(self, seen: Observation) -> bool:
        """Return whether *seen* is to be recorded: it is new, or what is like it a minute old.

        Like it is what was seen in the same country, or also without a place: so nobody who comes
        from elsewhere first takes this one's minute.
        """
        if self.baseline is None or not self.baseline.knows(seen):
            return True
        at_s = self._like(seen)
        return seen.at_s >= at_s + LAG_S_MAX or at_s > seen.at_s + AHEAD_S_MAX

    def _like(self, seen: Observation) -> int:
        if seen.place is None or self.baseline is None:
            return self.unplaced_at_s
        country = seen.place.country
        return next((one.at_s for one in self.baseline.sights if one.place.country == country), 0)

    def is_ahead_of(self, seen: Observation) -> bool:
        """Return whether what *seen* is to follow has a time that cannot be."""
        last = self.baseline.last if self.baseline else None
        at_s = self.unplaced_at_s if seen.place is None else last.at_s if last else 0
        return at_s > seen.at_s + AHEAD_S_MAX


def _baseline(stored: Item) -> Baseline:
    try:
        parts = [json.loads(stored[name]) for name in ("sights", "known")]
        return Baseline.model_validate_json(json.dumps({**parts[0], **parts[1]}))
    except (LookupError, TypeError, ValueError) as error:
        log.alarm("baseline-unreadable", {"exception": type(error).__name__})
        return observations.NOTHING


def observe(source: Source, *, now_s: int, retries: int = 0) -> Observation:
    """Return what a request shows of where it comes from and of what it was made by.

    Raises:
        InfrastructureError: the secret behind network names could not be read or unwrapped.
    """
    label, place = places.locate(source.address)
    digest = hmac.digest(tables.sightings_secret(), source.network.encode(), "sha256")
    return Observation(
        at_s=now_s,
        label=label,
        place=place,
        network=digest.hex()[:NETWORK_CHARS],
        device=devices.kind(source.user_agent),
        retries=retries,
    )


def begun(session: Session, seen: Observation) -> Statement:
    """Return the write of a session's first sight: that of the sign-in."""
    return dynamodb.insert(
        tables.identity(),
        {
            **tables.sightings_key(session.sid),
            "gen_seen": 0,
            **moved(observations.NOTHING, seen),
            "ttl": session.absolute_expires + sessions.TOMBSTONE_S,
        },
    )


def record(
    session: Session,
    remembered: Sightings,
    seen: Observation,
    *,
    generation: int = 0,
    demanded: bool = False,
) -> None:
    """Record a request that may pass, if anything of it is due.

    From the first sight of a generation on its predecessor has no retry: it must be written before
    the request passes, and if it cannot be, the request does not pass. The rest is a baseline,
    which a failure leaves a little older.

    Args:
        session: whose request it is.
        remembered: what was read before it was judged.
        seen: the request.
        generation: of its access token; 0 if it shows none.
        demanded: it has demanded an approval. So it is due, or the next one like it would, too.

    Raises:
        InfrastructureError: the first sight of a generation could not be written.
    """
    due: dict[str, Value] = {}
    if generation > remembered.generation:
        due["gen_seen"] = generation
    if demanded or remembered.is_due(seen):
        due |= moved(remembered.baseline or observations.NOTHING, seen)
    if not due:
        return
    if remembered.is_ahead_of(seen):
        log.alarm("sighting-ahead-of-clock", {})
    try:
        met = _advance(session, due, at_s=seen.at_s)
        if met is not None and "gen_seen" in due:
            # One of the two had moved on, and nothing of the other was written; or an earlier try
            # of this has written both.
            was_seen = met.get("gen_seen", 0) >= generation
            rest = {
                name: value
                for name, value in due.items()
                if (name != "gen_seen") is was_seen and met.get(name) != value
            }
            if rest:
                _advance(session, rest, at_s=seen.at_s)
    except InfrastructureError as error:
        if "gen_seen" in due:
            raise
        log.alarm("sighting-not-recorded", {"code": str(error)})


def moved(before: Baseline, seen: Observation) -> dict[str, Value]:
    """Return what a request changes of what is remembered, and the time of its series.

    What it leaves as it was is not written: so of two that read the same, one with a place and one
    without, neither takes back what the other brought.
    """
    after = before.after(seen)
    values: dict[str, Value] = {"placed_at" if seen.place else "unplaced_at": seen.at_s}
    if after.sights != before.sights or before == observations.NOTHING:
        values["sights"] = after.model_dump_json(include={"sights"})
    if (after.labels, after.devices) != (before.labels, before.devices):
        values["known"] = after.model_dump_json(include={"labels", "devices"})
    return values


_SERIES = ("placed_at", "unplaced_at")
_CONDITIONS = {
    "gen_seen": "(attribute_not_exists(#gen_seen) OR #gen_seen < :gen_seen)",
    # Two requests of one second may both bring something new.
    **{
        series: f"(attribute_not_exists(#{series}) OR #{series} <= :{series}"
        f" OR #{series} > :{series}_ahead)"
        for series in _SERIES
    },
}


def _advance(session: Session, values: Mapping[str, Value], *, at_s: int) -> Item | None:
    """Write *values*, of a request at *at_s*, and return None.

    If one of them is behind what stands, nothing is written, and what stands is returned.

    Raises:
        InfrastructureError: the store did not answer.
    """
    try:
        dynamodb.update(
            Update(
                tables.identity(),
                tables.sightings_key(session.sid),
                change="SET " + ", ".join(f"#{name} = :{name}" for name in (*values, "ttl")),
                condition=" AND ".join(
                    condition for name, condition in _CONDITIONS.items() if name in values
                ),
                values={
                    **{f":{name}": value for name, value in values.items()},
                    **{f":{name}_ahead": at_s + AHEAD_S_MAX for name in _SERIES if name in values},
                    ":ttl": session.absolute_expires + sessions.TOMBSTONE_S,
                },
            )
        )
    except ConditionFailedError as failure:
        return failure.reasons[0].item  # of another request, or of an earlier try of this one
    return None
