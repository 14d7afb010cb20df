"""The policies that a deployment may choose: each has a name of its own, one field differs."""

from pathlib import Path

import pytest

from infra import replay
from infra.verdicts import History, Recorded
from portcullis.identity import judge, policy
from portcullis.identity.judge import POLICY, Outcome, Policy
from portcullis.identity.observations import NOTHING, UNKNOWN, Observation
from portcullis.identity.restraint import Judged
from portcullis.settings import MissingSettingError


@pytest.mark.parametrize("choice", policy.CHOICES)
def test_what_is_chosen_is_in_force(monkeypatch: pytest.MonkeyPatch, choice: str) -> None:
    """A choice is named by what it makes of impossible travel."""
    monkeypatch.setenv("IMPOSSIBLE_TRAVEL", choice)
    assert policy.in_force().impossible_travel == choice


@pytest.mark.parametrize("choice", ["allow", "KILL", "kill ", "2026-11", "off"])
def test_there_is_no_other_choice(monkeypatch: pytest.MonkeyPatch, choice: str) -> None:
    """A misspelt choice is no policy, and not the mildest one either."""
    monkeypatch.setenv("IMPOSSIBLE_TRAVEL", choice)
    with pytest.raises(KeyError):
        policy.in_force()


def test_without_a_choice_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent choice must not look like one."""
    monkeypatch.delenv("IMPOSSIBLE_TRAVEL", raising=False)
    with pytest.raises(MissingSettingError):
        policy.in_force()


def test_a_version_names_one_policy() -> None:
    """A record says by its version which policy made it, so no two share one."""
    choices = policy.CHOICES.values()
    assert len({one.version for one in choices}) == len(choices)
    for one in choices:
        assert Policy.model_validate(one.model_dump()) == one


def test_without_kills_nothing_else_is_milder() -> None:
    """The operator's choice changes impossible travel, and no other sign."""
    ours, chosen = POLICY.model_dump(), policy.WITHOUT_KILLS.model_dump()
    assert {name for name in ours if ours[name] != chosen[name]} == {
        "version",
        "impossible_travel",
    }
    assert policy.WITHOUT_KILLS.impossible_travel is Outcome.STEP_UP


@pytest.mark.parametrize("choice", policy.CHOICES)
def test_a_verdict_under_either_choice_replays_without_a_file_of_its_policy(
    tmp_path: Path, choice: str
) -> None:
    """Whoever stopped kills and looks at what was recorded since need not write the policy down."""
    observation = Observation(at_s=0, label=UNKNOWN, place=None, network="a", device="b")
    verdict = judge.judge(policy.CHOICES[choice], NOTHING, observation)
    judged = Judged(baseline=NOTHING, observation=observation, verdict=verdict)
    recorded = Recorded(
        account="a" * 26, number=1, at=0, quarantined=False, occasion="request", judged=judged
    )
    file = tmp_path / "history.json"
    file.write_text(History(verdicts=[recorded], lifts=[]).model_dump_json())
    lines = list(replay.replay(["--from", str(file)]))
    assert "1 verdicts, each of which replays to itself" in lines[0]
