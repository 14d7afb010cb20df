"""The strict base of every model: exact types, immutable, unknown properties refused."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A value that exists is valid: no coercion, no unknown property, no later change."""

    # What was refused may be somebody's secret, and an error is easily printed.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)
