"""The restraining function: it acts on a verdict once, it tightens, and nothing else."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError
from portcullis.evidence.approvals import Act
from portcullis.identity import approving, judge, restraint, revocation, standing
from portcullis.identity.observations import UNKNOWN, Baseline, Observation, Place
from portcullis.identity.outbox import Event, append
from portcullis.identity.restraint import AHEAD_S_MAX, DONE, TOLD_S, Judged, Restraint
from portcullis.identity.standing import (
    ACTIVE,
    FREEZE_S,
    QUARANTINED,
    NoSuchAccountError,
    Standing,
)
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Family, Person, is_admitted, now
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import unchanged
from tests.support import functions as lambdas
from tests.support.events import Context
from tests.support.faults import ALWAYS, TRANSACTION, Loss, Proxy

CROWD = 32
DUELS = 20

LONDON = Place(country="GB", latitude_tenths=515, longitude_tenths=-1, radius_km=20)
BUCHAREST = Place(country="RO", latitude_tenths=444, longitude_tenths=261, radius_km=20)
KILLED, FROZEN, DEMANDED = "account-quarantined", "money-frozen", "approval-demanded"

pytestmark = pytest.mark.contract


def _judged(*, kills: bool, at_s: int) -> Judged:
    london = Observation(at_s=at_s - 240, label="GB", place=LONDON, network="a", device="b")
    baseline = Baseline.of(london)
    seen = (
        Observation(at_s=at_s, label="RO", place=BUCHAREST, network="c", device="b")
        if kills
        else Observation(at_s=at_s, label=UNKNOWN, place=None, network="c", device="b")
    )
    verdict = judge.judge(judge.POLICY, baseline, seen)
    return Judged(baseline=baseline, observation=seen, verdict=verdict)


def _order(
    person: Person, family: Family, *, kills: bool = True, at_s: int | None = None
) -> Restraint:
    """Return what the gate orders of somebody it has seen just now."""
    seen = person.standing
    return Restraint(
        account=person.account,
        sid=family.sid,
        occasion="request",
        epoch=seen.epoch,
        judged=_judged(kills=kills, at_s=now() if at_s is None else at_s),
    )


def _restrain(order: Restraint) -> dict[str, Any]:
    return restraint.restrain(order, now_s=now())


def _told(person: Person) -> list[str]:
    kinds = [str(event["kind"]) for event in records.events(person.account)]
    told = [kind for kind in kinds if kind in {KILLED, FROZEN, DEMANDED}]
    assert len(records.verdicts(person.account)) == len(told)
    return told


def _set(product: Product, account: str, **values: int | str) -> None:
    """Change a standing around the product."""
    typed = {
        name: {"N" if isinstance(value, int) else "S": str(value)} for name, value in values.items()
    }
    product[0].call(
        "update_item",
        TableName=product[0].standing,
        Key={"pk": {"S": account}},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in typed),
        ExpressionAttributeNames={f"#{name}": name for name in typed},
        ExpressionAttributeValues={f":{name}": value for name, value in typed.items()},
    )


@pytest.fixture(params=[True, False], ids=["kill", "demand"])
def kills(request: pytest.FixtureRequest) -> bool:
    """Whether the verdict kills, or demands an approval."""
    return bool(request.param)


# Once


def test_one_order_is_one_act(person: Person, family: Family, *, kills: bool) -> None:
    """One transaction: the standing tightened, one event, one record that replays to itself."""
    before, order = person.standing, _order(person, family, kills=kills)
    assert _restrain(order) == DONE
    after = person.standing
    if kills:
        (at_s,) = after.quarantined_at
        assert now() - 5 <= at_s <= now()
        killed = replace(before, status=QUARANTINED, epoch=before.epoch + 1)
        assert after == replace(killed, quarantined_at=(at_s,))
    else:
        since = after.approval_required_since
        assert after == replace(before, approval_required_since=since)
        assert order.judged.observation.at_s <= since <= now()
    event = records.events(person.account)[-1]
    assert (event["kind"], event["sid"]) == (KILLED if kills else DEMANDED, family.sid)
    assert ("elapsed_s" in event) is kills
    record = records.verdicts(person.account)[int(event["sk"])]
    assert record == order.judged
    assert judge.judge(judge.POLICY, record.baseline, record.observation) == record.verdict


def test_the_same_order_again_is_success_and_changes_nothing(
    product: Product, person: Person, family: Family, *, kills: bool
) -> None:
    """What the SDK repeats after a lost answer is answered as done."""
    order = _order(person, family, kills=kills)
    assert _restrain(order) == DONE
    with unchanged(product[0]):
        for _ in range(3):
            assert _restrain(order) == DONE


def test_a_crowd_with_one_order_acts_once(person: Person, family: Family, *, kills: bool) -> None:
    """Thirty-two at once: all are told that it is done, one epoch or demand, one event."""
    before, order = person.standing, _order(person, family, kills=kills)
    with Race[dict[str, Any]](CROWD) as crowd:
        granted, _ = split(crowd.run(*[functools.partial(_restrain, order)] * CROWD))
    assert granted == [DONE] * CROWD
    assert _told(person) == [KILLED if kills else DEMANDED]
    assert person.standing.epoch == before.epoch + kills


def test_two_reasons_at_once_are_both_done(person: Person, family: Family) -> None:
    """A kill and a demand of one epoch: the kill is never lost, the epoch is raised once."""
    for _ in range(DUELS):
        one, session = Person.with_account(), family
        orders = [_order(one, session, kills=kills) for kills in (True, False)]
        with Race[dict[str, Any]](2) as duel:
            granted, _ = split(duel.run(*(functools.partial(_restrain, o) for o in orders)))
        assert granted == [DONE, DONE]
        assert (one.standing.status, one.standing.epoch) == (QUARANTINED, 2)
        assert _told(one) in ([KILLED], [DEMANDED, KILLED])
    assert person.standing.is_active


@pytest.mark.parametrize("by", [Loss.DROPPED, Loss.ERROR])
@pytest.mark.parametrize("forgetful", [False, True], ids=["remembered", "own-condition"])
def test_a_commit_whose_answer_is_lost_is_one_act(
    proxy: Proxy, person: Person, family: Family, *, kills: bool, by: Loss, forgetful: bool
) -> None:
    """The SDK's repetition meets its own work, and takes it for done."""
    proxy.without_idempotency, order = forgetful, _order(person, family, kills=kills)
    lost = proxy.lose_answer(TRANSACTION, by=by)
    assert _restrain(order) == DONE
    assert lost.hits == 1
    assert _told(person) == [KILLED if kills else DEMANDED]


def test_what_is_never_confirmed_is_no_success_and_done_at_the_next_try(
    proxy: Proxy, person: Person, family: Family, *, kills: bool
) -> None:
    """When every answer is lost nobody is told that it is done; a repetition finds it."""
    order = _order(person, family, kills=kills)
    proxy.lose_answer(TRANSACTION, times=ALWAYS)
    with pytest.raises(InfrastructureError):
        _restrain(order)
    proxy.heal()
    assert _restrain(order) == DONE
    assert _told(person) == [KILLED if kills else DEMANDED]


@pytest.mark.parametrize("operation", ["BatchGetItem", TRANSACTION])
def test_without_the_store_nothing_is_called_done(
    product: Product, proxy: Proxy, person: Person, family: Family, operation: Any, *, kills: bool
) -> None:
    """A failure is raised, so that the caller hears one."""
    order = _order(person, family, kills=kills)
    proxy.fail_before(operation, times=ALWAYS)
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        _restrain(order)


def test_events_of_others_are_waited_out(
    proxy: Proxy, person: Person, family: Family, *, kills: bool
) -> None:
    """Whoever takes the number of the event meanwhile delays the act, and never prevents it."""
    order = _order(person, family, kills=kills)
    taken = proxy.meanwhile(
        TRANSACTION,
        lambda: append(person.account, Event("second-factor-failing", {"failures": 5}), at_s=now()),
        matching=lambda body: "VERDICT#" in str(body),
        times=2,
    )
    assert _restrain(order) == DONE
    assert taken.hits == 2
    assert _told(person) == [KILLED if kills else DEMANDED]


# What has moved on


def _raised_epoch(product: Product, person: Person) -> None:
    records.kill(product[0], person.account)


def _quarantined(product: Product, person: Person) -> None:
    records.quarantine(product[0], person.account)


def _closed(product: Product, person: Person) -> None:
    records.restrict(product[0], person.account)


@pytest.mark.parametrize(
    "happen", [_raised_epoch, _quarantined, _closed], ids=lambda one: one.__name__.strip("_")
)
def test_an_account_that_has_moved_on_is_left_alone(
    product: Product,
    person: Person,
    family: Family,
    happen: Callable[[Product, Person], None],
    *,
    kills: bool,
) -> None:
    """A raised epoch, another's quarantine, an account that may not act: success, no change."""
    order = _order(person, family, kills=kills)
    happen(product, person)
    with unchanged(product[0]):
        assert _restrain(order) == DONE


def test_a_demand_that_is_younger_is_left_standing(
    product: Product, person: Person, family: Family
) -> None:
    """Another request's demand since the verdict serves this one, too."""
    order = _order(person, family, kills=False)
    _set(product, person.account, approval_required_since=now() + 5)
    with unchanged(product[0]):
        assert _restrain(order) == DONE


def test_a_demand_of_a_clock_that_is_ahead_is_never_lowered(
    product: Product, person: Person, family: Family
) -> None:
    """The gate saw a demand of a second ago by another clock: it stays as young as it is."""
    ahead_s = now() + 30
    _set(product, person.account, approval_required_since=ahead_s)
    order = _order(person, family, kills=False)
    with unchanged(product[0]):
        assert _restrain(order) == DONE
    assert person.standing.approval_required_since == ahead_s


def test_anomalies_of_one_minute_move_the_demand_and_are_told_once(
    person: Person, family: Family
) -> None:
    """Sixty in a minute: each moves the demand, at most two are told of, each with its verdict."""
    begin_s = now() - 120
    for at_s in range(begin_s, begin_s + 60):
        restraint.restrain(_order(person, family, kills=False, at_s=at_s), now_s=at_s)
        assert person.standing.approval_required_since == at_s
    assert 1 <= len(_told(person)) <= 2


def test_an_anomaly_of_the_next_minute_is_told_of(person: Person, family: Family) -> None:
    """Whoever goes on is told of again, in each minute."""
    first_s = (now() // TOLD_S - 3) * TOLD_S
    for at_s in (first_s, first_s + TOLD_S - 1, first_s + TOLD_S, first_s + 2 * TOLD_S):
        restraint.restrain(_order(person, family, kills=False, at_s=at_s), now_s=at_s)
    assert _told(person) == [DEMANDED] * 3
    assert person.standing.approval_required_since == first_s + 2 * TOLD_S


def test_a_demand_after_a_lift_of_this_minute_is_told_of(
    product: Product, person: Person, family: Family
) -> None:
    """What was lifted is no demand that somebody has heard of."""
    for at_s in (first_s := (now() // TOLD_S - 1) * TOLD_S, first_s + 1):
        restraint.restrain(_order(person, family, kills=False, at_s=at_s), now_s=at_s)
        _set(product, person.account, approval_required_since=0)
    assert _told(person) == [DEMANDED] * 2


def test_a_crowd_of_anomalies_leaves_the_youngest_demand(person: Person, family: Family) -> None:
    """Thirty-two of one minute at once: no demand but the youngest stands, and one is told of."""
    first_s = (now() // TOLD_S - 1) * TOLD_S
    deeds = [
        functools.partial(
            restraint.restrain, _order(person, family, kills=False, at_s=at_s), now_s=at_s
        )
        for at_s in range(first_s, first_s + CROWD)
    ]
    with Race[dict[str, Any]](CROWD) as crowd:
        granted, _ = split(crowd.run(*deeds))
    assert granted == [DONE] * CROWD
    assert person.standing.approval_required_since == first_s + CROWD - 1
    assert _told(person) == [DEMANDED]


def test_a_demand_that_was_lifted_after_the_verdict_is_made_again(
    product: Product, person: Person, family: Family
) -> None:
    """The owner's lift of an older demand lifts none of an anomaly that it did not know of."""
    _set(product, person.account, approval_required_since=now() - 600)
    order = _order(person, family, kills=False)
    _set(product, person.account, approval_required_since=0)
    assert _restrain(order) == DONE
    assert person.standing.approval_required_since >= order.judged.observation.at_s


def test_an_order_with_a_later_epoch_than_the_account_s_changes_nothing(
    product: Product, person: Person, family: Family, *, kills: bool
) -> None:
    """Nobody raises an epoch by naming one that it has not come to."""
    order = _order(person, family, kills=kills).model_copy(update={"epoch": 9})
    with unchanged(product[0]):
        assert _restrain(order) == DONE


def test_a_standing_that_moves_between_read_and_write_is_read_again(
    product: Product, proxy: Proxy, person: Person, family: Family, *, kills: bool
) -> None:
    """A kill that commits first makes the other one late, not double."""
    order = _order(person, family, kills=kills)
    moved = proxy.meanwhile(TRANSACTION, lambda: records.kill(product[0], person.account))
    assert _restrain(order) == DONE
    assert moved.hits == 1
    assert (person.standing.epoch, person.standing.status) == (order.epoch + 1, ACTIVE)
    assert _told(person) == []


def test_an_unknown_account_is_nobody_to_restrain(product: Product, *, kills: bool) -> None:
    """It is told as such, and nothing is made for it."""
    stranger = entropy.new_id()
    order = Restraint(
        account=stranger,
        sid=entropy.new_id(),
        occasion="request",
        epoch=1,
        judged=_judged(kills=kills, at_s=now()),
    )
    with unchanged(product[0]), pytest.raises(NoSuchAccountError):
        _restrain(order)


# The third quarantine of a day

DAY_S = 86_400


def _lifted(product: Product, person: Person) -> None:
    _set(product, person.account, status=ACTIVE)


def _quarantined_at(product: Product, person: Person, family: Family, *at_s: int) -> None:
    """Have the account killed at these times, and each quarantine lifted."""
    for one in at_s:
        restraint.restrain(_order(person, family, at_s=one), now_s=one)
        assert person.standing.is_quarantined
        _lifted(product, person)


def test_in_place_of_a_third_quarantine_of_a_day_money_is_frozen(
    product: Product, person: Person, family: Family
) -> None:
    """Every session dies as before; the owner signs in and reads, and no money goes out."""
    _quarantined_at(product, person, family, now() - 7_200, now() - 3_600)
    owner = person.sign_in()
    before = person.standing
    assert _restrain(_order(person, owner)) == DONE
    after = person.standing
    assert after == replace(before, epoch=before.epoch + 1, frozen_until=after.frozen_until)
    assert now() + FREEZE_S - 5 <= after.frozen_until <= now() + FREEZE_S
    assert _told(person) == [KILLED, KILLED, FROZEN]
    assert not is_admitted(owner.key, owner.access_token)
    again = person.sign_in()
    assert is_admitted(again.key, again.access_token)


def test_a_fourth_is_a_freeze_of_its_own(product: Product, person: Person, family: Family) -> None:
    """Whoever goes on kills every session again, and the day of the freeze begins anew."""
    at_s = now() - 100
    _quarantined_at(product, person, family, at_s - 200, at_s - 100)
    for later_s in (at_s, at_s + 60):
        restraint.restrain(_order(person, family, at_s=later_s), now_s=later_s)
        assert (person.standing.status, person.standing.frozen_until) == (
            ACTIVE,
            later_s + FREEZE_S,
        )
    assert _told(person) == [KILLED, KILLED, FROZEN, FROZEN]


def test_quarantines_of_another_day_do_not_count(
    product: Product, person: Person, family: Family
) -> None:
    """A second one within a day is a quarantine, however many there were before that."""
    at_s = now() - 10
    _quarantined_at(product, person, family, at_s - 2 * DAY_S, at_s - DAY_S, at_s - 60)
    restraint.restrain(_order(person, family, at_s=at_s), now_s=at_s)
    assert (person.standing.status, person.standing.quarantined_at) == (
        QUARANTINED,
        (at_s - 60, at_s),
    )
    assert _told(person) == [KILLED] * 4


def test_a_kill_in_a_quarantine_begins_no_other_one(
    product: Product, person: Person, family: Family
) -> None:
    """Stolen again while it could only lift: one quarantine, and it stays one."""
    for _ in range(3):
        assert _restrain(_order(person, family)) == DONE
        assert person.standing.is_quarantined
    assert len(person.standing.quarantined_at) == 1
    _lifted(product, person)
    assert _restrain(_order(person, family)) == DONE
    assert person.standing.is_quarantined


def test_a_longer_freeze_is_kept(product: Product, person: Person, family: Family) -> None:
    """What a recovery has frozen for longer stays frozen for longer."""
    _quarantined_at(product, person, family, now() - 200, now() - 100)
    until = now() + 2 * DAY_S
    _set(product, person.account, frozen_until=until)
    assert _restrain(_order(person, family)) == DONE
    assert (person.standing.frozen_until, person.standing.status) == (until, ACTIVE)


def test_a_crowd_at_the_third_freezes_once(
    product: Product, person: Person, family: Family
) -> None:
    """Sixty-four at once: one epoch, one event."""
    _quarantined_at(product, person, family, now() - 200, now() - 100)
    before, order = person.standing, _order(person, family)
    with Race[dict[str, Any]](2 * CROWD) as crowd:
        granted, _ = split(crowd.run(*[functools.partial(_restrain, order)] * (2 * CROWD)))
    assert granted == [DONE] * (2 * CROWD)
    assert _told(person) == [KILLED, KILLED, FROZEN]
    assert person.standing.epoch == before.epoch + 1


def test_an_order_from_before_a_quarantine_freezes_nothing(
    product: Product, person: Person, family: Family
) -> None:
    """It saw an older epoch: the quarantine since then is what it would have been."""
    _quarantined_at(product, person, family, now() - 200)
    late = _order(person, family)
    _quarantined_at(product, person, family, now() - 100)
    with unchanged(product[0]):
        assert _restrain(late) == DONE


# What it keeps


def test_a_freeze_stays_frozen(
    product: Product, person: Person, family: Family, *, kills: bool
) -> None:
    """Whatever a recovery has frozen stays so through any verdict."""
    until = now() + 80_000
    _set(product, person.account, frozen_until=until)
    assert _restrain(_order(person, family, kills=kills)) == DONE
    assert person.standing.frozen_until == until


def test_a_recovery_beside_a_kill_loses_neither(
    product: Product, proxy: Proxy, person: Person, family: Family
) -> None:
    """The epoch that a recovery raises meanwhile stands, and so does its freeze."""
    until = now() + 80_000

    def recovering() -> None:
        seen = person.standing
        dynamodb.execute(standing.raised(seen, frozen_until=until))

    order = _order(person, family)
    proxy.meanwhile(TRANSACTION, recovering, matching=lambda body: "VERDICT#" in str(body))
    assert _restrain(order) == DONE
    assert (person.standing.epoch, person.standing.frozen_until) == (order.epoch + 1, until)
    assert product


def test_a_quarantined_account_is_killed_again_and_stays_quarantined(
    product: Product, person: Person, family: Family
) -> None:
    """A session that was to lift, elsewhere: the epoch is raised, and there is one more event."""
    records.quarantine(product[0], person.account)
    before = person.standing
    assert _restrain(_order(person, family)) == DONE
    assert person.standing == replace(before, epoch=before.epoch + 1)
    assert _told(person) == [KILLED]


def test_a_demand_of_a_quarantined_account_outlives_its_lift(
    product: Product, person: Person, family: Family
) -> None:
    """It is written and told at once: whoever lifts the quarantine does not lift it."""
    records.quarantine(product[0], person.account)
    before, order = person.standing, _order(person, family, kills=False)
    assert _restrain(order) == DONE
    since = person.standing.approval_required_since
    assert person.standing == replace(before, approval_required_since=since)
    assert (since >= order.judged.observation.at_s, _told(person)) == (True, [DEMANDED])
    lift = Act(kind="lift-quarantine", fields=["yes"])
    owner = person.sign_in()
    approving.by_passkey(
        person.answer(owner, lift), principal=owner.principal("POST", "/approvals"), now_s=now()
    )
    assert person.standing == replace(before, status=ACTIVE, approval_required_since=since)


def test_a_kill_of_a_session_that_has_just_ended_kills_the_account_s_others(
    person: Person, family: Family
) -> None:
    """The key was elsewhere: that one session ended meanwhile is no reason to let others live."""
    order = _order(person, family)
    revocation.revoke(family.refresh_token, now_s=now())
    assert _restrain(order) == DONE
    assert person.standing.is_quarantined


def test_a_demand_never_stands_where_no_approval_reaches_it(person: Person, family: Family) -> None:
    """An order with a time of its own invention is a demand of now; the owner's passkey ends it."""
    for at_s in (10**12, now() + 86_400):
        assert _restrain(_order(person, family, kills=False, at_s=at_s)) == DONE
        since = person.standing.approval_required_since
        assert now() - 5 <= since <= now() + AHEAD_S_MAX
    approving.by_passkey(
        person.answer(family, Act(kind="lift-demand", fields=[]), at_s=since),
        principal=family.principal("POST", "/approvals", at_s=since),
        now_s=since,
    )
    assert person.standing.approval_required_since == 0


def test_no_order_ever_loosens(product: Product, family: Family) -> None:
    """From every standing, with every order: no lower epoch, demand or freeze, and no lift.

    Whatever moment it names, the demand then stands, and never beyond an approval's reach.
    """
    at_s = now()
    for status in (ACTIVE, QUARANTINED, "CLOSED"):
        for since in (0, at_s - 10, at_s + 10):
            for seen_at_s in (0, at_s, at_s + 5, 10**12):
                for kills in (True, False):
                    one = Person.with_account()
                    _set(
                        product,
                        one.account,
                        status=status,
                        epoch=5,
                        approval_required_since=since,
                        frozen_until=at_s + 99,
                    )
                    before = one.standing
                    _restrain(_order(one, family, kills=kills, at_s=seen_at_s))
                    _is_no_looser(one.standing, before)
                    if not kills and status != "CLOSED":
                        _is_demanded(one.standing, seen_at_s)


def _is_demanded(after: Standing, seen_at_s: int) -> None:
    assert after.approval_required_since >= min(seen_at_s, now())
    assert after.approval_required_since <= now() + AHEAD_S_MAX


def _is_no_looser(after: Standing, before: Standing) -> None:
    assert after.epoch in {before.epoch, before.epoch + 1}
    assert after.approval_required_since >= before.approval_required_since
    assert after.frozen_until == before.frozen_until
    assert after.status == before.status or (before.is_active and after.is_quarantined)


# As a function


HANDLER = lambdas.handler_at("functions/identity/restrain/handler.py")


def _invoke(order: Mapping[str, Any]) -> Any:
    return HANDLER(order, Context())


def test_the_function_takes_the_order_as_json(person: Person, family: Family) -> None:
    """What `ask` sends is what the handler reads."""
    assert _invoke(_order(person, family).model_dump(mode="json")) == DONE
    assert person.standing.is_quarantined


@pytest.mark.parametrize(
    "spoilt",
    [
        {"account": "LOCKDOWN"},
        {"account": "a"},
        {"account": None},
        {"sid": "somebody@example.test"},
        {"sid": ""},
        {"occasion": "whim"},
        {"epoch": "1"},
        {"epoch": None},
        {"judged": {}},
        {"status": "ACTIVE"},
        {"frozen_until": 0},
    ],
    ids=str,
)
def test_an_order_that_is_none_is_refused_and_changes_nothing(
    product: Product, person: Person, family: Family, spoilt: Mapping[str, Any]
) -> None:
    """Unknown members, other types and the lockdown's key: a problem, never an act."""
    order = _order(person, family).model_dump(mode="json") | dict(spoilt)
    with unchanged(product[0]):
        answer = _invoke(order)
    assert answer != DONE
    assert answer["type"] == "urn:portcullis:problem:invalid-body"


def test_no_text_of_a_caller_s_own_gets_into_an_event(
    product: Product, person: Person, family: Family
) -> None:
    """Whoever stole a role that judges can name reasons and a policy, and write no word."""
    order = _order(person, family).model_dump(mode="json")
    for name, text in (("policy", "Call +44 20 7946 0000"), ("reasons", ["call me"])):
        spoilt = {**order["judged"]["verdict"], name: text}
        lie = {**order, "judged": {**order["judged"], "verdict": spoilt}}
        with unchanged(product[0]):
            assert _invoke(lie)["type"] == "urn:portcullis:problem:invalid-body"


def test_an_unknown_account_is_an_answer_that_is_not_done(product: Product) -> None:
    """Whoever asks learns that nothing was restrained."""
    assert product
    order = Restraint(
        account=entropy.new_id(),
        sid=entropy.new_id(),
        occasion="refresh",
        epoch=1,
        judged=_judged(kills=True, at_s=now()),
    )
    assert _invoke(order.model_dump(mode="json"))["type"].endswith("no-such-account")


def test_what_it_logs_is_no_order(
    person: Person, family: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line says that it was done: no account, place, network or session."""
    order = _order(person, family)
    capsys.readouterr()
    assert _invoke(order.model_dump(mode="json")) == DONE
    written = capsys.readouterr().out
    assert '"done"' in written
    for hint in (person.account, family.sid, "RO", "444", "impossible-travel"):
        assert hint not in written
