"""What is expensive is made once, however many workers run the tests."""

import os

import pytest


def test_this_folder_is_one_workers(request: pytest.FixtureRequest) -> None:
    """Beside others, a worker has all tests of a group: or each would build and deploy for itself.

    The mark is on the test; that the scheduler sees it is another thing.
    """
    group = request.node.nodeid.partition("@")[2]
    assert group == ("build" if "PYTEST_XDIST_WORKER" in os.environ else "")
