"""Restraint: what a verdict does to an account, by the one function that may do it.

It can only tighten. The gate, refresh and sign-in, which meet the world, cannot touch a standing;
they invoke this (``restrain``) with the verdict and what it was made of.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal

from portcullis import entropy
from portcullis.aws import dynamodb, functions
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Statement
from portcullis.errors import InfrastructureError
from portcullis.evidence.orders import AccountId as Id
from portcullis.identity import outbox, standing, tables
from portcullis.identity.judge import Outcome, Verdict
from portcullis.identity.observations import Baseline, Observation
from portcullis.identity.outbox import Event
from portcullis.identity.standing import NoSuchAccountError, Standing
from portcullis.schema import Strict
from portcullis.settings import setting

AHEAD_S_MAX = 60
"""How far an observation may be ahead of this function's clock and still move a demand: a later
one would stand where no approval of today could reach it."""
TOLD_S = 60
"""A demand is told of once in each minute of the clock, however often it is renewed in it."""
ROUNDS_MAX = 8
PAUSE_S = 0.02

Occasion = Literal["request", "refresh", "sign-in"]


class Judged(Strict):
    """A verdict with all that it was made of: what ``make replay`` judges again."""

    baseline: Baseline
    observation: Observation
    verdict: Verdict


class Restraint(Strict):
    """A verdict to act on. ``epoch`` is the standing's, as seen.

    At a sign-in nothing is killed: the session begins with the demand of an approval instead, for
    a traveller who signs in again is no thief yet.
    """

    account: Id
    sid: Id
    occasion: Occasion
    epoch: int
    judged: Judged

    @property
    def kills(self) -> bool:
        """Whether it kills, or else demands an approval."""
        return self.judged.verdict.outcome is Outcome.KILL and self.occasion != "sign-in"


class RestraintError(InfrastructureError):
    """The restraining function did not say that it has restrained."""


def ask(restraint: Restraint) -> None:
    """Have the restraining function act on a verdict, and wait for it.

    Raises:
        InfrastructureError: it is not known to have acted.
    """
    answer = functions.invoke(setting("RESTRAIN_FUNCTION"), restraint.model_dump(mode="json"))
    if answer != DONE:
        raise RestraintError(str(answer.get("type", "answer")))


DONE: dict[str, Any] = {"restrained": True}
"""The answer of the restraining function, also where another had restrained before."""


def restrain(restraint: Restraint, *, now_s: int) -> dict[str, Any]:
    """Act on a verdict once: however many requests reveal one anomaly, one of them is told of.

    Safe to repeat: a standing that has moved on since the verdict was restrained by another.

    Raises:
        NoSuchAccountError: there is no such account.
        InfrastructureError: the store did not answer, or others kept writing events.
    """
    account = restraint.account
    for round_ in range(ROUNDS_MAX):
        item, head = dynamodb.batch_get(
            (tables.standing(), tables.standing_key(account)),
            (tables.identity(), tables.outbox_key(account)),
        )
        if item is None:
            raise NoSuchAccountError
        act = _act(restraint, Standing.from_item(item), now_s=now_s)
        if act is None:
            return DONE
        last = outbox.last(head)
        told = _told(restraint, act.event, after=last, now_s=now_s) if act.event else ()
        try:
            dynamodb.execute(act.change, *told)
        except ConditionFailedError:
            time.sleep(entropy.jitter_s(PAUSE_S * 2**round_))
        else:
            return DONE
    raise ContentionError("restraint")


@dataclass(frozen=True, slots=True)
class _Act:
    """The write on the standing, and the event of it: None where it is told of already."""

    change: Statement
    event: Event | None


def _act(restraint: Restraint, seen: Standing, *, now_s: int) -> _Act | None:
    """Return what is to be done, or None if the standing has moved on since the verdict."""
    if seen.epoch != restraint.epoch or not (seen.is_active or seen.is_quarantined):
        return None
    if restraint.kills and seen.is_often_quarantined(now_s):
        until_s = now_s + standing.FREEZE_S
        return _Act(standing.raised(seen, frozen_until=until_s), _event(restraint, is_frozen=True))
    if restraint.kills:
        return _Act(standing.quarantined(seen, at_s=now_s), _event(restraint))
    at_s = min(restraint.judged.observation.at_s, now_s + AHEAD_S_MAX)
    demanded_s = seen.approval_required_since
    if demanded_s >= at_s:
        return None  # by another request, or by an earlier try of this
    since_s = max(now_s, at_s)
    is_told = since_s // TOLD_S == demanded_s // TOLD_S
    # In a quarantine, too, whose lift leaves the demand standing.
    return _Act(
        standing.approval_demanded(seen, since_s=since_s), None if is_told else _event(restraint)
    )


def _told(restraint: Restraint, event: Event, *, after: int, now_s: int) -> list[Statement]:
    """Return the writes of the event that follows number *after*, and of the verdict behind it."""
    return [
        *outbox.numbered(restraint.account, event, after=after, at_s=now_s),
        dynamodb.insert(
            tables.identity(),
            {
                **tables.verdict_key(restraint.account, after + 1),
                "record": restraint.judged.model_dump_json(),
                "at": now_s,
                "ttl": now_s + outbox.KEPT_S,
            },
        ),
    ]


def _event(restraint: Restraint, *, is_frozen: bool = False) -> Event:
    verdict = restraint.judged.verdict
    travel = verdict.travel
    return Event(
        "money-frozen"
        if is_frozen
        else "account-quarantined"
        if restraint.kills
        else "approval-demanded",
        {
            "sid": restraint.sid,
            "occasion": restraint.occasion,
            "reasons": list(verdict.reasons),
            "policy": verdict.policy,
            **(
                {
                    "distance_km": travel.distance_km,
                    "beyond_error_km": travel.beyond_error_km,
                    "elapsed_s": travel.elapsed_s,
                }
                if travel
                else {}
            ),
        },
    )
