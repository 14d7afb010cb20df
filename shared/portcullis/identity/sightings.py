"""Sightings: what the gate remembers of a session, in an item of its own.

So that it never conflicts with transactions on the session. It is made when the session starts,
and then lags reality by at most a minute: one monotonic write in that time.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from portcullis import log
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Item, Statement, Update, Value
from portcullis.errors import InfrastructureError
from portcullis.identity import devices, places, sessions, tables
from portcullis.identity.observations import Baseline, Observation
from portcullis.identity.sessions import Session
from portcullis.source import Source

LAG_S_MAX = 60
"""How far the recorded sight of a session may lag behind its requests."""
NETWORK_CHARS = 32


@dataclass(frozen=True, slots=True)
class Sightings:
    """What is remembered: the highest generation of which an access token was seen, and when.

    ``baseline`` is None for a session that is older than baselines are.
    """

    generation: int
    at_s: int
    baseline: Baseline | None

    @classmethod
    def from_item(cls, item: Item | None) -> "Sightings":
        """Return the sightings in a stored item."""
        stored = item or {}
        text = stored.get("baseline")
        return cls(
            generation=stored.get("gen_seen", 0),
            at_s=stored.get("seen_at", 0),
            baseline=None if text is None else Baseline.model_validate_json(text),
        )


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
            "seen_at": seen.at_s,
            "baseline": Baseline.of(seen).model_dump_json(),
            "ttl": session.absolute_expires + sessions.TOMBSTONE_S,
        },
    )


def record(
    session: Session, remembered: Sightings, seen: Observation, *, generation: int = 0
) -> None:
    """Record a request that may pass, if anything of it is due.

    From the first sight of a generation on its predecessor has no retry: it must be written before
    the request passes, and if it cannot be, the request does not pass. The rest is a baseline,
    which a failure leaves a little older.

    Raises:
        InfrastructureError: the first sight of a generation could not be written.
    """
    due: dict[str, Value] = {}
    if generation > remembered.generation:
        due["gen_seen"] = generation
    before = remembered.baseline
    if before is None or not before.knows(seen) or seen.at_s >= remembered.at_s + LAG_S_MAX:
        due["seen_at"] = seen.at_s
        due["baseline"] = (before.after(seen) if before else Baseline.of(seen)).model_dump_json()
    if not due:
        return
    try:
        met = _advance(session, due)
        if met is not None and met.get("gen_seen", 0) < generation:
            # It was the baseline alone that had moved on.
            _advance(session, {"gen_seen": generation})
    except InfrastructureError as error:
        if "gen_seen" in due:
            raise
        log.alarm("sighting-not-recorded", {"code": str(error)})


_AHEAD = {
    "gen_seen": "(attribute_not_exists(#gen_seen) OR #gen_seen < :gen_seen)",
    # Two requests of one second may both bring something new.
    "seen_at": "(attribute_not_exists(#seen_at) OR #seen_at <= :seen_at)",
}


def _advance(session: Session, values: Mapping[str, Value]) -> Item | None:
    """Write *values* and return None; or, if one is behind what stands, return what stands.

    Raises:
        InfrastructureError: the store did not answer.
    """
    try:
        dynamodb.update(
            Update(
                tables.identity(),
                tables.sightings_key(session.sid),
                change="SET " + ", ".join(f"#{name} = :{name}" for name in (*values, "ttl")),
                condition=" AND ".join(_AHEAD[name] for name in values if name in _AHEAD),
                values={
                    **{f":{name}": value for name, value in values.items()},
                    ":ttl": session.absolute_expires + sessions.TOMBSTONE_S,
                },
            )
        )
    except ConditionFailedError as failure:
        return failure.reasons[0].item  # of another request, or of an earlier try of this one
    return None
