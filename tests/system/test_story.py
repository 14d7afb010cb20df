"""The story that `make demo` tells is a test."""

from tests.support.demo import ACTS
from tests.support.stack import Stack
from tests.support.story import Cast, tell


def test_every_step_of_the_demo_goes_as_promised(stack: Stack) -> None:
    """The whole story holds against the deployed stack."""
    assert tell(ACTS, Cast.strangers(stack)) == 0
