"""What is deployed, as the build step leaves it, and how Lambda would run it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import build
from infra.build import LOCAL, PLACEHOLDER, ROOT

HERE = Path(__file__).parent
LAYERS = {
    "CoreLayer": ROOT / "shared",
    "PasskeysLayer": ROOT / "infra" / "layers" / "passkeys",
}

RECIPE = [ROOT / name for name in ("template.yaml", "infra/data.yaml", "infra/build.py")]
"""What decides how the sources are built."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests in one worker: there is one build."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("build"))


@pytest.fixture(scope="session")
def built() -> Iterator[Path]:
    """A copy of the build of these very sources, built first if need be."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "build"
        with build.exclusive(ROOT):
            made = ROOT / ".aws-sam" / "build"
            if not _is_of_these_sources(made):
                parameters = build.configured_parameters(ROOT, LOCAL)
                parameters["Architecture"] = build.host_architecture()
                build.build(ROOT, parameters=parameters)
            shutil.copytree(made, copy)
        yield copy


def _is_of_these_sources(made: Path) -> bool:
    """Return whether a finished build holds the code that is in the working tree now."""
    template = made / "template.yaml"
    if not template.exists() or PLACEHOLDER in template.read_text():
        return False
    if template.stat().st_mtime < max(file.stat().st_mtime for file in RECIPE):
        return False
    if any(_differ(home, made / layer / "python") for layer, home in LAYERS.items()):
        return False
    return _contents(made, "*/handler.py") == _contents(ROOT / "functions", "*/*/handler.py")


def _differ(home: Path, layer: Path) -> bool:
    sources = [*home.glob("requirements.txt"), *home.rglob("portcullis/**/*.py")]
    names = {file.relative_to(home) for file in sources}
    built_names = {
        file.relative_to(layer)
        for file in [*layer.glob("requirements.txt"), *layer.glob("portcullis/**/*.py")]
    }
    if names != built_names:
        return True
    return any((home / name).read_bytes() != (layer / name).read_bytes() for name in names)


def _contents(folder: Path, pattern: str) -> list[bytes]:
    return sorted(file.read_bytes() for file in folder.glob(pattern))
