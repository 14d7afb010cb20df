"""A partner as the registry knows it: its key, its role, and how far its house may owe."""

from typing import Annotated

from pydantic import StringConstraints

from portcullis.amounts import Currency
from portcullis.schema import Strict

PartnerId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
ISSUER_PREFIX = "partner:"
RoleName = Annotated[str, StringConstraints(pattern=r"^[\w+=,.@-]{1,64}$")]


class Partner(Strict):
    """A registered partner. *floor_minor* bounds what its house account may owe, per currency."""

    partner: PartnerId
    role: RoleName
    jwk: dict[str, str]
    floor_minor: dict[Currency, int]

    @property
    def issuer(self) -> str:
        """The ``iss`` of its commands, and its name as principal and as idempotency scope."""
        return ISSUER_PREFIX + self.partner

    def floor_of(self, currency: str) -> int:
        """Return what the house's balance may come down to in *currency*: zero or below."""
        return next((minor for name, minor in self.floor_minor.items() if name == currency), 0)
