"""Judge recorded verdicts again under another policy, and say what would have been different.

    python -m infra.replay [--policy new.json] [--from verdicts.json | --stack name]
                           [--account id] [--recorded old.json ...] [--export verdicts.json]

Without a candidate the code's own policy judges, and every verdict is listed.

A policy's file holds fields of ``judge.Policy``; those that it leaves out have their defaults. Each
verdict is first judged under the policy that made it: one that does not come out as it was recorded
means that the judge, or the record, is not what it was, and nothing else is said then.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from infra import verdicts
from infra.local.inbox import running
from infra.local.stack import StackError, chosen_name
from infra.verdicts import History, HistoryError, Recorded, WasYou
from portcullis.identity import judge
from portcullis.identity.judge import Outcome, Policy, Travel, Verdict
from portcullis.identity.policy import CHOICES

TRUTHS: Mapping[WasYou | None, str] = {
    "yes": "it was the owner: false positives",
    "no": "it was not the owner",
    "unsaid": "nobody said",
    None: "not lifted yet",
}


class ReplayError(Exception):
    """A sentence for who asked."""


@dataclass(frozen=True, slots=True)
class Rejudged:
    """A recorded verdict, and what the candidate says."""

    recorded: Recorded
    candidate: Verdict

    @property
    def was(self) -> Outcome:
        """What was done."""
        return self.recorded.judged.verdict.outcome

    @property
    def is_changed(self) -> bool:
        """Whether something else would be done."""
        return self.candidate.outcome is not self.was

    @property
    def is_newly_quarantined(self) -> bool:
        """Whether the account would be quarantined, and was not. A sign-in quarantines nobody."""
        killed = self.is_changed and self.candidate.outcome is Outcome.KILL
        return killed and self.recorded.occasion != "sign-in"


def policy_in(file: Path) -> Policy:
    """Return the policy in a file.

    Raises:
        ReplayError: it is none; a field that the policy does not have is refused, for a typing
            error would otherwise leave the default in force.
    """
    try:
        return Policy.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ReplayError(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()
        )
        raise ReplayError(f"{file} is no policy: {faults}") from None


def replayed(
    history: History, *, candidate: Policy, in_force: Mapping[str, Policy]
) -> list[Rejudged]:
    """Return every verdict with the candidate's.

    Args:
        history: what was recorded.
        candidate: the policy to judge under.
        in_force: by version, the policies that made the records.

    Raises:
        ReplayError: a record was made under a policy that is not given, or it does not replay to
            itself under the one that made it.
    """
    made_by = {one.judged.verdict.policy for one in history.verdicts}
    if unknown := sorted(made_by - in_force.keys()):
        raise ReplayError(
            f"There are verdicts of policy {', '.join(unknown)}, which this code does not have:"
            " give its file with --recorded."
        )
    strange = [one for one in history.verdicts if not _replays(one, in_force)]
    if strange:
        names = ", ".join(f"{one.account}/{one.number}" for one in strange)
        raise ReplayError(
            f"{len(strange)} of {len(history.verdicts)} verdicts do not replay to themselves under"
            f" the policy that made them: {names}. The judge has changed without a new version,"
            " or a record was."
        )
    return [
        Rejudged(one, judge.judge(candidate, one.judged.baseline, one.judged.observation))
        for one in history.verdicts
    ]


def _replays(one: Recorded, in_force: Mapping[str, Policy]) -> bool:
    judged = one.judged
    again = judge.judge(in_force[judged.verdict.policy], judged.baseline, judged.observation)
    return again == judged.verdict


def report(history: History, rejudged: Sequence[Rejudged], *, candidate: Policy) -> Iterator[str]:
    """Yield what would be different, line by line."""
    changed = [one for one in rejudged if one.is_changed]
    yield (
        f"{len(rejudged)} verdicts, each of which replays to itself."
        f" Under {candidate.version}, {len(changed)} change."
    )
    yield ""
    yield from _matrix(rejudged)
    yield ""
    yield from _truths(history, rejudged)
    if changed:
        yield ""
        yield "Changed:"
    for one in changed:
        yield from _changed(history, one)
    yield ""
    yield "Requests that were allowed are not recorded: what a stricter policy would have made of"
    yield "them is not here."


def listing(history: History) -> Iterator[str]:
    """Yield every verdict as it was recorded, in order of time."""
    yield "Recorded:"
    for one in sorted(history.verdicts, key=lambda one: one.at):
        verdict = one.judged.verdict
        what = f"{one.occasion or 'unknown'}  {verdict.outcome}: {_reasons(verdict)}"
        yield f"  {_name(one)}  {what}"
        yield f"    {_numbers(verdict.travel)}; {_truth(history, one)}"


def _matrix(rejudged: Sequence[Rejudged]) -> Iterator[str]:
    counts = Counter((one.was, one.candidate.outcome) for one in rejudged)
    yield f"{'recorded / now':<16}" + "".join(f"{outcome:>9}" for outcome in Outcome)
    for was in Outcome:
        row = "".join(f"{counts[was, outcome]:>9}" for outcome in Outcome)
        yield f"{was:<16}{row}"


def _truths(history: History, rejudged: Sequence[Rejudged]) -> Iterator[str]:
    quarantines = [one for one in rejudged if one.recorded.quarantined]
    before = Counter(history.truth(one.recorded) for one in quarantines)
    after = Counter(
        history.truth(one.recorded) for one in quarantines if one.candidate.outcome is Outcome.KILL
    )
    newly = sum(one.is_newly_quarantined for one in rejudged)
    yield f"{'quarantines, of which':<38}{'recorded':>9}{'now':>6}"
    for truth, words in TRUTHS.items():
        yield _row(words, before[truth], after[truth])
    yield _row("newly: nobody was asked", 0, newly)
    yield _row("in all", before.total(), after.total() + newly)


def _row(words: str, before: int, after: int) -> str:
    return f"  {words:<36}{before:>9}{after:>6}{after - before:>+6}"


def _changed(history: History, one: Rejudged) -> Iterator[str]:
    recorded = one.recorded
    yield f"  {_name(recorded)}  {one.was} -> {one.candidate.outcome}"
    yield f"    recorded: {_reasons(recorded.judged.verdict)}; now: {_reasons(one.candidate)}"
    yield f"    {_numbers(one.candidate.travel)}; {_truth(history, recorded)}"


def _name(recorded: Recorded) -> str:
    at = datetime.fromtimestamp(recorded.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{at}  {recorded.account}/{recorded.number}"


def _truth(history: History, recorded: Recorded) -> str:
    return TRUTHS[history.truth(recorded)] if recorded.quarantined else "no quarantine"


def _reasons(verdict: Verdict) -> str:
    return ", ".join(verdict.reasons)


def _numbers(travel: Travel | None) -> str:
    if travel is None:
        return "no two places"
    speed = "no time at all" if travel.speed_kmh is None else f"{travel.speed_kmh} km/h"
    return (
        f"{travel.distance_km} km, {travel.beyond_error_km} beyond error,"
        f" in {travel.elapsed_s} s: {speed}"
    )


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.replay", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--policy", type=Path, help="judge under this one, not the code's")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--from", dest="file", type=Path, help="an exported file")
    source.add_argument("--stack", help="a stack on AWS, by the environment's credentials")
    parser.add_argument("--account", help="the verdicts of this one alone")
    parser.add_argument("--recorded", type=Path, action="append", default=[])
    parser.add_argument("--export", type=Path, help="write what was read to a new file, and end")
    return parser.parse_args(given)


def history_of(asked: argparse.Namespace) -> History:
    """Return the history that was asked for: by default the one of the stack that runs here.

    Raises:
        HistoryError: it is not readable.
        StackError: no stack runs here.
    """
    if asked.file is not None:
        history = verdicts.read(asked.file)
        return history if asked.account is None else history.of(asked.account)
    if asked.stack is not None:
        return verdicts.of_stack(asked.stack, endpoint=None, account=asked.account)
    here = running(chosen_name(os.environ))
    return verdicts.of_stack(here.stack, endpoint=here.endpoint, account=asked.account)


def export(history: History, file: Path) -> None:
    """Write a history to a new file that only its owner can read.

    Raises:
        ReplayError: there is a file of that name, or none can be made: the rights of one that is
            there are somebody else's choice.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ReplayError(f"{file} is there already: an export replaces no file") from None
    except OSError as error:
        raise ReplayError(f"{file}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as opened:
        opened.write(history.model_dump_json(indent=1))


def replay(given: Sequence[str]) -> Iterator[str]:
    """Do what the command line says, and yield what it says.

    Raises:
        ReplayError, HistoryError, StackError: a sentence for who asked.
    """
    asked = arguments(given)
    history = history_of(asked)
    if asked.export is not None:
        export(history, asked.export)
        yield f"{len(history.verdicts)} verdicts, with places and devices, are in {asked.export}."
        return
    candidate = policy_in(asked.policy) if asked.policy else judge.POLICY
    known = [*CHOICES.values(), *map(policy_in, asked.recorded)]
    rejudged = replayed(
        history, candidate=candidate, in_force={policy.version: policy for policy in known}
    )
    yield from report(history, rejudged, candidate=candidate)
    if asked.policy is None:
        yield ""
        yield from listing(history)


def main() -> int:
    """Print the replay; an error is a sentence on stderr, not a stack trace."""
    try:
        for line in replay(sys.argv[1:]):
            print(line)
    except (ReplayError, HistoryError, StackError, BotoCoreError, ClientError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
