"""An operator as the registry knows it: a person's name, and the key that this person alone holds.

Operators have no role of their own each: what one of them signs counts only beside what another
one signs.
"""

from typing import Annotated

from pydantic import StringConstraints

from portcullis.schema import Strict

OperatorId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
ISSUER_PREFIX = "operator:"


class Operator(Strict):
    """A registered operator."""

    operator: OperatorId
    jwk: dict[str, str]

    @property
    def issuer(self) -> str:
        """The ``iss`` of its commands."""
        return ISSUER_PREFIX + self.operator
