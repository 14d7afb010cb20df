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
    were among the last five generations, itself included.
    """

    at_s: int
    label: Label
    place: Place | None
    network: Network
    device: Device
    retries: Annotated[int, Field(ge=0, le=5)] = 0

    @model_validator(mode="after")
    def _place_is_the_labels(self) -> Self:
        country = self.place.country if self.place else None
        if self.label != country and (country or self.label not in {UNKNOWN, ANONYMOUS}):
            raise ValueError("a country's label has its place, another label has none")
        return self


class Baseline(Strict):
    """What is remembered of a session. ``place`` is where it last was beyond doubt, ``at_s`` when.

    An unknown or anonymous label is remembered as a label, and never as a place.
    """

    at_s: int
    place: Place | None
    network: Network
    labels: Annotated[tuple[Label, ...], Field(max_length=REMEMBERED_MAX, strict=False)]
    devices: Annotated[tuple[Device, ...], Field(max_length=REMEMBERED_MAX, strict=False)]

    @classmethod
    def of(cls, seen: Observation) -> "Baseline":
        """Return the baseline of a session that begins with this request."""
        return cls(
            at_s=seen.at_s,
            place=seen.place,
            network=seen.network,
            labels=(seen.label,),
            devices=(seen.device,),
        )

    def after(self, seen: Observation) -> "Baseline":
        """Return the baseline once *seen* was let through."""
        placed = seen.place is not None
        return Baseline(
            at_s=seen.at_s if placed else self.at_s,
            place=seen.place if placed else self.place,
            network=seen.network if placed else self.network,
            labels=_latest(self.labels, seen.label),
            devices=_latest(self.devices, seen.device),
        )

    def knows(self, seen: Observation) -> bool:
        """Return whether the label and the device of *seen* are remembered."""
        return seen.label in self.labels and seen.device in self.devices


def _latest(known: tuple[str, ...], one: str) -> tuple[str, ...]:
    return (*(other for other in known if other != one), one)[-REMEMBERED_MAX:]
