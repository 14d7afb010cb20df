"""A route to send requests to: its models, and what becomes of a request on the way in."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from portcullis.edge import request as requests
from portcullis.edge.request import BODY_BYTES_MAX, Request
from portcullis.errors import RefusedError
from portcullis.schema import Strict
from tests.support.events import Sent


class Inner(Strict):
    """A nested object."""

    whole: int


class Payload(Strict):
    """A body with one property of each kind."""

    name: str = Field(max_length=8)
    whole: int = 0
    flag: bool = False
    inner: Inner | None = None
    many: list[Inner] = Field(default_factory=list)
    by_name: dict[str, int] = Field(default_factory=dict)


class Form(BaseModel):
    """A form, whose unknown parameters are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    token: str | None = None


def parse(
    sent: Sent,
    *,
    body: type[BaseModel] | None = Payload,
    form: bool = False,
    query: frozenset[str] = frozenset(),
    body_bytes_max: int = BODY_BYTES_MAX,
) -> Request[Any]:
    """Return the validated request."""
    return requests.parse(
        sent.to_function(), body=body, form=form, query=query, body_bytes_max=body_bytes_max
    )


def refused[Refusal: RefusedError](sent: Sent, kind: type[Refusal], **route: Any) -> Refusal:
    """Return the refusal, which must be of exactly that kind and hold no cause."""
    with pytest.raises(RefusedError) as caught:
        parse(sent, **route)
    assert type(caught.value) is kind
    return caught.value
