"""The drill's end: what the operator's own tools read of it afterwards."""

from infra import replay, timeline, verdicts
from infra.timeline import Timeline
from portcullis.identity import judge
from portcullis.identity.judge import Outcome, Policy
from tests.support import inside
from tests.support.drill_people import KILLED, TOLD_S_MAX, Players
from tests.support.stage import within
from tests.support.story import Acts, check

MILDER = Policy(version="milder", impossible_travel=Outcome.STEP_UP)


def the_timeline_is_whole(players: Players) -> str:
    """`make timeline` reads Alice's story from the audit bucket alone"""
    kept = len(inside.events(players.stage.stack, str(players.alice.account)))
    told = within(TOLD_S_MAX, lambda: _complete(players, kept))
    check(f"all {kept} events within {TOLD_S_MAX:.0f} s", kept=told is not None)
    return f"{kept} events, no gap"


def every_verdict_replays(players: Players) -> str:
    """`make replay` judges every verdict again: each comes out as it was"""
    stack = players.stage.stack
    history = verdicts.of_stack(stack.name, endpoint=stack.endpoint)
    rejudged = replay.replayed(
        history, candidate=MILDER, in_force={judge.POLICY.version: judge.POLICY}
    )
    own = [one for one in rejudged if one.recorded.account == players.alice.account]
    check("both kills are recorded", kept=[one.was for one in own] == [Outcome.KILL] * 2)
    truths = [history.truth(one.recorded) for one in own]
    check("with what she said of them", kept="no" in truths)
    softened = [one for one in own if one.is_changed and one.candidate.outcome is Outcome.STEP_UP]
    return f"a milder policy spares {len(softened)} of {len(own)} kills"


def _complete(players: Players, kept: int) -> Timeline | None:
    stack, account = players.stage.stack, str(players.alice.account)
    bucket = inside.outputs(stack)["AuditBucket"]
    told = timeline.of(account, timeline.stored(inside.root(stack, "s3"), bucket, account))
    check("nothing wrong with the trail", kept=not told.findings)
    kinds = [event.kind for event in told.events]
    return told if len(kinds) == kept and kinds.count(KILLED) == len(("gate", "refresh")) else None


ACTS: Acts[Players] = (
    ("What is left for the operator to read", (the_timeline_is_whole, every_verdict_replays)),
)
