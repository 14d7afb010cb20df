"""What is deployed, as the build step leaves it, and how Lambda would run it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import build
from infra.build import LOCAL, ROOT

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests in one worker: there is one build."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("build"))


@pytest.fixture(scope="session")
def built() -> Iterator[Path]:
    """A copy of the build of these very sources."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "build"
        with build.exclusive(ROOT):
            parameters = build.configured_parameters(ROOT, LOCAL)
            parameters["Architecture"] = build.host_architecture()
            build.build(ROOT, parameters=parameters)
            shutil.copytree(ROOT / ".aws-sam" / "build", copy)
        yield copy
