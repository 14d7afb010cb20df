"""Continuous evaluation: what a request from elsewhere does to its session, and to nobody else's.

One person signs in and reads in London; then somebody shows the same tokens, with proofs by the
same key, from another place. The product's clock stands still unless a test moves it.
"""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Never

import pytest

from portcullis import clock
from portcullis.aws import clients, dynamodb
from portcullis.errors import InfrastructureError
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import InvalidProofError, InvalidTokenError, ProofReplayedError
from portcullis.identity import assurance, gate, judge, nonces, revocation, sightings, tables
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.gate import SessionEndedError, SessionTerminatedError
from portcullis.identity.judge import Outcome
from portcullis.identity.observations import Baseline
from portcullis.identity.sightings import Sightings
from portcullis.identity.standing import (
    ACTIVE,
    LIFTING,
    QUARANTINED,
    AccountQuarantinedError,
    Standing,
)
from portcullis.settings import setting
from portcullis.source import Source
from tests.contract.conftest import RESTRAINER
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    ELSEWHERE,
    SOURCE,
    TOKEN,
    WALLETS,
    Family,
    Person,
    admit,
    proof_of,
)
from tests.contract.identity.race import Race
from tests.contract.identity.records import unchanged
from tests.contract.identity.watch import Traveller, Watch
from tests.support import jws
from tests.support.dpop import ProofKey
from tests.support.functions import Functions

HOUR_S = 3_600
NEIGHBOUR = Source.of(address="90.0.0.1", user_agent=SOURCE.user_agent)
"""In France, whose coast could be where the client in the United Kingdom is."""
NOWHERE = Source.of(address="10.0.0.1", user_agent=SOURCE.user_agent)
"""An address that no database places."""
OTHER_DEVICE = Source.of(address=SOURCE.address, user_agent="curl/8.9.0")
ROAMING = Source.of(address="81.2.70.1", user_agent=SOURCE.user_agent)
"""Another network of the same country."""
UPDATED = Source.of(address=SOURCE.address, user_agent=SOURCE.user_agent.replace("145.0", "146.0"))
NEW = {
    "place": (NEIGHBOUR, ["new-place"]),
    "unknown": (NOWHERE, ["unknown-place"]),
    "device": (OTHER_DEVICE, ["same-network", "device-changed"]),
}
"""What demands an approval, once, and why."""

CROWD_S = 60.0
"""However busy the machine is, a crowd waits: a time-out would be another story."""

type Come = Callable[[Traveller, Source], object]

pytestmark = pytest.mark.contract


def _kinds(account: str) -> list[str]:
    """Return what was told of an account beyond its opening and its sign-ins."""
    told = [str(event["kind"]) for event in records.events(account)]
    return [kind for kind in told if kind not in {"account-opened", "session-started"}]


def _baseline(family: Family) -> Baseline:
    item = dynamodb.get(tables.identity(), tables.sightings_key(family.sid))
    found = Sightings.from_item(item).baseline
    assert found is not None
    return found


def _is_killed(person: Person, before: Standing, *sids: str) -> None:
    """Demand one kill, for one of these sessions: standing, event, record."""
    standing = person.standing
    assert (standing.status, standing.epoch) == (QUARANTINED, before.epoch + 1)
    assert standing.frozen_until == before.frozen_until
    assert standing.approval_required_since == before.approval_required_since
    told = records.events(person.account)
    (event,) = (one for one in told if one["kind"] in KILLED)
    assert event["sid"] in sids
    assert event["reasons"] == ["impossible-travel"]
    judged = {int(one["sk"]) for one in told if one["kind"] in {*KILLED, *DEMANDED}}
    assert set(records.verdicts(person.account)) == judged


KILLED = {"account-quarantined"}
DEMANDED = ["approval-demanded"]

COMING: dict[str, tuple[Come, type[Exception]]] = {
    "GET": (Traveller.read, SessionTerminatedError),
    "POST": (Traveller.write, SessionTerminatedError),
    "refresh": (Traveller.refresh, InvalidGrantError),
}


# The kill


@pytest.mark.parametrize("how", COMING)
def test_bucharest_four_minutes_after_six_hours_of_london_is_killed(
    person: Person, traveller: Traveller, watch: Watch, how: str
) -> None:
    """Refused, quarantined, told once with its numbers, recorded; and London is dead as well."""
    come, refusal = COMING[how]
    traveller.live_for(6)
    before = person.standing
    assert (before.status, before.approval_required_since, _kinds(person.account)) == (
        ACTIVE,
        0,
        [],
    )
    watch.after(240)
    with pytest.raises(refusal):
        come(traveller, ELSEWHERE)

    _is_killed(person, before, traveller.family.sid)
    (event,) = (one for one in records.events(person.account) if one["kind"] in KILLED)
    assert (event["elapsed_s"], event["at"], event["policy"]) == (
        240,
        watch.at_s,
        judge.POLICY.version,
    )
    assert event["distance_km"] in range(1_800, 2_600)
    # What both databases' errors cannot explain still takes more than an hour to fly.
    assert event["beyond_error_km"] in range(1_000, event["distance_km"])
    assert event["occasion"] == ("refresh" if how == "refresh" else "request")

    (record,) = records.verdicts(person.account).values()
    assert judge.judge(judge.POLICY, record.baseline, record.observation) == record.verdict
    assert (record.verdict.outcome, record.observation.at_s) == (Outcome.KILL, watch.at_s)
    assert (record.baseline.labels, record.observation.label) == (("GB",), "RO")

    with pytest.raises(SessionTerminatedError):
        traveller.read()
    with pytest.raises(InvalidGrantError):
        traveller.refresh()
    _is_killed(person, before, traveller.family.sid)


def test_an_event_of_a_kill_tells_no_place(
    product: Product, person: Person, traveller: Traveller
) -> None:
    """Events hold ids, codes and numbers: no address, country, network name or User-Agent."""
    assert product
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    (event,) = (one for one in records.events(person.account) if one["kind"] in KILLED)
    assert set(event) == {
        "pk",
        "sk",
        "kind",
        "at",
        "ttl",
        "sid",
        "occasion",
        "reasons",
        "policy",
        "distance_km",
        "beyond_error_km",
        "elapsed_s",
    }
    (record,) = records.verdicts(person.account).values()
    networks = (record.observation.network, *(one.network for one in record.baseline.sights))
    assert len(networks) == 2
    for hint in (*networks, "Gecko", "RO", "GB"):
        assert hint not in {str(value) for value in event.values()}
    assert ELSEWHERE.address.encode() not in b"\n".join(records.blobs(product[0]))


def test_every_session_of_the_account_dies_and_nobody_elses(
    person: Person, traveller: Traveller, watch: Watch
) -> None:
    """The kill of one session ends the account's others, and touches no other account."""
    beside = Traveller(person, watch)
    stranger = Person.with_account()
    strangers = Traveller(stranger, watch)
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    with pytest.raises(SessionTerminatedError):
        beside.read()
    with pytest.raises(InvalidGrantError):
        beside.refresh()
    strangers.read()
    assert (stranger.standing.epoch, _kinds(stranger.account)) == (1, [])


def test_a_session_is_judged_by_its_sign_in_before_the_gate_has_seen_it(
    person: Person, traveller: Traveller, watch: Watch
) -> None:
    """A minute after the sign-in somebody comes from elsewhere first of all, and is killed."""
    before = person.standing
    watch.after(60)
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    _is_killed(person, before, traveller.family.sid)


@pytest.mark.parametrize("early_s", [0, 59])
def test_clocks_that_differ_by_less_than_a_minute_excuse_no_travel(
    person: Person, traveller: Traveller, watch: Watch, early_s: int
) -> None:
    """At the same second, or a little before it by another environment's clock: killed."""
    before = person.standing
    watch.after(120)
    traveller.read()
    watch.after(-early_s)
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    _is_killed(person, before, traveller.family.sid)


def test_the_thief_first_the_owner_is_the_one_who_is_refused(
    person: Person, traveller: Traveller, watch: Watch
) -> None:
    """After a night without a request Bucharest could be a journey; London right after is none."""
    watch.after(8 * HOUR_S)
    traveller.refresh(ELSEWHERE)
    assert (person.standing.status, _kinds(person.account)) == (ACTIVE, DEMANDED)
    before = person.standing
    with pytest.raises(SessionTerminatedError):
        traveller.read()
    _is_killed(person, before, traveller.family.sid)


# Crowds


@dataclass(frozen=True)
class Visit:
    """One request: when it began, and whether it passed."""

    began: float
    passed: bool


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that wait, for they are made after this."""
    monkeypatch.setattr(clients, "READ_TIMEOUT_S", CROWD_S)
    monkeypatch.setattr(clients, "CONNECT_TIMEOUT_S", CROWD_S)
    monkeypatch.setattr(clients, "INVOCATION_TIMEOUT_S", CROWD_S)


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each kill was known to be committed."""
    times: list[float] = []
    execute = dynamodb.execute

    def noting(*statements: Any) -> None:
        execute(*statements)
        if any(QUARANTINED in one.values for one in statements):
            times.append(time.monotonic())

    monkeypatch.setattr(dynamodb, "execute", noting)
    return times


def _visits(traveller: Traveller, come: Come, at: Source, times: int) -> list[Visit]:
    visits = []
    for _ in range(times):
        began = time.monotonic()
        try:
            come(traveller, at)
            visits.append(Visit(began, passed=True))
        except SessionTerminatedError:
            visits.append(Visit(began, passed=False))
    return visits


@pytest.mark.parametrize(("size", "times"), [(16, 12), (64, 4)])
@pytest.mark.usefixtures("patient")
def test_of_a_crowd_half_here_and_half_there_one_kill_comes_and_nobody_after_it(
    committed: list[float], person: Person, watch: Watch, size: int, times: int
) -> None:
    """One event, one record, one epoch; what began after the commit is refused, without exception.

    Nobody passes from elsewhere at all.
    """
    before, traveller = person.standing, Traveller(person, watch)
    places = [(SOURCE, ELSEWHERE)[one % 2] for one in range(size)]
    ways = [(Traveller.read, Traveller.write)[one // 2 % 2] for one in range(size)]
    with Race[list[Visit]](size) as crowd:
        outcomes = crowd.run(
            *(
                functools.partial(_visits, traveller, come, at, times)
                for come, at in zip(ways, places, strict=True)
            )
        )
    visits = _told(outcomes)
    _is_killed(person, before, traveller.family.sid)
    (kill,) = committed
    late = [one for place in visits for one in place if one.passed and one.began > kill]
    assert late == []
    elsewhere = [
        one for at, place in zip(places, visits, strict=True) if at is ELSEWHERE for one in place
    ]
    assert [one for one in elsewhere if one.passed] == []
    assert any(one.began > kill for place in visits for one in place), "the crowd left too early"


def _told(outcomes: Sequence[list[Visit] | Exception]) -> list[list[Visit]]:
    visits = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        visits.append(outcome)
    return visits


@pytest.mark.usefixtures("patient")
def test_sessions_that_are_judged_at_once_are_killed_as_one_account(
    committed: list[float], person: Person, watch: Watch
) -> None:
    """Eight sessions of one account, each elsewhere at once: one kill, one event, all dead."""
    before = person.standing
    travellers = [Traveller(person, watch) for _ in range(8)]
    with Race[list[Visit]](8) as crowd:
        outcomes = crowd.run(
            *(functools.partial(_visits, one, Traveller.read, ELSEWHERE, 1) for one in travellers)
        )
    assert not any(one.passed for visits in _told(outcomes) for one in visits)
    _is_killed(person, before, *(one.family.sid for one in travellers))
    assert len(committed) == 1


@pytest.mark.usefixtures("patient")
def test_a_crowd_at_a_new_place_is_told_of_once(person: Person, watch: Watch) -> None:
    """Sixteen first requests from a new place at one moment: all pass, one demand, one event."""
    traveller = Traveller(person, watch)
    with Race[AccessToken](16) as crowd:
        outcomes = crowd.run(*[functools.partial(traveller.read, NEIGHBOUR)] * 16)
    assert [one for one in outcomes if not isinstance(one, AccessToken)] == []
    assert person.standing.approval_required_since == watch.at_s
    assert _kinds(person.account) == DEMANDED


# When restraint is not to be had


def _fails(functions: Functions) -> None:
    functions.failing.add(RESTRAINER)


def _is_throttled(functions: Functions) -> None:
    functions.throttled.add(RESTRAINER)


def _is_absent(functions: Functions) -> None:
    del functions.handlers[RESTRAINER]


def _answers(answer: Any, functions: Functions) -> None:
    functions.handlers[RESTRAINER] = lambda _event, _context: answer


def _raises(functions: Functions) -> None:
    def handler(_event: Any, _context: Any) -> Never:
        raise ZeroDivisionError("86.120.0.10")

    functions.handlers[RESTRAINER] = handler


DOWN: dict[str, Callable[[Functions], None]] = {
    "down": _fails,
    "throttled": _is_throttled,
    "absent": _is_absent,
    "crashing": _raises,
    "nothing": functools.partial(_answers, None),
    "no object": functools.partial(_answers, [{"restrained": True}]),
    "an empty object": functools.partial(_answers, {}),
    "a denial": functools.partial(_answers, {"restrained": False}),
    "something like it": functools.partial(_answers, {"restrained": 1, "and": "more"}),
    "a refusal": functools.partial(_answers, {"type": "urn:portcullis:problem:no-such-account"}),
}


@pytest.fixture(params=DOWN)
def down(request: pytest.FixtureRequest, functions: Functions) -> Callable[[], None]:
    """Lambda without a restraining function that works; return what brings it back."""
    handler = functions.handlers[RESTRAINER]
    DOWN[request.param](functions)

    def back() -> None:
        functions.failing.clear()
        functions.throttled.clear()
        functions.handlers[RESTRAINER] = handler

    return back


@pytest.mark.parametrize("how", COMING)
def test_a_kill_that_fails_refuses_all_the_same_and_is_tried_again(
    product: Product,
    person: Person,
    traveller: Traveller,
    down: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    """Refused, alarmed, nothing else logged and nothing changed; the next request kills."""
    before, (come, refusal) = person.standing, COMING[how]
    caplog.clear()
    with unchanged(product[0], but={"PROOF"}), pytest.raises(refusal):
        come(traveller, ELSEWHERE)
    (alarm,) = caplog.records
    assert (alarm.levelname, alarm.getMessage()) == ("WARNING", "kill-failed")
    assert ELSEWHERE.address not in repr(vars(alarm))
    down()
    with pytest.raises(refusal):
        come(traveller, ELSEWHERE)
    _is_killed(person, before, traveller.family.sid)


def test_a_kill_whose_answer_is_lost_has_killed(
    person: Person, functions: Functions, traveller: Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    """It is repeated by the SDK, alarmed, told once; the next request meets the raised epoch."""
    before = person.standing
    functions.losing.add(RESTRAINER)
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    assert functions.calls[RESTRAINER] == clients.ATTEMPTS_MAX
    assert "kill-failed" in caplog.text
    _is_killed(person, before, traveller.family.sid)
    for at in (SOURCE, ELSEWHERE):
        with pytest.raises(SessionTerminatedError):
            traveller.read(at)
    assert functions.calls[RESTRAINER] == clients.ATTEMPTS_MAX


def _hanging(functions: Functions) -> threading.Event:
    """Let the restraining function answer only once the returned event is set."""
    handler, release = functions.handlers[RESTRAINER], threading.Event()

    def waiting(event: Any, context: Any) -> Any:
        release.wait(CROWD_S)
        return handler(event, context)

    functions.handlers[RESTRAINER] = waiting
    return release


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of Lambda that gives up soon."""
    monkeypatch.setattr(clients, "INVOCATION_TIMEOUT_S", 0.2)
    clients._client.cache_clear()


def test_a_kill_that_does_not_answer_in_time_refuses_and_is_alarmed(
    person: Person,
    functions: Functions,
    traveller: Traveller,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    """The caller gives up and refuses; what it had asked for may still come, and comes once."""
    before = person.standing
    release = _hanging(functions)
    request.getfixturevalue("hurried")
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    assert "kill-failed" in caplog.text
    assert person.standing == before
    release.set()
    deadline = time.monotonic() + CROWD_S
    while person.standing == before and time.monotonic() < deadline:
        time.sleep(0.01)
    _is_killed(person, before, traveller.family.sid)
    with pytest.raises(SessionTerminatedError):
        traveller.read()


@pytest.mark.parametrize("how", COMING)
@pytest.mark.parametrize("new", NEW)
def test_without_the_demand_nothing_passes_and_nothing_is_recorded(
    product: Product,
    person: Person,
    traveller: Traveller,
    down: Callable[[], None],
    how: str,
    new: str,
) -> None:
    """A step-up that cannot be done is no pass: 503, no sight, no rotation; then it is demanded."""
    (come, _), (at, reasons) = COMING[how], NEW[new]
    with unchanged(product[0], but={"PROOF"}), pytest.raises(InfrastructureError):
        come(traveller, at)
    down()
    come(traveller, at)
    assert _kinds(person.account) == DEMANDED
    (record,) = records.verdicts(person.account).values()
    assert list(record.verdict.reasons) == reasons


def test_a_step_up_does_not_pass_before_the_demand_stands(
    person: Person, functions: Functions, traveller: Traveller, watch: Watch
) -> None:
    """While restraint is at work the request waits, and no sight says that it passed."""
    release, passed = _hanging(functions), threading.Event()

    def come() -> None:
        traveller.read(NEIGHBOUR)
        passed.set()

    request = threading.Thread(target=come)
    request.start()
    while functions.calls[RESTRAINER] == 0:
        time.sleep(0.01)
    assert not passed.wait(0.3)
    assert person.standing.approval_required_since == 0
    assert _baseline(traveller.family).labels == ("GB",)
    release.set()
    request.join(CROWD_S)
    assert passed.is_set()
    assert person.standing.approval_required_since == watch.at_s


# What is replayed, forged or over


def _tried(*, key: ProofKey, token: str, proof: str | None = None, method: str = "POST") -> None:
    url, at_s = setting("PUBLIC_ORIGIN") + WALLETS, clock.now_s()
    gate.admit(
        authorization=f"DPoP {token}",
        proof=proof
        or key.proof(method, url, access_token=token, nonce=nonces.current(at_s), now=at_s),
        method=method,
        path=WALLETS,
        resource=WALLETS,
        source=ELSEWHERE,
    )


@pytest.fixture
def nothing_happens(product: Product, functions: Functions, traveller: Traveller) -> Any:
    """A watch over tables and functions: neither a write, nor an invocation, meanwhile."""
    assert traveller

    def begin() -> Callable[[], None]:
        items, calls = records.everything(product[0]), functions.calls[RESTRAINER]

        def end() -> None:
            assert records.everything(product[0]) == items
            assert functions.calls[RESTRAINER] == calls

        return end

    return begin


def test_a_replayed_request_from_elsewhere_kills_nobody(
    person: Person, traveller: Traveller, watch: Watch, nothing_happens: Any
) -> None:
    """Who copied an unsafe request off the wire can replay it from anywhere: 401, and no more."""
    family, at_s = traveller.family, watch.at_s
    proof = family.key.proof(
        "POST",
        setting("PUBLIC_ORIGIN") + WALLETS,
        access_token=family.access_token,
        nonce=nonces.current(at_s),
        now=at_s,
    )
    gate.admit(
        authorization=f"DPoP {family.access_token}",
        proof=proof,
        method="POST",
        path=WALLETS,
        resource=WALLETS,
        source=SOURCE,
    )
    end = nothing_happens()
    for _ in range(2):
        with pytest.raises(ProofReplayedError):
            _tried(key=family.key, token=family.access_token, proof=proof)
    end()
    assert person.standing.is_active
    traveller.write()


def test_a_replayed_refresh_from_elsewhere_kills_nobody(
    traveller: Traveller, watch: Watch, nothing_happens: Any
) -> None:
    """Token and proof of a refresh, copied and shown from elsewhere: refused, nothing changes."""
    family = traveller.family
    proof = proof_of(family.key, TOKEN, at_s=watch.at_s)
    family.refresh(proof=proof, at_s=watch.at_s)
    end = nothing_happens()
    with pytest.raises(ProofReplayedError):
        family.refresh(proof=proof, at_s=watch.at_s, source=ELSEWHERE)
    end()


def test_a_proof_used_for_another_token_from_elsewhere_kills_nobody(
    person: Person, watch: Watch, nothing_happens: Any
) -> None:
    """A used proof with a current refresh token of the same key is a replay before it is judged."""
    used = proof_of(person.key, TOKEN, at_s=watch.at_s)
    one, other = person.session_at(1), person.session_at(1)
    one.refresh(proof=used, at_s=watch.at_s)
    other.refresh(at_s=watch.at_s)
    end = nothing_happens()
    with pytest.raises(ProofReplayedError):
        other.refresh(proof=used, at_s=watch.at_s, source=ELSEWHERE)
    end()


def test_who_does_not_hold_the_key_is_not_judged(
    product: Product, traveller: Traveller, watch: Watch, nothing_happens: Any
) -> None:
    """A wrong key, a forged token or an expired one from elsewhere: refused, nothing changes."""
    family, thief = traveller.family, ProofKey()
    token, at_s = family.access_token, watch.at_s
    own = product[1].signing_key("access-token")
    claims, header = jws.claims_of(token), jws.header_of(token)
    expired = jws.sign(header, {**claims, "iat": at_s - 901, "exp": at_s - 1}, own)
    forged = jws.sign(header, claims, jws.new_key())
    bound = jws.sign(header, {**claims, "cnf": {"jkt": thief.jkt}}, own)
    end = nothing_happens()
    for method in ("GET", "POST"):
        with pytest.raises(InvalidProofError):
            _tried(key=thief, token=token, method=method)
        for wrong in (expired, forged):
            with pytest.raises(InvalidTokenError):
                _tried(key=family.key, token=wrong, method=method)
    with pytest.raises(InvalidTokenError):
        _tried(key=thief, token=bound, method="GET")
    with pytest.raises(InvalidGrantError):
        family.refresh(key=thief, at_s=at_s, source=ELSEWHERE)
    end()


def test_an_ended_session_is_not_judged(traveller: Traveller, nothing_happens: Any) -> None:
    """Whoever shows what is left of an ended session, from wherever, harms nobody."""
    revocation.revoke(traveller.family.refresh_token, now_s=clock.now_s())
    end = nothing_happens()
    with pytest.raises(SessionEndedError):
        traveller.read(ELSEWHERE)
    with pytest.raises(InvalidGrantError):
        traveller.refresh(ELSEWHERE)
    end()


def test_a_session_of_an_older_epoch_is_not_judged(
    product: Product, person: Person, traveller: Traveller, nothing_happens: Any
) -> None:
    """The tokens that a kill left behind kill nothing again, and demand nothing."""
    records.kill(product[0], person.account)
    end = nothing_happens()
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    with pytest.raises(InvalidGrantError):
        traveller.refresh(ELSEWHERE)
    end()


def test_a_spent_refresh_token_from_elsewhere_ends_its_session_and_is_no_travel(
    person: Person, traveller: Traveller, watch: Watch, functions: Functions
) -> None:
    """Reuse has its own answer: one session ends; the account is not quarantined for it."""
    spent = traveller.family
    traveller.refresh()
    traveller.refresh()
    with pytest.raises(InvalidGrantError):
        spent.refresh(at_s=watch.at_s, source=ELSEWHERE)
    assert records.ends(person.account, spent.sid) == ["refresh-token-reused"]
    assert person.standing.is_active
    assert functions.calls[RESTRAINER] == 0


# The step-up


@pytest.mark.parametrize("how", COMING)
@pytest.mark.parametrize("new", NEW)
def test_what_is_new_demands_an_approval_once_and_is_known_from_then_on(
    product: Product,
    person: Person,
    functions: Functions,
    traveller: Traveller,
    watch: Watch,
    new: str,
    how: str,
) -> None:
    """The request passes; the demand is as young as it; the next ones there demand nothing."""
    (come, _), (at, reasons) = COMING[how], NEW[new]
    watch.after(100)
    come(traveller, at)
    standing = person.standing
    assert (standing.status, standing.epoch) == (ACTIVE, 1)
    assert standing.approval_required_since == watch.at_s
    (event,) = (one for one in records.events(person.account) if one["kind"] in DEMANDED)
    assert (event["sid"], event["reasons"]) == (traveller.family.sid, reasons)
    (record,) = records.verdicts(person.account).values()
    assert judge.judge(judge.POLICY, record.baseline, record.observation) == record.verdict
    for source in (at, SOURCE, at):
        watch.after(100)
        for method in (Traveller.read, Traveller.write, Traveller.refresh):
            method(traveller, source)
    assert functions.calls[RESTRAINER] == 1
    assert person.standing == standing
    assert product


@pytest.mark.parametrize("source", [ROAMING, UPDATED], ids=["network", "browser"])
def test_another_network_at_home_and_a_new_version_demand_nothing(
    person: Person, functions: Functions, traveller: Traveller, source: Source
) -> None:
    """A phone that changes networks in its country, and a browser's update: allowed in silence."""
    for come, _ in COMING.values():
        come(traveller, source)
    assert (functions.calls[RESTRAINER], _kinds(person.account)) == (0, [])
    assert person.standing.approval_required_since == 0


def test_a_second_anomaly_raises_the_demand(
    person: Person, traveller: Traveller, watch: Watch
) -> None:
    """What an approval answered before another anomaly is not enough after it."""
    traveller.read(NEIGHBOUR)
    first = person.standing.approval_required_since
    watch.after(60)
    traveller.read(OTHER_DEVICE)
    assert person.standing.approval_required_since == first + 60
    assert _kinds(person.account) == [*DEMANDED, *DEMANDED]


def test_two_devices_in_two_countries_are_two_sessions(
    person: Person, functions: Functions, traveller: Traveller, watch: Watch
) -> None:
    """For an hour one session lives in London and one in Bucharest: nothing but allow."""
    abroad = Traveller(person, watch, at=ELSEWHERE)
    calls, before = functions.calls[RESTRAINER], person.standing
    for _ in range(6):
        watch.after(600)
        for device, at in ((traveller, SOURCE), (abroad, ELSEWHERE)):
            device.read(at)
            device.write(at)
            device.refresh(at)
    assert functions.calls[RESTRAINER] == calls
    assert person.standing == before


def test_a_second_retry_within_five_generations_demands_an_approval(
    person: Person, traveller: Traveller, watch: Watch
) -> None:
    """One lost answer is an accident; two in five generations are told, and money waits."""
    traveller.retry()
    assert person.standing.approval_required_since == 0
    for _ in range(3):
        traveller.refresh()
    watch.after(10)
    traveller.retry()
    assert person.standing.approval_required_since == watch.at_s
    (record,) = records.verdicts(person.account).values()
    assert record.verdict.reasons == ("same-network", "repeated-retries")
    assert record.observation.retries == 2


def test_retries_that_are_six_generations_apart_are_accidents(
    person: Person, functions: Functions, traveller: Traveller
) -> None:
    """A bad connection that loses one answer in a while demands nothing."""
    for _ in range(3):
        traveller.retry()
        for _ in range(4):
            traveller.refresh()
    assert functions.calls[RESTRAINER] == 0
    assert person.standing.approval_required_since == 0


# The sign-in


def test_a_sign_in_from_where_a_live_session_cannot_be_starts_with_a_demand(
    person: Person, functions: Functions, traveller: Traveller, watch: Watch
) -> None:
    """It starts, the demand stands before it does, one event; the older session lives on."""
    abroad = Traveller(person, watch, at=ELSEWHERE)
    assert [event["kind"] for event in records.events(person.account)] == [
        "account-opened",
        "session-started",
        "approval-demanded",
        "session-started",
    ]
    assert person.standing.approval_required_since == watch.at_s
    assert (person.standing.status, person.standing.epoch) == (ACTIVE, 1)
    ((number, record),) = records.verdicts(person.account).items()
    assert (number, record.verdict.outcome) == (3, Outcome.KILL)
    abroad.read(ELSEWHERE)
    traveller.read()
    assert functions.calls[RESTRAINER] == 1


def test_a_sign_in_that_is_not_restrained_does_not_start(
    product: Product,
    person: Person,
    traveller: Traveller,
    watch: Watch,
    down: Callable[[], None],
) -> None:
    """If the demand cannot be made: 503, no session, no event; the same passkey opens later."""
    assert traveller
    before, told = person.standing, records.events(person.account)
    with pytest.raises(InfrastructureError):
        Traveller(person, watch, at=ELSEWHERE)
    assert (person.standing, records.events(person.account)) == (before, told)
    down()
    Traveller(person, watch, at=ELSEWHERE).read(ELSEWHERE)
    assert _kinds(person.account) == DEMANDED
    assert product


def test_signing_in_here_and_there_within_a_minute_starts_and_is_told(
    person: Person, traveller: Traveller, watch: Watch
) -> None:
    """After Bucharest, London again: it starts too, and each demand is younger than the last."""
    Traveller(person, watch, at=ELSEWHERE)
    watch.after(60)
    again = Traveller(person, watch)
    assert person.standing.approval_required_since == watch.at_s
    assert _kinds(person.account) == [*DEMANDED, *DEMANDED]
    for one in (traveller, again):
        one.read()


def test_two_sign_ins_from_elsewhere_in_one_second_are_one_demand(
    person: Person, functions: Functions, traveller: Traveller, watch: Watch
) -> None:
    """The demand of this very moment stands already: nothing is asked for again."""
    assert traveller
    for _ in range(2):
        Traveller(person, watch, at=ELSEWHERE)
    assert (functions.calls[RESTRAINER], _kinds(person.account)) == (1, DEMANDED)


def test_a_sign_in_after_the_others_end_demands_nothing(
    person: Person, functions: Functions, traveller: Traveller, watch: Watch
) -> None:
    """Who signed out in London signs in in Bucharest as anybody: a dead session is nowhere."""
    revocation.revoke(traveller.family.refresh_token, now_s=watch.at_s)
    Traveller(person, watch, at=ELSEWHERE).read(ELSEWHERE)
    assert functions.calls[RESTRAINER] == 0
    assert person.standing.approval_required_since == 0


def test_a_sign_in_hours_after_the_other_session_s_last_request_demands_nothing(
    person: Person, functions: Functions, traveller: Traveller, watch: Watch
) -> None:
    """A traveller who flew there signs in, and demands nothing by it."""
    assert traveller
    watch.after(4 * HOUR_S)
    Traveller(person, watch, at=ELSEWHERE)
    assert functions.calls[RESTRAINER] == 0


# Quarantine


def test_a_quarantined_account_s_session_may_lift_and_nothing_else(
    product: Product, person: Person, watch: Watch
) -> None:
    """Of every route behind the gate, the two that lead out of a quarantine pass."""
    records.quarantine(product[0], person.account)
    family = Traveller(person, watch).family
    passed = set()
    for method, resource in assurance.DEMANDS:
        path = resource.format(id="a1", currency="EUR")
        url = setting("PUBLIC_ORIGIN") + path
        proof = family.key.proof(
            method,
            url,
            access_token=family.access_token,
            nonce=nonces.current(watch.at_s),
            now=watch.at_s,
        )
        try:
            gate.admit(
                authorization=f"DPoP {family.access_token}",
                proof=proof,
                method=method,
                path=path,
                resource=resource,
                source=SOURCE,
            )
        except AccountQuarantinedError:
            continue
        passed.add((method, resource))
    assert passed == LIFTING
    with pytest.raises(InvalidGrantError):
        family.refresh(at_s=watch.at_s)


def test_the_session_of_a_quarantined_account_is_killed_like_any(
    product: Product, person: Person, watch: Watch
) -> None:
    """Elsewhere with the session that was to lift: refused, and the epoch is raised once more."""
    records.quarantine(product[0], person.account)
    family, before = Traveller(person, watch).family, person.standing
    path = "/approvals/options"
    proof = family.key.proof(
        "POST",
        setting("PUBLIC_ORIGIN") + path,
        access_token=family.access_token,
        nonce=nonces.current(watch.at_s),
        now=watch.at_s,
    )
    with pytest.raises(SessionTerminatedError):
        gate.admit(
            authorization=f"DPoP {family.access_token}",
            proof=proof,
            method="POST",
            path=path,
            resource=path,
            source=ELSEWHERE,
        )
    _is_killed(person, before, family.sid)


# The baseline


def test_a_baseline_begins_with_the_sign_in(person: Person, watch: Watch) -> None:
    """Place, network, label and device of the sign-in, and its time."""
    traveller = Traveller(person, watch)
    assert _baseline(traveller.family) == Baseline.of(sightings.observe(SOURCE, now_s=watch.at_s))


def test_a_refused_request_moves_no_baseline(traveller: Traveller, watch: Watch) -> None:
    """Neither a kill, nor a wrong key, nor a late token leaves a trace of where it came from."""
    before = _baseline(traveller.family)
    watch.after(100)
    with pytest.raises(InvalidProofError):
        admit(ProofKey(), traveller.family.access_token, source=NEIGHBOUR)
    with pytest.raises(SessionTerminatedError):
        traveller.read(ELSEWHERE)
    assert _baseline(traveller.family) == before


def test_a_known_request_within_the_minute_writes_nothing(
    product: Product, traveller: Traveller, watch: Watch
) -> None:
    """In steady state a request costs no write, wherever it comes from that is known."""
    traveller.read(NEIGHBOUR)
    watch.after(30)
    with unchanged(product[0]):
        for at in (NEIGHBOUR, SOURCE, ROAMING):
            traveller.read(at)


def test_a_session_without_a_baseline_gets_one(
    product: Product, person: Person, functions: Functions, watch: Watch
) -> None:
    """A session that is older than baselines passes once unjudged, and is judged from then on."""
    assert product
    family, before = person.session_at(1), person.standing
    family = Family(family.account, family.sid, family.key, *_renewed(family, watch))
    assert functions.calls[RESTRAINER] == 0
    with pytest.raises(SessionTerminatedError):
        admit(family.key, family.access_token, source=ELSEWHERE)
    _is_killed(person, before, family.sid)


def _renewed(family: Family, watch: Watch) -> tuple[str, str]:
    issued = family.refresh(at_s=watch.at_s)
    return issued.refresh_token, issued.access_token
