"""What the last build was made of: the same sources are not built twice."""

import hashlib
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from infra import release

SOURCES = ("template.yaml", "samconfig.toml", "shared", "functions", "infra")
"""Everything that a build reads, and how it is made."""
TEMPLATE = "template.yaml"
BYTECODE = "__pycache__"


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """A finished build: what went in, and what came out."""

    sources: str
    content: str
    """Digest of what is deployed, before bytecode and release."""
    tree: str
    """Digest of the finished build, the release left out."""

    @classmethod
    def read(cls, project: Path) -> "Stamp | None":
        """Return the stamp of the last build that was finished, if there is one of this shape."""
        try:
            return cls(**json.loads(_file(project).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @staticmethod
    def remove(project: Path) -> None:
        """Say that no build is finished."""
        _file(project).unlink(missing_ok=True)

    def write(self, project: Path) -> None:
        """Say that the build is finished."""
        _file(project).write_text(json.dumps(asdict(self)) + "\n")

    def describes(self, project: Path, *, sources: str) -> bool:
        """Whether `sources` were built, and nobody has changed what came out since."""
        built = project / ".aws-sam" / "build"
        return (
            self.sources == sources
            and (built / TEMPLATE).exists()
            and self.tree == digest_of_tree(built)
        )


def digest_of_sources(project: Path, *, architecture: str) -> str:
    """Return a digest over all that a build depends on, its tools too."""
    tools = [platform.python_version(), version("aws-sam-cli"), architecture]
    files = (file for name in SOURCES for file in _files(project / name))
    kept = (file for file in files if BYTECODE not in file.parts)
    return digest_of(kept, root=project, beside=json.dumps(tools))


def digest_of_tree(built: Path) -> str:
    """Return a digest over a finished build; the release in its template does not count."""
    template = built / TEMPLATE
    return digest_of(
        (file for file in _files(built) if file != template),
        root=built,
        beside=release.removed(template),
    )


def digest_of(files: Iterable[Path], *, root: Path, beside: str = "") -> str:
    """Return a digest over the names below `root` and the contents of files, and a text."""
    digest = hashlib.sha256(hashlib.sha256(beside.encode()).digest())
    for file in sorted(files):
        digest.update(hashlib.sha256(file.relative_to(root).as_posix().encode()).digest())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _file(project: Path) -> Path:
    return project / ".aws-sam" / "stamp.json"
