"""Replay: what another policy would have done, and a judge that does not change in silence."""

import json
import re
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
from portcullis.identity.policy import WITHOUT_KILLS
from portcullis.identity.restraint import Judged, Occasion

AT = 1_800_000_000
LONDON = Place(country="GB", latitude_tenths=540, longitude_tenths=-20, radius_km=600)
BUCHAREST = Place(country="RO", latitude_tenths=459, longitude_tenths=250, radius_km=400)
NEW = Policy(version="2027-01", new_place=Outcome.ALLOW)
LENIENT = Policy(version="2027-01", speed_kmh_max=100_000)
STRICT = Policy(version="2027-01", new_place=Outcome.KILL)


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
    occasion: Occasion = "request",
) -> Recorded:
    """Return the record of a journey from London to Bucharest in so many seconds."""
    baseline, observation = Baseline.of(seen(LONDON, AT)), seen(BUCHAREST, AT + elapsed_s)
    verdict = judge.judge(under, baseline, observation)
    return Recorded(
        account=account,
        number=number,
        at=AT + elapsed_s,
        quarantined=verdict.outcome is Outcome.KILL and occasion != "sign-in",
        occasion=occasion,
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
        recorded(7, account="e" * 26, elapsed_s=240, occasion="sign-in"),
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
    """Return the numbers at the end of the line that starts so."""
    (line,) = (one for one in lines if one.strip().startswith(start))
    return [int(word) for word in line.removeprefix(start).split()[-3:]]


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


def test_a_strict_policy_shows_whom_it_would_newly_quarantine() -> None:
    """A kill that was none has no owner's word, and counts: it is not hidden in the matrix."""
    lines = told(HISTORY, STRICT)
    assert numbers(lines, "kill") == [0, 0, 6]
    assert numbers(lines, "it was the owner: false positives") == [1, 1, 0]
    assert numbers(lines, "not lifted yet") == [2, 2, 0]
    assert numbers(lines, "newly: nobody was asked") == [0, 1, 1]
    assert numbers(lines, "in all") == [5, 6, 1]


@pytest.mark.parametrize("occasion", ["request", "refresh"])
def test_what_is_newly_quarantined_is_counted_at_every_request(occasion: Occasion) -> None:
    """Three journeys by air that a policy would kill are three quarantines more."""
    flights = [recorded(number, elapsed_s=6 * 3600, occasion=occasion) for number in range(1, 4)]
    assert numbers(told(History(verdicts=flights, lifts=[]), STRICT), "newly") == [0, 3, 3]


def test_a_kill_at_a_sign_in_is_no_new_quarantine() -> None:
    """There it would only demand an approval, as before."""
    flight = recorded(1, elapsed_s=6 * 3600, occasion="sign-in")
    lines = told(History(verdicts=[flight], lifts=[]), STRICT)
    assert numbers(lines, "step-up") == [0, 0, 1]
    assert numbers(lines, "newly: nobody was asked") == [0, 0, 0]
    assert numbers(lines, "in all") == [0, 0, 0]


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


def test_either_policy_of_the_code_is_known(tmp_path: Path) -> None:
    """What was judged while kills were stopped replays by itself, and shows what they would be."""
    history = History(verdicts=[recorded(1, elapsed_s=240, under=WITHOUT_KILLS)], lifts=[])
    file = written(tmp_path, "history.json", history.model_dump_json())
    lines = list(replay.replay(["--from", str(file)]))
    assert numbers(lines, "step-up") == [0, 0, 1]
    assert numbers(lines, "newly: nobody was asked") == [0, 1, 1]


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


def asked(folder: Path, *options: str) -> list[str]:
    """Return what the command says of the history above."""
    file = written(folder, "history.json", HISTORY.model_dump_json())
    return list(replay.replay(["--from", str(file), *options]))


def test_without_a_policy_every_verdict_is_listed(tmp_path: Path) -> None:
    """When, whose, on which occasion, what was done and why, with the numbers, and no place."""
    lines = asked(tmp_path)
    listed = lines[lines.index("Recorded:") + 1 :]
    names, reasons = listed[::2], listed[1::2]
    assert f"  2027-01-15T14:00:00Z  {'e' * 26}/4  request  step-up: new-place" == names[-1]
    assert reasons[-1].endswith("km/h; no quarantine")
    assert f"  2027-01-15T08:04:00Z  {'e' * 26}/7  sign-in  kill: impossible-travel" in names
    at = names.index(f"  2027-01-15T08:04:00Z  {'a' * 26}/2  request  kill: impossible-travel")
    assert re.fullmatch(
        r"    \d+ km, \d+ beyond error, in 240 s: \d+ km/h; it was the owner: false positives",
        reasons[at],
    )
    assert [one.split()[0] for one in names] == sorted(one.split()[0] for one in names)
    assert len(names) == len(HISTORY.verdicts)
    assert "GB" not in "\n".join(lines)


def test_with_a_policy_only_what_changes_is_listed(tmp_path: Path) -> None:
    """Whoever tunes looks for the difference."""
    policy = written(tmp_path, "new.json", NEW.model_dump_json())
    lines = asked(tmp_path, "--policy", str(policy))
    assert "Recorded:" not in lines
    assert sum("->" in one for one in lines) == 1


def test_one_account_is_told_alone(tmp_path: Path) -> None:
    """Of the others nothing is counted and nothing listed; its own answers are kept."""
    lines = asked(tmp_path, "--account", "a" * 26)
    assert lines[0].startswith("2 verdicts")
    assert numbers(lines, "in all") == [2, 2, 0]
    assert numbers(lines, "it was not the owner") == [1, 1, 0]
    assert not [one for one in lines if "e" * 26 in one]


def test_an_account_without_verdicts_has_none(tmp_path: Path) -> None:
    """Nothing was decided about it, which is an answer."""
    assert asked(tmp_path, "--account", "z" * 26)[0].startswith("0 verdicts")


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_an_export_replaces_no_file(tmp_path: Path, mode: int) -> None:
    """Neither its content nor who may read it: the rights of a file that is there are not ours."""
    there = written(tmp_path, "verdicts.json", "mine")
    there.chmod(mode)
    with pytest.raises(ReplayError, match=r"verdicts\.json is there already"):
        asked(tmp_path, "--export", str(there))
    assert there.read_text() == "mine"


def test_an_export_follows_no_link(tmp_path: Path) -> None:
    """A link that somebody put there does not choose where places are written."""
    (tmp_path / "verdicts.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ReplayError):
        asked(tmp_path, "--export", str(tmp_path / "verdicts.json"))
    assert not (tmp_path / "elsewhere.json").exists()


def test_an_export_into_nowhere_is_a_sentence(tmp_path: Path) -> None:
    """A folder that is not there is said, not traced."""
    with pytest.raises(ReplayError, match="No such file"):
        asked(tmp_path, "--export", str(tmp_path / "none" / "verdicts.json"))


def test_what_is_exported_is_read_again(tmp_path: Path) -> None:
    """The file of an export replays like the table, and only its owner can read it."""
    copy = tmp_path / "copy.json"
    asked(tmp_path, "--export", str(copy))
    assert verdicts.read(copy) == HISTORY
    assert copy.stat().st_mode & 0o777 == 0o600


def item(pk: str, number: int, **members: Any) -> dict[str, Any]:
    """Return an item as DynamoDB gives it."""
    texts = {name: {"S": value} for name, value in members.items() if isinstance(value, str)}
    counts = {name: {"N": str(value)} for name, value in members.items() if isinstance(value, int)}
    return {"pk": {"S": pk}, "sk": {"S": f"{number:012d}"}, **texts, **counts}


def test_records_are_joined_with_what_happened_to_the_account() -> None:
    """The event of the same number says on which occasion and what for; a later one, the end."""
    account, one = "a" * 26, recorded(2, elapsed_s=240)
    items = [
        item(f"EVENT#{account}", 1, kind="account-opened"),
        item(f"EVENT#{account}", 3, kind="quarantine-lifted", was_you="yes"),
        item(f"EVENT#{account}", 2, kind="account-quarantined", occasion="request"),
        item(f"EVENT#{account}", 7, kind="approval-demanded", occasion="sign-in"),
        item(f"VERDICT#{account}", 2, record=one.judged.model_dump_json(), at=one.at),
        item(f"VERDICT#{account}", 7, record=one.judged.model_dump_json(), at=one.at),
        item(f"VERDICT#{account}", 8, record=one.judged.model_dump_json(), at=one.at),
    ]
    history = verdicts.of_items(iter(items))
    assert history.verdicts == [
        one,
        one.model_copy(update={"number": 7, "quarantined": False, "occasion": "sign-in"}),
        one.model_copy(update={"number": 8, "quarantined": False, "occasion": None}),
    ]
    assert history.lifts == [lift(3, "yes")]


@pytest.mark.parametrize(
    "odd",
    [
        {"kind": "quarantine-lifted", "was_you": "perhaps"},
        {"kind": "approval-demanded", "occasion": "secret"},
        {},
    ],
    ids=repr,
)
def test_an_event_that_none_wrote_stops_everything(odd: dict[str, str]) -> None:
    """A forged answer or occasion is named by its number, and is no stack trace."""
    one = recorded(2, elapsed_s=240)
    account = one.account
    items = [
        item(f"VERDICT#{account}", 2, record=one.judged.model_dump_json(), at=one.at),
        item(f"EVENT#{account}", 2, **odd),
    ]
    with pytest.raises(HistoryError, match=f"event {account}/2") as refused:
        verdicts.of_items(iter(items))
    assert "secret" not in str(refused.value)


def test_an_unreadable_record_stops_everything() -> None:
    """It is named by account and number; what stands in it is not told."""
    items = [item(f"VERDICT#{'a' * 26}", 2, record='{"baseline": "secret"}', at=AT)]
    with pytest.raises(HistoryError, match=f"{'a' * 26}/2") as refused:
        verdicts.of_items(iter(items))
    assert "secret" not in str(refused.value)
