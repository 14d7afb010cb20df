"""A partner: its name, its role, and how far its house may owe."""

from typing import Any

import pytest
from pydantic import ValidationError

from portcullis.evidence.partners import Partner
from tests.support import jws
from tests.unit.evidence.genuine import KEY

PARTNER: dict[str, Any] = {
    "partner": "sandbox",
    "role": "portcullis-partner-sandbox",
    "jwk": jws.public_jwk(KEY),
    "floor_minor": {"EUR": -100},
}


def test_a_partner_is_named_as_issuer() -> None:
    """Its commands come from `partner:<id>`."""
    assert Partner(**PARTNER).issuer == "partner:sandbox"


def test_a_house_owes_nothing_in_a_currency_that_was_not_agreed() -> None:
    """The floor is the registered one, and zero elsewhere."""
    partner = Partner(**PARTNER)
    assert (partner.floor_of("EUR"), partner.floor_of("USD"), partner.floor_of("")) == (-100, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"partner": ""},
        {"partner": "Sandbox"},
        {"partner": "1sandbox"},
        {"partner": "sand:box"},
        {"partner": "sand#box"},
        {"partner": "sandbox\n"},
        {"partner": "x" * 33},
        {"role": ""},
        {"role": "a/b"},
        {"role": "a:b"},
        {"role": "*"},
        {"role": "x" * 65},
        {"floor_minor": {"XXX": -1}},
        {"floor_minor": {"EUR": -1.5}},
        {"floor_minor": {"EUR": "-1"}},
        {"jwk": None},
        {"more": 1},
    ],
)
def test_another_shape_is_refused(change: dict[str, object]) -> None:
    """Names hold nothing that means more in a key, an ARN or an issuer."""
    with pytest.raises(ValidationError):
        Partner(**PARTNER | change)
