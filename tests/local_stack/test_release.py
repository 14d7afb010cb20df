"""The release: every change of what is deployed has a name of its own, in one place."""

from pathlib import Path

import pytest

from infra import release
from infra.release import ReleaseError
from infra.stamp import digest_of, digest_of_tree

PARAMETERS = {"Architecture": "x86_64", "PublicOrigin": "http://localhost:8080"}
TEMPLATE = "Variables:\n  RELEASE: unreleased\n  OTHER: value\n"


@pytest.mark.parametrize(
    ("name", "value"), [("PublicOrigin", "http://localhost:9080"), ("Another", "value")]
)
def test_a_parameter_is_part_of_the_release(name: str, value: str) -> None:
    """SAM does not see a parameter's value: another value is another release."""
    before = release.derive("content", parameters=PARAMETERS)
    assert release.derive("content", parameters=PARAMETERS | {name: value}) != before


def test_the_order_of_parameters_is_none() -> None:
    """The same parameters are the same release, and other content is another."""
    again = dict(reversed(PARAMETERS.items()))
    assert release.derive("a", parameters=PARAMETERS) == release.derive("a", parameters=again)
    assert release.derive("a", parameters=PARAMETERS) != release.derive("b", parameters=PARAMETERS)


def test_moved_bytes_are_other_content(tmp_path: Path) -> None:
    """What one file loses and its neighbour gains does not cancel out, nor does a renaming."""
    trees = [
        {"a.py": "xy", "b.py": "z"},
        {"a.py": "x", "b.py": "yz"},
        {"a.py": "xy", "c.py": "z"},
    ]
    digests = set()
    for number, tree in enumerate(trees):
        root = tmp_path / str(number)
        root.mkdir()
        for name, text in tree.items():
            (root / name).write_text(text)
        digests.add(digest_of(root.iterdir(), root=root))
    assert len(digests) == len(trees)


def test_a_release_takes_the_place_of_another(tmp_path: Path) -> None:
    """It stands where the placeholder stood, and what is built is the same but for it."""
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE)
    unreleased = digest_of_tree(tmp_path)
    for content in ("one", "other"):
        name = release.derive(content, parameters={})
        release.write(template, name)
        assert template.read_text() == TEMPLATE.replace("unreleased", name)
        assert release.removed(template) == TEMPLATE
        assert digest_of_tree(tmp_path) == unreleased


@pytest.mark.parametrize(
    "text", ["", "RELEASE: r0\n", "RELEASE: unreleasedly\n", "RELEASE: unreleased\n" * 2]
)
def test_a_template_without_one_place_is_refused(tmp_path: Path, text: str) -> None:
    """Functions whose release is missing, or somebody's own, are not deployed."""
    template = tmp_path / "template.yaml"
    template.write_text(text)
    with pytest.raises(ReleaseError, match="unreleased"):
        release.write(template, release.derive("content", parameters={}))
    assert template.read_text() == text
