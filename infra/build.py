"""The one build step: `sam build`, no distribution twice, bytecode, and a literal RELEASE.

    python -m infra.build --config-env ENVIRONMENT

`sam build` from its cache undoes what follows it, so nothing else may run it before a deployment.
"""

import argparse
import compileall
import csv
import fcntl
import os
import platform
import py_compile
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra import release
from infra.release import ReleaseError
from infra.stamp import Stamp, digest_of_sources, digest_of_tree
from infra.steps import StepFailedError, run_step

ROOT = Path(__file__).resolve().parent.parent
LOCAL = "local"
"""The environment of `samconfig.toml` whose functions run on this machine."""
CORE_LAYER = "CoreLayer"
LAYER_MOUNT = "/opt"
FUNCTION_MOUNT = "/var/task"


class BuildError(Exception):
    """The sources cannot be built as they are; its text is for the person who builds."""


def build(project: Path, *, parameters: Mapping[str, str]) -> str:
    """Build `project` into its `.aws-sam/build` and return the release.

    The release is a hash over everything that is deployed: layers, functions, templates and
    `parameters`. The same sources and parameters give the same release in any folder. What was
    built from the same sources before, and not touched since, is not built again. Hold
    `exclusive(project)` from here until the build is deployed.

    Raises:
        StepFailedError: `sam build` failed.
        BuildError: two layers disagree about a version.
        ReleaseError: the template has no one place for the release.
    """
    built = project / ".aws-sam" / "build"
    sources = digest_of_sources(project, architecture=parameters.get("Architecture", ""))
    stamp = Stamp.read(project)
    if stamp is None or not stamp.describes(project, sources=sources):
        Stamp.remove(project)
        content = _make(project, built, parameters)
        stamp = Stamp(sources=sources, content=content, tree=digest_of_tree(built))
        stamp.write(project)
    name = release.derive(stamp.content, parameters=parameters)
    release.write(built / "template.yaml", name)
    return name


def _make(project: Path, built: Path, parameters: Mapping[str, str]) -> str:
    """Build, and return a digest of what came out, before there is bytecode."""
    run_step(
        "Building",
        [
            *(sys.executable, "-m", "samcli", "build"),
            "--parameter-overrides",
            *(f"{name}={value}" for name, value in sorted(parameters.items())),
        ],
        cwd=project,
        env=sam_environment(project),
        log=project / ".aws-sam" / "build.log",
    )
    drop_bytecode(built)
    for layer in layers(built):
        if layer.name != CORE_LAYER:
            prune(layer, held=built / CORE_LAYER)
    content = digest_of_tree(built)
    compile_bytecode(built)
    return content


@contextmanager
def exclusive(project: Path) -> Iterator[None]:
    """Keep every other build and deployment of `project` on this machine waiting."""
    lock = project / ".aws-sam" / "lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sam_environment(project: Path) -> dict[str, str]:
    """Return the environment in which `sam` finds the right Python and leaves no trace at home."""
    return {
        # A caller's credentials and profile never reach a build.
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        # The builder looks for `python3.13` on PATH: the environment's own must come first, or a
        # version manager's shim that cannot run is picked.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(project / ".aws-sam" / "home"),
    }


def configured_parameters(project: Path, config_env: str) -> dict[str, str]:
    """Return the template parameters that `samconfig.toml` gives an environment.

    Raises:
        BuildError: the environment has no deployment parameters.
    """
    configuration = tomllib.loads((project / "samconfig.toml").read_text())
    try:
        overrides = configuration[config_env]["deploy"]["parameters"]["parameter_overrides"]
    except KeyError:
        raise BuildError(f"samconfig.toml has no parameter_overrides for {config_env}") from None
    # A list, or the one string that `sam deploy --guided` writes.
    pairs = shlex.split(overrides) if isinstance(overrides, str) else overrides
    return dict(override.split("=", 1) for override in pairs)


def host_architecture() -> str:
    """Return this machine's architecture, as Lambda names it.

    Raises:
        BuildError: Lambda does not run on it.
    """
    machine = platform.machine().lower()
    names = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
    if machine not in names:
        raise BuildError(f"Lambda has no architecture like this machine's, {machine}")
    return names[machine]


def layers(built: Path) -> list[Path]:
    """Return the folders of the built layers."""
    return sorted(folder.parent for folder in built.glob("*/python") if folder.is_dir())


def functions(built: Path) -> list[Path]:
    """Return the folders of the built functions."""
    return sorted(file.parent for file in built.glob("*/handler.py"))


def drop_bytecode(built: Path) -> None:
    """Remove the bytecode that came along with the sources: it depends on who ran them last."""
    for folder in sorted(built.rglob("__pycache__")):
        shutil.rmtree(folder)


def prune(layer: Path, *, held: Path) -> None:
    """Remove from a layer every distribution that another layer already holds.

    Raises:
        BuildError: they hold different versions, so which one is imported would be chance.
    """
    held_versions = _distributions(held)
    for name, record in _distributions(layer).items():
        if name not in held_versions:
            continue
        if record.parent.name != held_versions[name].parent.name:
            raise BuildError(
                f"{layer.name} holds {record.parent.stem} and {held.name} "
                f"{held_versions[name].parent.stem}: lock them together (make lock)"
            )
        _remove_distribution(record)


def compile_bytecode(built: Path) -> None:
    """Give every module bytecode that is loaded without a look at its source.

    Its paths are those on Lambda and it holds no time, so two builds of one source are identical.

    Raises:
        BuildError: a module is not valid Python.
    """
    for folder, mount in [
        *((layer, LAYER_MOUNT) for layer in layers(built)),
        *((function, FUNCTION_MOUNT) for function in functions(built)),
    ]:
        compiled = compileall.compile_dir(
            folder,
            quiet=1,
            force=True,
            stripdir=str(folder),
            prependdir=mount,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not compiled:
            raise BuildError(f"{folder.name} holds a module that does not compile")


def _distributions(layer: Path) -> dict[str, Path]:
    records = (layer / "python").glob("*.dist-info/RECORD")
    return {record.parent.name.split("-")[0]: record for record in records}


def _remove_distribution(record: Path) -> None:
    home = record.parent.parent
    with record.open(newline="") as lines:
        files = [(home / row[0]).resolve() for row in csv.reader(lines) if row]
    for file in files:
        if not file.is_relative_to(home.resolve()):
            continue  # A script that the builder did not install.
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == home.resolve() or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def main() -> int:
    """Build with the parameters of one environment of `samconfig.toml`."""
    parser = argparse.ArgumentParser(prog="python -m infra.build", description=__doc__)
    parser.add_argument("--config-env", default=LOCAL)
    arguments = parser.parse_args()
    try:
        parameters = configured_parameters(ROOT, arguments.config_env)
        if arguments.config_env == LOCAL:
            parameters["Architecture"] = host_architecture()
        with exclusive(ROOT):
            print(f"Release {build(ROOT, parameters=parameters)}")
    except (BuildError, ReleaseError, StepFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
