"""Replay: what another policy would have done, and a judge that does not change in silence."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra import replay, verdicts
from infra.replay import ReplayError
from infra.verdicts import History, HistoryError, Lift, Recorded, WasYou
from portcullis.identity import judge
from portcullis.identity.judge import POLICY, Outcome, Policy
from portcullis.identity.observations import Baseline, Observation, Place
from portcullis.identity.restraint import Judged

AT = 1_800_000_000
LONDON = Place(country="GB", latitude_tenths=540, longitude_tenths=-20, radius_km=600)
BUCHAREST = Place(country="RO", latitude_tenths=459, longitude_tenths=250, radius_km=400)
NEW = Policy(version="2027-01", new_place=Outcome.ALLOW)
LENIENT = Policy(version="2027-01", speed_kmh_max=100_000)


def seen(place: Place, at_s: int, device: str = "Gecko on Linux") -> Observation:
    """Return a request from a place."""
    return Observation(
        at_s=at_s, label=place.country, place=place, network=f"net-{place.country}", device=device
    )


def recorded(
    number: int,
    *,
    account: str = "a" * 26,
    elapsed_s: int,
    under: Policy = POLICY,
    quarantined: bool | None = None,
) -> Recorded:
    """Return the record of a journey from London to Bucharest in so many seconds."""
    baseline, observation = Baseline.of(seen(LONDON, AT)), seen(BUCHAREST, AT + elapsed_s)
    verdict = judge.judge(under, baseline, observation)
    return Recorded(
        account=account,
        number=number,
        at=AT + elapsed_s,
        quarantined=verdict.outcome is Outcome.KILL if quarantined is None else quarantined,
        judged=Judged(baseline=baseline, observation=observation, verdict=verdict),
    )


def lift(number: int, was_you: WasYou, *, account: str = "a" * 26) -> Lift:
    """Return the end of a quarantine."""
    return Lift(account=account, number=number, was_you=was_you)


HISTORY = History(
    verdicts=[
        recorded(2, elapsed_s=240),
        recorded(5, elapsed_s=300),
        recorded(2, account="b" * 26, elapsed_s=240),
        recorded(3, account="c" * 26, elapsed_s=240),
        recorded(9, account="d" * 26, elapsed_s=240),
        recorded(4, account="e" * 26, elapsed_s=6 * 3600),
        recorded(7, account="e" * 26, elapsed_s=240, quarantined=False),
    ],
    lifts=[
        lift(3, "yes"),
        lift(6, "no"),
        lift(3, "unsaid", account="b" * 26),
        lift(2, "yes", account="c" * 26),
    ],
)
"""Three answered quarantines, two that nobody lifted, a journey by air, and a sign-in's kill."""


def told(history: History, candidate: Policy) -> list[str]:
    """Return what the replay says."""
    rejudged = replay.replayed(history, candidate=candidate, in_force={POLICY.version: POLICY})
    return list(replay.report(history, rejudged, candidate=candidate))


def numbers(lines: list[str], start: str) -> list[int]:
    """Return the numbers of the line that starts so."""
    (line,) = (one for one in lines if one.strip().startswith(start))
    return [int(word) for word in line.strip().removeprefix(start).split()]


def test_the_history_is_what_it_says() -> None:
    """The records are verdicts of both kinds, so that the tests below compare something."""
    outcomes = [one.judged.verdict.outcome for one in HISTORY.verdicts]
    assert outcomes == [Outcome.KILL] * 5 + [Outcome.STEP_UP, Outcome.KILL]


def test_the_truth_is_what_the_owner_said_at_the_first_lift_after() -> None:
    """An earlier lift answers an earlier quarantine, and another account's answers nothing."""
    truths = [HISTORY.truth(one) for one in HISTORY.verdicts]
    assert truths == ["yes", "no", "unsaid", None, None, None, None]


def test_under_the_policy_in_force_nothing_changes() -> None:
    """Every verdict replays to itself, and the table stands on its diagonal."""
    lines = told(HISTORY, POLICY)
    assert lines[0] == "7 verdicts, each of which replays to itself. Under 2026-11, 0 change."
    assert numbers(lines, "step-up") == [0, 1, 0]
    assert numbers(lines, "kill") == [0, 0, 6]
    assert "Changed:" not in lines


def test_a_lenient_policy_shows_what_it_spares_and_what_it_misses() -> None:
    """Fewer false positives, and the thief who would have got away, beside each other."""
    lines = told(HISTORY, LENIENT)
    assert "Under 2027-01, 6 change." in lines[0]
    assert numbers(lines, "kill") == [0, 6, 0]
    assert numbers(lines, "it was the owner: false positives") == [1, 0, -1]
    assert numbers(lines, "it was not the owner") == [1, 0, -1]
    assert numbers(lines, "nobody said") == [1, 0, -1]
    assert numbers(lines, "not lifted yet") == [2, 0, -2]


def test_a_changed_verdict_is_told_with_its_reasons_and_numbers() -> None:
    """Whoever tunes a policy sees each case, without a place or an address."""
    lines = told(HISTORY, LENIENT)
    at = lines.index("Changed:") + 1
    assert lines[at] == f"  2027-01-15T08:04:00Z  {'a' * 26}/2  kill -> step-up"
    assert lines[at + 1] == "    recorded: impossible-travel; now: new-place"
    assert "beyond error, in 240 s:" in lines[at + 2]
    assert lines[at + 2].endswith("false positives")
    assert "GB" not in "\n".join(lines)


def test_a_policy_changes_step_ups_too() -> None:
    """What demanded an approval may be allowed."""
    lines = told(HISTORY, NEW)
    assert numbers(lines, "step-up") == [1, 0, 0]
    assert numbers(lines, "kill") == [0, 0, 6]


def test_a_sign_in_that_was_not_quarantined_counts_as_none() -> None:
    """A kill at a sign-in only demands an approval: no owner was asked."""
    lines = told(HISTORY, LENIENT)
    assert lines[-4].endswith("no quarantine")


def test_no_verdicts_are_no_changes() -> None:
    """A platform on which nothing happened has an empty table."""
    lines = told(History(verdicts=[], lifts=[]), LENIENT)
    assert lines[0].startswith("0 verdicts")


@pytest.mark.parametrize(
    "change",
    [{"outcome": Outcome.ALLOW}, {"reasons": ()}, {"travel": None}],
    ids=["outcome", "reasons", "numbers"],
)
def test_a_verdict_that_does_not_replay_to_itself_stops_everything(
    change: Mapping[str, object],
) -> None:
    """A changed judge or record is named, and no table is printed beside it."""
    one = HISTORY.verdicts[0]
    judged = one.judged
    other = judged.model_copy(update={"verdict": judged.verdict.model_copy(update=change)})
    history = History(
        verdicts=[one.model_copy(update={"judged": other}), *HISTORY.verdicts[1:]], lifts=[]
    )
    with pytest.raises(ReplayError, match=rf"1 of 7 verdicts .*{'a' * 26}/2"):
        told(history, POLICY)


def test_a_record_under_an_unknown_policy_stops_everything() -> None:
    """What cannot be checked is not counted."""
    history = History(verdicts=[recorded(1, elapsed_s=240, under=LENIENT)], lifts=[])
    with pytest.raises(ReplayError, match=r"2027-01.*--recorded"):
        told(history, POLICY)


def written(folder: Path, name: str, content: object) -> Path:
    """Write a file of JSON."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_an_older_policy_is_given_by_its_file(tmp_path: Path) -> None:
    """With it, the records that it made replay, and are judged under today's."""
    history = History(verdicts=[recorded(1, elapsed_s=240, under=LENIENT)], lifts=[])
    file = written(tmp_path, "history.json", history.model_dump_json())
    old = written(tmp_path, "old.json", LENIENT.model_dump_json())
    lines = list(replay.replay(["--from", str(file), "--recorded", str(old)]))
    assert lines[0] == "1 verdicts, each of which replays to itself. Under 2026-11, 1 change."
    assert numbers(lines, "step-up") == [0, 0, 1]


NO_POLICIES: dict[str, object] = {
    "an unknown field": {"version": "x", "speed_max": 900},
    "a number as a text": {"speed_kmh_max": "900"},
    "a speed of nothing": {"speed_kmh_max": 0},
    "an outcome that there is not": {"new_place": "forgive"},
    "a version in capitals": {"version": "NEW"},
    "a list": [],
    "no JSON": "speed: 900",
}


@pytest.mark.parametrize("content", NO_POLICIES.values(), ids=NO_POLICIES.keys())
def test_a_file_that_is_no_policy_is_refused(tmp_path: Path, content: object) -> None:
    """A slip in a field's name must not leave the default in force."""
    with pytest.raises(ReplayError, match="is no policy"):
        replay.policy_in(written(tmp_path, "policy.json", content))


def test_a_policy_says_only_what_it_changes(tmp_path: Path) -> None:
    """What its file leaves out is as in the code."""
    file = written(tmp_path, "policy.json", {"version": "2027-01", "speed_kmh_max": 1200})
    assert replay.policy_in(file) == Policy(version="2027-01", speed_kmh_max=1200)


@pytest.mark.parametrize("content", [{}, [], "no JSON", {"verdicts": [{}], "lifts": []}], ids=repr)
def test_a_file_that_is_no_history_is_refused(tmp_path: Path, content: object) -> None:
    """Half a history would be a false table."""
    with pytest.raises(HistoryError):
        verdicts.read(written(tmp_path, "history.json", content))


def test_what_is_exported_is_read_again(tmp_path: Path) -> None:
    """The file of an export replays like the table, and only its owner can read it."""
    file = written(tmp_path, "history.json", HISTORY.model_dump_json())
    copy = tmp_path / "copy.json"
    list(replay.replay(["--from", str(file), "--export", str(copy)]))
    assert verdicts.read(copy) == HISTORY
    assert copy.stat().st_mode & 0o077 == 0


def item(pk: str, number: int, **members: Any) -> dict[str, Any]:
    """Return an item as DynamoDB gives it."""
    texts = {name: {"S": value} for name, value in members.items() if isinstance(value, str)}
    counts = {name: {"N": str(value)} for name, value in members.items() if isinstance(value, int)}
    return {"pk": {"S": pk}, "sk": {"S": f"{number:012d}"}, **texts, **counts}


def test_records_are_joined_with_what_happened_to_the_account() -> None:
    """Whether it quarantined is the event of the same number; how it ended, a later one."""
    account, one = "a" * 26, recorded(2, elapsed_s=240)
    items = [
        item(f"EVENT#{account}", 3, kind="quarantine-lifted", was_you="yes"),
        item(f"EVENT#{account}", 2, kind="account-quarantined"),
        item(f"VERDICT#{account}", 2, record=one.judged.model_dump_json(), at=one.at),
        item(f"VERDICT#{account}", 7, record=one.judged.model_dump_json(), at=one.at),
    ]
    history = verdicts.of_items(iter(items))
    assert history.verdicts == [
        one,
        one.model_copy(update={"number": 7, "quarantined": False}),
    ]
    assert history.lifts == [lift(3, "yes")]


def test_an_unreadable_record_stops_everything() -> None:
    """It is named by account and number; what stands in it is not told."""
    items = [item(f"VERDICT#{'a' * 26}", 2, record='{"baseline": "secret"}', at=AT)]
    with pytest.raises(HistoryError, match=f"{'a' * 26}/2") as refused:
        verdicts.of_items(iter(items))
    assert "secret" not in str(refused.value)
