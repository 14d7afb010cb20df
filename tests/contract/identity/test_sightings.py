"""Sightings: what the gate remembers of a session, and that nothing holds a place back.

One person signs in in London; the product's clock stands still unless a test moves it.
"""

import functools
from collections.abc import Callable

import pytest

from portcullis.aws import dynamodb
from portcullis.identity import sightings, tables
from portcullis.identity.gate import SessionTerminatedError
from portcullis.identity.observations import Baseline
from portcullis.identity.sightings import Sightings
from portcullis.source import Source
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import ELSEWHERE, SOURCE, Family, Person
from tests.contract.identity.watch import Traveller, Watch
from tests.support.faults import Proxy

HOUR_S = 3_600
RELAY = Source.of(address="104.28.34.40", user_agent=SOURCE.user_agent)
"""An exit of iCloud Private Relay, which is nowhere."""
NOWHERE = Source.of(address="10.0.0.1", user_agent=SOURCE.user_agent)
NEIGHBOUR = Source.of(address="90.0.0.1", user_agent=SOURCE.user_agent)
CLIENTS = ("curl/8", "Wget/1", "python-requests/2", "Go-http-client/2", "Java/21", "Dart/3", "-")

pytestmark = pytest.mark.contract


def _remembered(family: Family) -> Sightings:
    return Sightings.from_item(dynamodb.get(tables.identity(), tables.sightings_key(family.sid)))


def _baseline(family: Family) -> Baseline:
    found = _remembered(family).baseline
    assert found is not None
    return found


def _told(account: str) -> list[str]:
    kinds = (str(event["kind"]) for event in records.events(account))
    return [kind for kind in kinds if kind not in {"account-opened", "session-started"}]


# A place is held back by nothing


@pytest.mark.parametrize("hidden", [RELAY, NOWHERE], ids=["relay", "unknown"])
def test_requests_without_a_place_hold_no_place_back(
    person: Person, traveller: Traveller, watch: Watch, hidden: Source
) -> None:
    """A web view on a relay asks every minute, the app 5 s later from London: London is due."""
    for minute in range(2 * 60):
        watch.after(55)
        (traveller.refresh if minute % 10 == 9 else traveller.read)(hidden)
        watch.after(5)
        traveller.read()
        last = _baseline(traveller.family).sights[-1]
        assert last.place.country == "GB"
        assert watch.at_s - last.at_s < sightings.LAG_S_MAX
    watch.after(235)
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    (record,) = (
        one for one in records.verdicts(person.account).values() if one.observation.label == "RO"
    )
    assert record.verdict.travel is not None
    assert record.verdict.travel.elapsed_s < 235 + sightings.LAG_S_MAX


def test_a_thief_who_takes_every_write_holds_no_place_back(
    traveller: Traveller, watch: Watch
) -> None:
    """Behind a VPN, every second another kind of client: the owner's minute is written."""
    begin_s = watch.at_s
    for second in range(3 * sightings.LAG_S_MAX):
        watch.after(1)
        agent = CLIENTS[second % len(CLIENTS)]
        traveller.read(Source.of(address=RELAY.address, user_agent=agent))
        traveller.read()
    last = _baseline(traveller.family).sights[-1]
    assert last.place.country == "GB"
    assert watch.at_s > begin_s + 2 * sightings.LAG_S_MAX
    assert watch.at_s - last.at_s < sightings.LAG_S_MAX


def test_a_thief_next_door_holds_no_place_back(traveller: Traveller, watch: Watch) -> None:
    """From a country within error, just before each minute of the owner's: London is due."""
    for _ in range(8):
        watch.after(55)
        traveller.read(NEIGHBOUR)
        watch.after(5)
        traveller.read()
        seen = {sight.place.country: sight.at_s for sight in _baseline(traveller.family).sights}
        assert watch.at_s - seen["GB"] < sightings.LAG_S_MAX


@pytest.mark.parametrize("came", [(RELAY, SOURCE), (SOURCE, RELAY)], ids=["relay's", "London's"])
def test_of_two_that_wake_at_once_neither_takes_the_others_place(
    proxy: Proxy, traveller: Traveller, watch: Watch, came: tuple[Source, Source]
) -> None:
    """London and a relay, read in one second and written by either last: both are remembered."""
    traveller.read(RELAY)
    watch.after(600)
    overtaken = proxy.meanwhile("UpdateItem", functools.partial(traveller.read, came[1]))
    traveller.read(came[0])
    assert overtaken.hits == 1
    assert _remembered(traveller.family).unplaced_at_s == watch.at_s
    assert [sight.at_s for sight in _baseline(traveller.family).sights] == [watch.at_s]


def test_a_new_label_is_not_forgotten_by_a_place_that_was_due(
    person: Person, proxy: Proxy, traveller: Traveller, watch: Watch
) -> None:
    """The first request by a relay, beside London's, written first: asked about once."""
    traveller.read()
    watch.after(600)
    overtaken = proxy.meanwhile("UpdateItem", functools.partial(traveller.read, RELAY))
    traveller.read()
    assert overtaken.hits == 1
    assert _baseline(traveller.family).labels == ("GB", "anonymous")
    demanded_s = person.standing.approval_required_since
    watch.after(90)
    traveller.read(RELAY)
    assert person.standing.approval_required_since == demanded_s


def test_a_place_is_remembered_though_another_has_shown_the_generation(
    proxy: Proxy, traveller: Traveller, watch: Watch
) -> None:
    """Both wake with the first token of the session, the relay's write comes first: so London's."""
    watch.after(600)
    overtaken = proxy.meanwhile("UpdateItem", functools.partial(traveller.read, RELAY))
    traveller.read()
    assert overtaken.hits == 1
    assert [sight.at_s for sight in _baseline(traveller.family).sights] == [watch.at_s]
    assert _remembered(traveller.family).generation == 1


@pytest.mark.parametrize("at", [SOURCE, RELAY], ids=["placed", "unplaced"])
def test_an_older_sight_never_replaces_a_younger(
    traveller: Traveller, watch: Watch, at: Source
) -> None:
    """A request that read first and writes last, with the older time, leaves no trace."""
    traveller.read(at)
    session, read_first = traveller.family.stored, _remembered(traveller.family)
    older = sightings.observe(at, now_s=watch.at_s + 600)
    younger = sightings.observe(at, now_s=watch.at_s + 601)
    sightings.record(session, read_first, younger)
    stands = _remembered(traveller.family)
    sightings.record(session, read_first, older)
    assert _remembered(traveller.family) == stands
    times = stands.baseline and [sight.at_s for sight in stands.baseline.sights]
    assert younger.at_s in (*(times or ()), stands.unplaced_at_s)


# A remembered time ahead of now


@pytest.mark.parametrize("at", [SOURCE, RELAY], ids=["placed", "unplaced"])
def test_a_time_ahead_of_the_clock_is_overwritten_and_alarmed(
    traveller: Traveller, watch: Watch, caplog: pytest.LogCaptureFixture, at: Source
) -> None:
    """One write twelve hours ahead does not disarm the session until then."""
    traveller.read(at)
    watch.after(12 * HOUR_S)
    sightings.record(  # as an environment whose clock runs ahead
        traveller.family.stored,
        _remembered(traveller.family),
        sightings.observe(at, now_s=watch.at_s),
    )
    watch.after(-12 * HOUR_S + 120)
    caplog.clear()
    traveller.read(at)
    assert "sighting-ahead-of-clock" in caplog.text
    remembered, (sight,) = _remembered(traveller.family), _baseline(traveller.family).sights
    assert watch.at_s == (remembered.unplaced_at_s if at is RELAY else sight.at_s)
    caplog.clear()
    traveller.read()
    watch.after(240)
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    assert "sighting-ahead-of-clock" not in caplog.text


@pytest.mark.parametrize("early_s", [1, 60])
def test_a_time_ahead_by_no_more_than_clocks_differ_is_kept(
    traveller: Traveller, watch: Watch, caplog: pytest.LogCaptureFixture, early_s: int
) -> None:
    """Environments' clocks differ: a sight within the policy's skew stands, and is no alarm."""
    watch.after(600)
    traveller.read()
    before = _remembered(traveller.family)
    watch.after(-early_s)
    caplog.clear()
    traveller.read()
    assert _remembered(traveller.family) == before
    assert caplog.text == ""


# What is unreadable


@pytest.mark.parametrize(
    "broken",
    [
        {"sights": "[]"},
        {"sights": '{"sights": [{"at_s": 1, "hint": "81.2.69.142"}]}'},
        {"known": '{"labels": ["GB"], "devices": ["x"], "more": 1}'},
        {"known": "not JSON"},
    ],
    ids=["no object", "another sight", "one more", "no JSON"],
)
def test_what_cannot_be_read_demands_an_approval_once_and_is_written_anew(
    product: Product,
    person: Person,
    traveller: Traveller,
    caplog: pytest.LogCaptureFixture,
    broken: dict[str, str],
) -> None:
    """After a rollback, or of a stolen gate's making: alarmed without its text, no 503 for ever."""
    records.remember(product[0], traveller.family.sid, **broken)
    caplog.clear()
    traveller.read()
    assert "baseline-unreadable" in caplog.text
    assert "81.2.69" not in repr([vars(one) for one in caplog.records])
    assert _told(person.account) == ["approval-demanded"]
    caplog.clear()
    traveller.read()
    assert "baseline-unreadable" not in caplog.text
    assert _told(person.account) == ["approval-demanded"]


# Who hops


def test_a_hop_in_between_hides_no_journey(person: Person, watch: Watch) -> None:
    """Paris, Rome, Bucharest in 10 s: Rome is within error of both, and Paris is remembered."""
    traveller = Traveller(person, watch, at=NEIGHBOUR)
    watch.after(5)
    traveller.read(Source.of(address="2.32.0.1", user_agent=SOURCE.user_agent))
    watch.after(5)
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)


type Come = Callable[[Traveller, Source], object]


@pytest.mark.parametrize("come", [Traveller.read, Traveller.write, Traveller.refresh])
def test_what_demanded_an_approval_is_remembered_within_the_minute(
    traveller: Traveller, watch: Watch, come: Come
) -> None:
    """The next request from there is no new ground, whatever else is due."""
    watch.after(5)
    come(traveller, NEIGHBOUR)
    assert [sight.place.country for sight in _baseline(traveller.family).sights] == ["GB", "FR"]
