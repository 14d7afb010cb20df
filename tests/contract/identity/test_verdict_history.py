"""What the product records of its verdicts is what a replay reads."""

from collections.abc import Sequence

import pytest

from infra import replay, verdicts
from infra.verdicts import WasYou
from portcullis.evidence.approvals import Act
from portcullis.identity import approving, judge, restraint
from portcullis.identity.judge import Outcome, Policy
from portcullis.identity.observations import Baseline, Observation, Place
from portcullis.identity.restraint import Judged, Occasion, Restraint
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Person, now

LONDON = Place(country="GB", latitude_tenths=515, longitude_tenths=-1, radius_km=20)
BUCHAREST = Place(country="RO", latitude_tenths=444, longitude_tenths=261, radius_km=20)

pytestmark = pytest.mark.contract


def restrain(person: Person, occasion: Occasion = "request") -> None:
    """Have the account restrained for a request from Bucharest, four minutes after London."""
    at_s, seen = now(), person.standing
    london = Observation(at_s=at_s - 240, label="GB", place=LONDON, network="a", device="b")
    baseline = Baseline.of(london)
    there = Observation(at_s=at_s, label="RO", place=BUCHAREST, network="c", device="b")
    verdict = judge.judge(judge.POLICY, baseline, there)
    order = Restraint(
        account=person.account,
        sid="s" * 26,
        occasion=occasion,
        epoch=seen.epoch,
        judged=Judged(baseline=baseline, observation=there, verdict=verdict),
    )
    restraint.restrain(order, now_s=at_s)


def lift(person: Person, was_you: WasYou) -> None:
    """Sign in again and lift the quarantine with the passkey."""
    family = person.sign_in()
    answer = person.answer(family, Act(kind="lift-quarantine", fields=[was_you]))
    principal = family.principal("POST", "/approvals")
    assert approving.by_passkey(answer, principal=principal, now_s=now()) is None


def history(product: Product, people: Sequence[Person]) -> verdicts.History:
    """Return what a replay reads of these accounts."""
    tables = product[0]
    client = tables.client()
    try:
        return verdicts.of_items(
            item
            for person in people
            for item in verdicts.items_of(client, tables.identity, person.account)
        )
    finally:
        client.close()


def test_what_was_recorded_replays_to_itself_and_has_its_owners_word(product: Product) -> None:
    """Quarantines that owners answered, one that nobody lifted, and a sign-in's demand."""
    people = [Person.with_account() for _ in range(4)]
    answers: tuple[WasYou, ...] = ("yes", "no")
    for person, was_you in zip(people[:2], answers, strict=True):
        restrain(person)
        lift(person, was_you)
    restrain(people[2])
    restrain(people[3], "sign-in")
    found = history(product, people)
    by_account = {one.account: one for one in found.verdicts}
    recorded = [by_account[one.account] for one in people]
    assert [one.quarantined for one in recorded] == [True, True, True, False]
    assert [one.occasion for one in recorded] == ["request"] * 3 + ["sign-in"]
    assert [found.truth(one) for one in recorded] == ["yes", "no", None, None]

    lenient = Policy(version="lenient", impossible_travel=Outcome.ALLOW)
    known = {judge.POLICY.version: judge.POLICY}
    for candidate, changed in ((judge.POLICY, 0), (lenient, 4)):
        rejudged = replay.replayed(found, candidate=candidate, in_force=known)
        assert sum(one.is_changed for one in rejudged) == changed


def test_an_account_without_verdicts_has_an_empty_history(product: Product) -> None:
    """Its other events are none, and neither are those of its neighbours."""
    quiet, killed = Person.with_account(), Person.with_account()
    quiet.sign_in()
    restrain(killed)
    assert history(product, [quiet]) == verdicts.History(verdicts=[], lifts=[])
