"""The strict base of every model: exact types, immutable, unknown properties refused."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A value that exists is valid: no coercion, no unknown property, no later change."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
