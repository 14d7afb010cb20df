"""The build step, on small trees: what is deployed is reproducible, compiled, and named."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra import build
from infra.build import BuildError
from infra.stamp import Stamp
from infra.steps import StepFailedError

PARAMETERS = {"Architecture": "x86_64", "PublicOrigin": "http://localhost:8080"}

TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Architecture: {Type: String}
  PublicOrigin: {Type: String}
Globals:
  Function:
    Runtime: python3.13
    Handler: handler.handler
    Environment:
      Variables:
        RELEASE: unreleased
Resources:
  CoreLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: shared/}
    Metadata: {BuildMethod: python3.13, BuildArchitecture: !Ref Architecture}
  Greet:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/greet/, Layers: [!Ref CoreLayer]}
"""


def a_project(at: Path) -> Path:
    """Write the smallest project that the step builds: a layer without dependencies, a function."""
    files = {
        "template.yaml": TEMPLATE,
        "samconfig.toml": (build.ROOT / "samconfig.toml").read_text(),
        "shared/requirements.txt": "",
        "shared/greeting/__init__.py": 'WORD = "hello"\n',
        "functions/greet/handler.py": "from greeting import WORD\n\n\ndef handler(*_):\n"
        "    return WORD\n",
    }
    return a_tree(at, files)


def a_tree(at: Path, files: dict[str, str]) -> Path:
    """Write files, by path."""
    for name, text in files.items():
        file = at / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return at


def a_distribution(layer: Path, name: str, version: str, *extra: str) -> None:
    """Write a distribution of one package, with a RECORD that lists it and `extra`."""
    dist_info = f"{name}-{version}.dist-info"
    files = [f"{name}/__init__.py", f"{dist_info}/METADATA", f"{dist_info}/RECORD"]
    record = "".join(f"{file},,\n" for file in [*files, *extra])
    a_tree(layer / "python", dict.fromkeys(files, "") | {f"{dist_info}/RECORD": record})


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by path."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_the_same_sources_build_the_same_bytes(tmp_path: Path) -> None:
    """Two builds in two folders, one of them with stale bytecode, are identical file by file."""
    one, two = a_project(tmp_path / "one"), a_project(tmp_path / "two")
    a_tree(two, {"shared/greeting/__pycache__/old.cpython-313.pyc": "stale"})

    releases = [build.build(project, parameters=PARAMETERS) for project in (one, two)]

    assert releases[0] == releases[1]
    assert contents(one / ".aws-sam" / "build") == contents(two / ".aws-sam" / "build")


def test_one_line_in_the_layer_is_another_release(tmp_path: Path) -> None:
    """A change in shared code reaches the function's own environment, so it is published."""
    project = a_project(tmp_path)
    before = build.build(project, parameters=PARAMETERS)
    a_tree(project, {"shared/greeting/__init__.py": 'WORD = "goodbye"\n'})

    after = build.build(project, parameters=PARAMETERS)

    assert after != before
    built = (project / ".aws-sam" / "build" / "template.yaml").read_text()
    assert f"RELEASE: {after}\n" in built
    assert "unreleased" not in built


def test_the_same_sources_are_not_built_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With other parameters what was built is released anew; with the first ones it is the same."""
    project = a_project(tmp_path)
    first = build.build(project, parameters=PARAMETERS)
    made = contents(project / ".aws-sam" / "build")
    assert capsys.readouterr().out.startswith("Building")

    second = build.build(project, parameters=PARAMETERS | {"PublicOrigin": "http://localhost:1"})
    third = build.build(project, parameters=PARAMETERS)

    assert capsys.readouterr().out == ""
    assert second != first == third
    assert contents(project / ".aws-sam" / "build") == made


@pytest.mark.parametrize(
    "changed",
    [
        "functions/greet/handler.py",
        "infra/anything.yaml",
        "samconfig.toml",
        "shared/requirements.txt",
        "template.yaml",
        ".aws-sam/build/CoreLayer/python/greeting/__init__.py",
        ".aws-sam/build/CoreLayer/python/greeting/another.py",
        ".aws-sam/build/Greet/__pycache__/handler.cpython-313.pyc",
        ".aws-sam/build/template.yaml",
    ],
)
def test_whatever_was_changed_is_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: str
) -> None:
    """A changed source, and a build that somebody has touched, are never taken for built."""
    project = a_project(tmp_path)
    build.build(project, parameters=PARAMETERS)
    honest = contents(project / ".aws-sam" / "build")
    file = project / changed
    a_tree(project, {changed: (file.read_text(errors="replace") if file.exists() else "") + "\n"})
    capsys.readouterr()

    build.build(project, parameters=PARAMETERS)

    assert capsys.readouterr().out.startswith("Building")
    if changed.startswith(".aws-sam"):
        assert contents(project / ".aws-sam" / "build") == honest


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null", '{"sources": ""}'])
def test_a_damaged_stamp_is_none(tmp_path: Path, text: str) -> None:
    """What does not say what was built, or not in whole, says nothing."""
    a_tree(tmp_path, {".aws-sam/stamp.json": text})
    assert Stamp.read(tmp_path) is None


def test_another_architecture_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was built for one processor is never deployed for another."""
    project = a_project(tmp_path)
    asked: list[str] = []

    def make(_project: Path, _built: Path, parameters: Mapping[str, str]) -> str:
        asked.append(parameters["Architecture"])
        return "content"

    monkeypatch.setattr(build, "_make", make)
    a_tree(project, {".aws-sam/build/template.yaml": TEMPLATE})
    for architecture in ("x86_64", "arm64", "arm64", "x86_64"):
        build.build(project, parameters=PARAMETERS | {"Architecture": architecture})
    assert asked == ["x86_64", "arm64", "x86_64"]


def test_a_build_that_failed_is_not_taken_for_built(tmp_path: Path) -> None:
    """After a failure the sources of before are built again, not found half done."""
    project = a_project(tmp_path)
    build.build(project, parameters=PARAMETERS)
    a_tree(project, {"shared/requirements.txt": "not a requirement\n"})
    with pytest.raises(StepFailedError):
        build.build(project, parameters=PARAMETERS)
    assert not (project / ".aws-sam" / "stamp.json").exists()


def test_a_failed_build_shows_what_sam_said(tmp_path: Path) -> None:
    """A build that fails is refused with the tool's own words."""
    project = a_project(tmp_path)
    a_tree(project, {"shared/requirements.txt": "not a requirement\n"})
    with pytest.raises(StepFailedError, match="Build Failed"):
        build.build(project, parameters=PARAMETERS)


def test_bytecode_loads_without_its_source(tmp_path: Path) -> None:
    """A function runs from compiled code, with its folder and the layer alone on the path."""
    a_tree(
        tmp_path,
        {
            "CoreLayer/python/greeting/__init__.py": 'WORD = "hello"\n',
            "Greet/handler.py": "from greeting import WORD\nhandler = WORD.upper\n",
        },
    )
    build.compile_bytecode(tmp_path)
    # An unchecked hash: the source may say anything, it is not looked at.
    a_tree(tmp_path, {"CoreLayer/python/greeting/__init__.py": "raise SystemExit\n"})
    path = [str(tmp_path / "Greet"), str(tmp_path / "CoreLayer" / "python")]
    code = f"import sys; sys.path[:0] = {path}; import handler; print(handler.handler())"

    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code], check=False, capture_output=True
    )

    assert ran.stdout == b"HELLO\n", ran.stderr


def test_bytecode_names_the_paths_on_lambda(tmp_path: Path) -> None:
    """A compiled module says where it is on Lambda, not where it was built."""
    a_tree(tmp_path, {"CoreLayer/python/a.py": "A = 1\n", "Greet/handler.py": "B = 1\n"})
    build.compile_bytecode(tmp_path)
    compiled = {file.name: file.read_bytes() for file in tmp_path.rglob("*.pyc")}
    assert b"/opt/python/a.py" in compiled["a.cpython-313.pyc"]
    assert b"/var/task/handler.py" in compiled["handler.cpython-313.pyc"]
    assert not [name for name, data in compiled.items() if os.fsencode(tmp_path) in data]


def test_a_module_that_does_not_compile_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A syntax error is found by the build, not by the first caller."""
    a_tree(tmp_path, {"Greet/handler.py": "def handler(:\n"})
    with pytest.raises(BuildError, match="Greet"):
        build.compile_bytecode(tmp_path)
    assert "SyntaxError" in capsys.readouterr().out


def test_what_the_core_layer_holds_is_in_no_other_layer(tmp_path: Path) -> None:
    """A distribution that two layers hold stays in the core layer only, whole."""
    core, extra = tmp_path / "CoreLayer", tmp_path / "ExtraLayer"
    a_distribution(core, "common", "1.0")
    a_distribution(extra, "common", "1.0")
    a_distribution(extra, "own", "2.0")
    untouched = contents(core)

    build.prune(extra, held=core)

    assert contents(core) == untouched
    assert sorted(path.name for path in (extra / "python").iterdir()) == [
        "own",
        "own-2.0.dist-info",
    ]


def test_layers_that_disagree_about_a_version_are_refused(tmp_path: Path) -> None:
    """Which of two versions is imported is never left to the order of the layers."""
    core, extra = tmp_path / "CoreLayer", tmp_path / "ExtraLayer"
    a_distribution(core, "common", "1.0")
    a_distribution(extra, "common", "1.1")
    with pytest.raises(BuildError, match=r"common-1\.1.*common-1\.0"):
        build.prune(extra, held=core)


def test_a_record_cannot_remove_what_is_outside_its_layer(tmp_path: Path) -> None:
    """A distribution's list of files reaches nothing outside the layer it is in."""
    core, extra = tmp_path / "CoreLayer", tmp_path / "ExtraLayer"
    outside = ["../../outside.txt", str(tmp_path / "outside.txt")]
    a_tree(tmp_path, {"outside.txt": "precious"})
    a_distribution(core, "common", "1.0")
    a_distribution(extra, "common", "1.0", *outside)

    build.prune(extra, held=core)

    assert (tmp_path / "outside.txt").read_text() == "precious"


def test_a_shared_folder_survives_the_pruning_of_one_owner(tmp_path: Path) -> None:
    """A folder that another distribution also uses is kept."""
    core, extra = tmp_path / "CoreLayer", tmp_path / "ExtraLayer"
    a_distribution(core, "common", "1.0")
    a_distribution(extra, "common", "1.0")
    a_tree(extra / "python", {"common/plugin.py": "PLUGIN = 1\n"})
    build.prune(extra, held=core)
    assert contents(extra) == {"python/common/plugin.py": b"PLUGIN = 1\n"}


def test_an_environment_without_parameters_is_refused(tmp_path: Path) -> None:
    """Nothing is built for an environment that nobody configured."""
    a_tree(tmp_path, {"samconfig.toml": "version = 0.1\n"})
    with pytest.raises(BuildError, match="staging"):
        build.configured_parameters(tmp_path, "staging")


def test_a_build_has_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A caller's AWS credentials and profile never reach the build."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_PROFILE", "production")
    environment = build.sam_environment(tmp_path)
    assert not [name for name in environment if name.startswith("AWS_")]
    assert environment["PATH"].startswith(str(Path(sys.executable).parent) + os.pathsep)
