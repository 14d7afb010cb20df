"""What is seen of a request and what is remembered of a session: the two sides of a verdict.

Neither holds an address or a User-Agent. A place is as coarse as the database that named it, a
network is a keyed hash, a device is a kind of system and a kind of browser engine.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from portcullis.schema import Strict

UNKNOWN = "unknown"
"""The label of an address that no database places."""
ANONYMOUS = "anonymous"
"""The label of a network that hides where its users are: VPN, relay, hosting, satellite."""
REMEMBERED_MAX = 8
"""How many labels, and how many devices, a session remembers: the latest."""
SIGHTS_MAX = 4
"""Of how many countries a session remembers the last sight: the latest."""
RETRIES_MAX = 2
"""How many retries among the last five generations refresh can tell apart: none, one, more."""

Label = Annotated[str, Field(pattern=r"^([A-Z]{2}|unknown|anonymous)$")]
Device = Annotated[str, Field(max_length=80)]
Network = Annotated[str, Field(max_length=64)]


class Place(Strict):
    """Where an address is, as well as a database knows.

    It is somewhere within ``radius_km`` of the centre, which is given in tenths of a degree.
    """

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    latitude_tenths: Annotated[int, Field(ge=-900, le=900)]
    longitude_tenths: Annotated[int, Field(ge=-1800, le=1800)]
    radius_km: Annotated[int, Field(ge=0, le=20_038)]


class Observation(Strict):
    """One authenticated request. ``place`` is None where the label is no country's.

    ``at_s`` is Unix time by our clock. ``retries``: if it is a retry of a refresh, how many there
    were among the last five generations, itself included; 2 stands for more.
    """

    at_s: int
    label: Label
    place: Place | None
    network: Network
    device: Device
    retries: Annotated[int, Field(ge=0, le=RETRIES_MAX)] = 0

    @model_validator(mode="after")
    def _place_is_the_labels(self) -> Self:
        country = self.place.country if self.place else None
        if self.label != country and (country or self.label not in {UNKNOWN, ANONYMOUS}):
            raise ValueError("a country's label has its place, another label has none")
        return self


class Sight(Strict):
    """Where a session was beyond doubt, on which network, and when (Unix time)."""

    at_s: int
    place: Place
    network: Network


class Baseline(Strict):
    """What is remembered of a session.

    ``sights``: the last sight in each of its last countries, the latest last. An unknown or
    anonymous request is remembered as a label and never as a sight.
    """

    sights: Annotated[tuple[Sight, ...], Field(max_length=SIGHTS_MAX, strict=False)]
    labels: Annotated[tuple[Label, ...], Field(max_length=REMEMBERED_MAX, strict=False)]
    devices: Annotated[tuple[Device, ...], Field(max_length=REMEMBERED_MAX, strict=False)]

    @classmethod
    def of(cls, seen: Observation) -> "Baseline":
        """Return the baseline of a session that begins with this request."""
        return NOTHING.after(seen)

    @property
    def last(self) -> Sight | None:
        """Where the session was last beyond doubt, if it ever was."""
        return self.sights[-1] if self.sights else None

    def after(self, seen: Observation) -> "Baseline":
        """Return the baseline once *seen* was let through."""
        return Baseline(
            sights=_with(self.sights, seen),
            labels=_latest(self.labels, seen.label),
            devices=_latest(self.devices, seen.device),
        )

    def knows(self, seen: Observation) -> bool:
        """Return whether the label and the device of *seen* are remembered."""
        return seen.label in self.labels and seen.device in self.devices


NOTHING = Baseline(sights=(), labels=(), devices=())
"""The baseline of which nothing is known: whatever comes is new to it."""


def _with(sights: tuple[Sight, ...], seen: Observation) -> tuple[Sight, ...]:
    if seen.place is None:
        return sights
    # One network is in one place, so a sight on it that says another country was a database's
    # mistake. And a sight ahead of this one has a wrong time.
    others = (
        sight
        for sight in sights
        if sight.place.country != seen.place.country
        and sight.network != seen.network
        and sight.at_s <= seen.at_s
    )
    sight = Sight(at_s=seen.at_s, place=seen.place, network=seen.network)
    return (*others, sight)[-SIGHTS_MAX:]


def _latest(known: tuple[str, ...], one: str) -> tuple[str, ...]:
    return (*(other for other in known if other != one), one)[-REMEMBERED_MAX:]
