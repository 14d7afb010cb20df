"""The demo names the first broken promise and says what to do when there is nothing to show."""

import pytest

from tests.support import demo, story
from tests.support.http import Reply
from tests.support.stack import Stack
from tests.unit.support.conftest import Door


@pytest.fixture
def cast(door: Door, tmp_path_factory: pytest.TempPathFactory) -> story.Cast:
    """Strangers before a door."""
    stack = Stack(
        name="test",
        public_origin=door.origin,
        internal_origin=door.origin,
        endpoint=door.origin,
        partner_key=tmp_path_factory.mktemp("keys") / "partner.pem",
    )
    return story.Cast.strangers(stack)


def kept(_: story.Cast) -> str:
    """A kept promise."""
    return "200"


def broken(_: story.Cast) -> str:
    """A broken promise."""
    return story.refused(Reply(200, (), b"{}"), 401, "invalid-token")


def lacking(_: story.Cast) -> str:
    """A reply without its member."""
    return str(Reply(200, (), b"{}").json["account"])


def test_steps_are_numbered_through_the_acts(
    cast: story.Cast, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every step has a number and its result, without colour off a terminal."""
    assert story.tell((("One", (kept,)), ("Two", (kept, kept))), cast) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["One", "   1  A kept promise ... 200"]
    assert lines[4:7] == ["Two", "   2  A kept promise ... 200", "   3  A kept promise ... 200"]


@pytest.mark.parametrize(
    ("scene", "reason"),
    [(broken, "promised 401 invalid-token, got 200 {}"), (lacking, "KeyError: 'account'")],
)
def test_the_first_broken_promise_ends_the_story(
    cast: story.Cast, capsys: pytest.CaptureFixture[str], scene: story.Scene, reason: str
) -> None:
    """The failed step is named with what came, and nothing is played after it."""
    assert story.tell((("One", (kept, scene, kept)),), cast) == 1
    said = capsys.readouterr()
    assert "Step 2 failed" in said.err
    assert reason in said.err
    assert "   3  " not in said.out


def test_a_stack_that_answers_wrongly_fails_at_the_first_step(
    cast: story.Cast, door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a server that refuses everything the story does not get far."""
    door.answers.extend([(503, b"{}")] * 9)
    assert story.tell(demo.ACTS, cast) == 1
    assert "Step 1 failed: Alice opens an account with a passkey." in capsys.readouterr().err


def test_without_a_stack_the_demo_says_what_to_do(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit status 2."""
    monkeypatch.chdir(str(tmp_path))
    assert demo.main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.strip() == demo.NOT_RUNNING.format(name="portcullis")


def test_every_scene_is_played_once_and_has_a_title() -> None:
    """No scene is forgotten or told twice, and each title is one line."""
    played = [scene for _, scenes in demo.ACTS for scene in scenes]
    titles = [story.title_of(scene) for scene in played]
    assert len(set(played)) == len(set(titles)) == len(played)
    assert all(title and "\n" not in title for title in titles)
