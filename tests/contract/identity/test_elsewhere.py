"""Somebody elsewhere, under either choice of the policy, and while the account is quarantined."""

from typing import Any

import pytest

from portcullis.evidence.approvals import Act
from portcullis.identity import approving, judge, policy
from portcullis.identity.judge import Outcome, Reason
from portcullis.identity.standing import ACTIVE
from portcullis.settings import MissingSettingError
from portcullis.source import Source
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import ELSEWHERE, SOURCE, Family, Person, admit
from tests.contract.identity.watch import Traveller, Watch

CHOICES = sorted(policy.CHOICES)
CURL = "curl/8.9.0"
NOWHERE = Source.of(address="10.0.0.1", user_agent=SOURCE.user_agent)
"""An address that no database places."""

pytestmark = pytest.mark.contract


def _choose(monkeypatch: pytest.MonkeyPatch, choice: str, **changes: Any) -> None:
    """Deploy a choice, of a policy that differs from ours in some fields."""
    monkeypatch.setenv("IMPOSSIBLE_TRAVEL", choice)
    ours = policy.CHOICES[choice]
    monkeypatch.setitem(policy.CHOICES, choice, ours.model_copy(update=changes))


def _demands(account: str) -> list[dict[str, Any]]:
    """Return the events of demands; an account without one has no verdict either."""
    told = records.events(account)
    found = [event for event in told if event["kind"] == "approval-demanded"]
    assert len(records.verdicts(account)) == len(found)
    return found


# A sign-in


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("user_agent", [SOURCE.user_agent, CURL], ids=["alike", "another device"])
def test_a_sign_in_from_where_a_session_cannot_be_holds_money_back(
    person: Person,
    traveller: Traveller,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    user_agent: str,
) -> None:
    """Under either policy and on any device: one demand, whose only reason is the place."""
    _choose(monkeypatch, choice)
    watch.after(240)
    abroad = Source.of(address=ELSEWHERE.address, user_agent=user_agent)
    family = person.sign_in(at_s=watch.at_s, source=abroad)
    assert (person.standing.status, person.standing.approval_required_since) == (
        ACTIVE,
        watch.at_s,
    )
    (event,) = _demands(person.account)
    assert (event["occasion"], event["reasons"]) == ("sign-in", ["impossible-travel"])
    assert event["sid"] == traveller.family.sid != family.sid
    (record,) = records.verdicts(person.account).values()
    again = judge.judge(policy.CHOICES[choice], record.baseline, record.observation)
    assert (event["policy"], again) == (policy.CHOICES[choice].version, record.verdict)


@pytest.mark.parametrize("choice", CHOICES)
def test_another_device_at_home_is_not_elsewhere(
    person: Person,
    traveller: Traveller,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
) -> None:
    """A laptop beside a phone, even where a session that changes its device is killed."""
    assert traveller
    _choose(monkeypatch, choice, version="strict", device_changed=Outcome.KILL)
    watch.after(240)
    laptop = Source.of(address=SOURCE.address, user_agent=CURL)
    person.sign_in(at_s=watch.at_s, source=laptop)
    assert (person.standing.approval_required_since, _demands(person.account)) == (0, [])


def test_a_sign_in_elsewhere_is_judged_whatever_the_policy_makes_of_requests(
    person: Person, traveller: Traveller, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a policy that lets a session travel as it likes holds money back at a sign-in."""
    assert traveller
    _choose(monkeypatch, "kill", version="lax", impossible_travel=Outcome.ALLOW)
    person.sign_in(at_s=watch.at_s, source=ELSEWHERE)
    assert person.standing.approval_required_since == watch.at_s


@pytest.mark.parametrize("choice", ["", "allow", "KILL", "kill "])
def test_where_no_policy_of_ours_is_chosen_nobody_starts(
    person: Person,
    traveller: Traveller,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
) -> None:
    """A deployment without a choice of ours judges nobody, so nobody passes."""
    monkeypatch.setenv("IMPOSSIBLE_TRAVEL", choice)
    before = records.events(person.account)
    with pytest.raises((MissingSettingError, KeyError)):
        person.sign_in(at_s=watch.at_s)
    with pytest.raises((MissingSettingError, KeyError)):
        traveller.read()
    assert records.events(person.account) == before


# A request


def test_without_kills_a_session_elsewhere_reads_and_its_money_waits(
    person: Person, traveller: Traveller, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's choice: no quarantine, one demand, and the verdict says which policy."""
    _choose(monkeypatch, "step-up")
    watch.after(240)
    traveller.read(ELSEWHERE)
    traveller.read()
    assert (person.standing.status, person.standing.epoch) == (ACTIVE, 1)
    assert person.standing.approval_required_since == watch.at_s
    (event,) = _demands(person.account)
    assert event["policy"] == policy.WITHOUT_KILLS.version != judge.POLICY.version
    (record,) = records.verdicts(person.account).values()
    assert record.verdict.outcome is Outcome.STEP_UP
    assert Reason.IMPOSSIBLE_TRAVEL in record.verdict.reasons


# While the account is quarantined


def _lift(person: Person, family: Family, watch: Watch) -> None:
    answer = person.answer(family, Act(kind="lift-quarantine", fields=["yes"]), at_s=watch.at_s)
    principal = family.principal("POST", "/approvals", at_s=watch.at_s)
    assert approving.by_passkey(answer, principal=principal, now_s=watch.at_s) is None
    assert person.standing.is_active


def test_a_sign_in_from_elsewhere_into_a_quarantine_is_judged(
    product: Product, person: Person, watch: Watch
) -> None:
    """The owner's lift leaves the other's session alive, so it leaves the demand, too."""
    records.quarantine(product[0], person.account)
    owner = person.sign_in(at_s=watch.at_s)
    watch.after(60)
    person.sign_in(at_s=watch.at_s, source=ELSEWHERE)
    demanded_s = watch.at_s
    watch.after(1)
    _lift(person, owner, watch)
    assert person.standing.approval_required_since == demanded_s
    assert len(_demands(person.account)) == 1


def test_a_hidden_network_in_a_quarantine_is_not_forgotten_by_its_lift(
    product: Product, person: Person, watch: Watch
) -> None:
    """What a session shows while it may only lift counts like what it shows later."""
    records.quarantine(product[0], person.account)
    family = person.sign_in(at_s=watch.at_s)
    watch.after(5)
    demanded_s = watch.at_s
    admit(
        family.key,
        family.access_token,
        method="POST",
        path="/approvals/options",
        source=NOWHERE,
    )
    watch.after(1)
    _lift(person, family, watch)
    assert person.standing.approval_required_since == demanded_s
