"""An operator: a name and a key."""

from typing import Any

import pytest
from pydantic import ValidationError

from portcullis.evidence.operators import Operator
from tests.support import jws
from tests.unit.evidence.genuine import KEY

OPERATOR: dict[str, Any] = {"operator": "alice", "jwk": jws.public_jwk(KEY)}


def test_an_operator_is_named_as_issuer() -> None:
    """Its commands come from `operator:<id>`."""
    assert Operator(**OPERATOR).issuer == "operator:alice"


@pytest.mark.parametrize(
    "change",
    [
        {"operator": ""},
        {"operator": "Alice"},
        {"operator": "1alice"},
        {"operator": "al:ice"},
        {"operator": "al#ice"},
        {"operator": "alice\n"},
        {"operator": "x" * 33},
        {"jwk": None},
        {"role": "operator"},
    ],
)
def test_another_shape_is_refused(change: dict[str, object]) -> None:
    """Names hold nothing that means more in a key or an issuer."""
    with pytest.raises(ValidationError):
        Operator(**OPERATOR | change)
