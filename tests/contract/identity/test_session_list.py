"""The list of an account's sessions: what its owner sees, ends, and that there are at most 32."""

import functools

import pytest

from portcullis import clock
from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError
from portcullis.evidence.errors import StepUpRequiredError
from portcullis.identity import accounts, revocation, session_list, sessions, sign_out, tables
from portcullis.identity.assurance import FRESH_S
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.gate import SessionEndedError, SessionTerminatedError
from portcullis.identity.session_list import SESSIONS_MAX, NoSuchSessionError, SessionList
from portcullis.source import Source
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    SOURCE,
    Family,
    Person,
    admit,
    is_admitted,
    listed,
    now,
)
from tests.contract.identity.race import Race
from tests.contract.identity.records import unchanged
from tests.support.authenticator import Authenticator
from tests.support.faults import TRANSACTION, Proxy

CROWD = 8
REPETITIONS_MAX = 20

pytestmark = pytest.mark.contract


def _shown(family: Family, *, at_s: int | None = None) -> list[dict[str, object]]:
    """What the owner sees in a session, at a time when its token is still good."""
    token = family.principal("GET", "/sessions").token
    return session_list.show(token, now_s=now() if at_s is None else at_s)


def _ids(family: Family) -> list[object]:
    return [one["id"] for one in _shown(family)]


def _end(family: Family, sid: str) -> None:
    principal = family.principal("DELETE", "/sessions/{id}")
    sign_out.end_one(sid, principal=principal, now_s=now())


def _end_all(family: Family, *, except_current: bool) -> None:
    principal = family.principal("DELETE", "/sessions")
    sign_out.end_all(except_current=except_current, principal=principal, now_s=now())


def _stored(account: str) -> SessionList:
    item = dynamodb.get(tables.identity(), tables.sessions_key(account))
    assert item is not None
    return SessionList.from_item(item)


def _is_over(family: Family) -> bool:
    """Whether neither access token nor refresh token of a session is worth anything."""
    with pytest.raises((SessionEndedError, SessionTerminatedError)):
        admit(family.key, family.access_token)
    with pytest.raises(InvalidGrantError):
        family.refresh()
    return True


# The list


def test_the_owner_sees_each_session_and_where_it_was_started(person: Person) -> None:
    """Newest first, with device and country to recognise it by, and without anything secret."""
    older, newer = person.sign_in(), person.sign_in()
    first, second = _shown(newer)
    assert (first["id"], second["id"]) == (newer.sid, older.sid)
    assert (first["current"], second["current"]) == (True, False)
    stored = newer.stored
    assert first == {
        "id": newer.sid,
        "current": True,
        "device": "Firefox on Linux",
        "place": "GB",
        "acr": "phr",
        "amr": ["pop", "user", "mfa"],
        "started_at": clock.rfc3339(stored.auth_time),
        "last_used_at": clock.rfc3339(stored.rotated_at),
        "idle_expires_at": clock.rfc3339(stored.idle_expires),
        "expires_at": clock.rfc3339(stored.absolute_expires),
    }


def test_neither_address_nor_user_agent_is_kept(product: Product, person: Person) -> None:
    """What the owner is shown is all that is stored of where a session came from."""
    person.sign_in()
    dump = b"\n".join(records.blobs(product[0]))
    for text in (b"81.2.69", b"Mozilla", b"Gecko/", b"145.0", b"x86_64"):
        assert text not in dump


def test_a_session_that_began_behind_a_relay_is_shown_as_anonymous(person: Person) -> None:
    """Its owner is told what the judge was told, and no country that the registries invent."""
    relay = Source.of(address="104.28.34.40", user_agent=SOURCE.user_agent)
    family = person.sign_in(source=relay)
    assert [one["place"] for one in _shown(family)] == ["anonymous"]


def test_the_last_use_is_what_the_gate_saw(product: Product, person: Person) -> None:
    """A session that the gate has seen since its last refresh shows that."""
    family, other = person.sign_in(), person.sign_in()
    records.see(product[0], other.sid, seen_at=(seen := now() + 50))
    last_used = {one["id"]: one["last_used_at"] for one in _shown(family)}
    assert last_used[other.sid] == clock.rfc3339(seen)
    assert last_used[family.sid] == clock.rfc3339(family.stored.rotated_at)


def test_the_sessions_of_another_account_are_not_shown(person: Person) -> None:
    """Each sees its own."""
    own, theirs = person.sign_in(), Person.with_account().sign_in()
    assert _ids(own) == [own.sid]
    assert _ids(theirs) == [theirs.sid]


def test_what_is_over_is_not_shown(product: Product, person: Person) -> None:
    """Ended, revoked and killed sessions vanish at once."""
    ended, revoked, left = (person.sign_in() for _ in range(3))
    _end(left, ended.sid)
    revocation.revoke(revoked.refresh_token, now_s=now())
    assert _ids(left) == [left.sid]
    records.kill(product[0], person.account)
    assert _ids(left) == []
    survivor = person.sign_in()
    assert _ids(survivor) == [survivor.sid]


def test_idle_and_old_sessions_are_not_shown(person: Person) -> None:
    """From the second in which it can no longer be refreshed, a session is not shown."""
    family = person.sign_in()
    idle, absolute = family.stored.idle_expires, family.stored.absolute_expires
    assert [one["id"] for one in _shown(family, at_s=idle - 1)] == [family.sid]
    for late in (idle, idle + 1, absolute, absolute + 1):
        assert _shown(family, at_s=late) == []


# At most 32


def test_the_thirty_third_session_displaces_the_oldest(person: Person) -> None:
    """There are never more than 32; the oldest ends, with an event, and no other."""
    oldest, second = person.sign_in(), person.sign_in()
    listed([person.session_at(1) for _ in range(SESSIONS_MAX - 2)])
    assert len(_shown(second)) == SESSIONS_MAX
    newest = person.sign_in()
    shown = _ids(second)
    assert len(shown) == SESSIONS_MAX
    assert shown[0] == newest.sid
    assert shown[-1] == second.sid
    assert _is_over(oldest)
    assert records.ends(person.account, oldest.sid) == ["displaced"]
    assert is_admitted(second.key, second.access_token)
    kinds = [one["kind"] for one in records.events(person.account)]
    assert kinds[-2:] == ["session-ended", "session-started"]


def test_sessions_that_are_over_make_room_first(person: Person) -> None:
    """While dead sessions are in the list, no live one is displaced."""
    oldest = person.sign_in()
    others = [person.session_at(1) for _ in range(SESSIONS_MAX - 1)]
    listed(others)
    for dead in others[:3]:
        revocation.revoke(dead.refresh_token, now_s=now())
    newest = person.sign_in()
    assert is_admitted(oldest.key, oldest.access_token)
    assert len(_shown(newest)) == SESSIONS_MAX - 3 + 1
    assert len(_stored(person.account).sids) == SESSIONS_MAX - 3 + 1


def test_a_kill_empties_the_list_for_the_next_sign_in(product: Product, person: Person) -> None:
    """Sessions of an older epoch displace nothing and are forgotten."""
    listed([person.session_at(1) for _ in range(SESSIONS_MAX)])
    records.kill(product[0], person.account)
    newest = person.sign_in()
    assert _stored(person.account).sids == (newest.sid,)
    assert "session-ended" not in {one["kind"] for one in records.events(person.account)}


def test_a_list_that_has_grown_too_long_is_cut(person: Person) -> None:
    """However it came about, the next sign-in leaves at most 32 live sessions."""
    surplus = [person.session_at(1) for _ in range(SESSIONS_MAX + 3)]
    listed(surplus)
    newest = person.sign_in()
    assert len(_shown(newest)) == SESSIONS_MAX
    assert all(one.stored.status == sessions.ENDED for one in surplus[:4])
    assert all(one.stored.status == sessions.LIVE for one in surplus[4:])


@pytest.mark.usefixtures("product")
def test_sign_ins_at_once_never_leave_more_than_32() -> None:
    """Eight devices that sign in at the same moment to a full account displace eight sessions."""
    person = Person.with_account(Authenticator(backup_eligible=True, counts=False))
    before = [person.session_at(1) for _ in range(SESSIONS_MAX)]
    listed(before)
    with Race[Family](CROWD) as crowd:
        outcomes = crowd.run(*[functools.partial(_until_signed_in, person)] * CROWD)
    families = [one for one in outcomes if isinstance(one, Family)]
    assert len(families) == CROWD
    live = _ids(families[0])
    assert len(live) == SESSIONS_MAX
    assert {one.sid for one in families} <= set(live)
    ended = [one for one in before if one.stored.status == sessions.ENDED]
    assert ended == before[:CROWD]
    for one in ended:
        assert records.ends(person.account, one.sid) == ["displaced"]


def _until_signed_in(person: Person) -> Family:
    for _ in range(REPETITIONS_MAX):
        try:
            return person.sign_in()
        except InfrastructureError:
            continue  # 503: the same may be asked for again
    raise AssertionError("never signed in")


def test_a_session_that_ends_while_it_is_displaced_is_decided_anew(
    proxy: Proxy, person: Person
) -> None:
    """The oldest ends by itself between a sign-in's read and its write: it is not ended twice."""
    oldest, second = person.session_at(1), person.session_at(1)
    listed([oldest, second, *(person.session_at(1) for _ in range(SESSIONS_MAX - 2))])
    between = proxy.meanwhile(
        TRANSACTION,
        lambda: revocation.revoke(oldest.refresh_token, now_s=now()),
        matching=lambda body: "displaced" in str(body),
    )
    newest = person.sign_in()
    assert between.hits == 1
    assert records.ends(person.account, oldest.sid) == ["revoked"]
    assert second.stored.status == sessions.LIVE
    assert len(_ids(newest)) == SESSIONS_MAX


def test_a_sign_in_demands_the_list_that_it_saw(proxy: Proxy, person: Person) -> None:
    """A session that takes the last place in between makes the sign-in displace one."""
    first, *others = [person.session_at(1) for _ in range(SESSIONS_MAX)]
    listed([first, *others[:-1]])
    between = proxy.meanwhile(
        TRANSACTION,
        lambda: listed(others[-1:]),
        matching=lambda body: "session-started" in str(body),
    )
    newest = person.sign_in()
    assert between.hits == 1
    assert _stored(person.account).sids == (*(one.sid for one in others), newest.sid)
    assert records.ends(person.account, first.sid) == ["displaced"]


# Ending


def test_one_session_is_ended_by_its_owner(person: Person) -> None:
    """It is over at once, with one event; the others go on."""
    family, other, third = (person.sign_in() for _ in range(3))
    _end(family, other.sid)
    assert _is_over(other)
    assert records.ends(person.account, other.sid) == ["signed-out"]
    for left in (family, third):
        assert is_admitted(left.key, left.access_token)


def test_the_owners_own_session_is_ended(person: Person) -> None:
    """Signing out is ending the session that asks."""
    family, other = person.sign_in(), person.sign_in()
    _end(family, family.sid)
    assert _is_over(family)
    assert records.ends(person.account, family.sid) == ["signed-out"]
    assert is_admitted(other.key, other.access_token)


def test_a_foreign_session_is_not_found(product: Product, person: Person) -> None:
    """Another account's session, an ended one, a killed one, or none: all are the same answer."""
    family, ended = person.sign_in(), person.sign_in()
    theirs = Person.with_account().sign_in()
    _end(family, ended.sid)
    for sid in (theirs.sid, ended.sid, "a" * 26):
        with unchanged(product[0]), pytest.raises(NoSuchSessionError):
            _end(family, sid)
    assert is_admitted(theirs.key, theirs.access_token)


def test_all_others_are_ended_and_the_own_one_goes_on(person: Person) -> None:
    """One raised epoch: every other session is dead, the own one goes on with a refresh."""
    family, *others = (person.sign_in() for _ in range(3))
    _end_all(family, except_current=True)
    for one in others:
        assert _is_over(one)
    assert not is_admitted(family.key, family.access_token)
    onward = family.renewed()
    assert is_admitted(onward.key, onward.access_token)
    assert _ids(onward) == [family.sid]
    ended = records.events(person.account)[-1]
    assert (ended["kind"], ended["kept"]) == ("sessions-ended", family.sid)
    assert person.standing.epoch == accounts.FIRST_EPOCH + 1


def test_all_are_ended(person: Person) -> None:
    """The own one too."""
    families = [person.sign_in() for _ in range(3)]
    _end_all(families[0], except_current=False)
    for one in families:
        assert _is_over(one)
    assert "kept" not in records.events(person.account)[-1]
    assert person.sign_in().account == person.account


def test_a_session_that_is_over_ends_nothing(product: Product, person: Person) -> None:
    """Its token is good for minutes; what it may do ended with it."""
    family, other = person.sign_in(), person.sign_in()
    _end(other, family.sid)
    with unchanged(product[0]), pytest.raises(SessionEndedError):
        _end(family, other.sid)
    with unchanged(product[0]), pytest.raises(SessionEndedError):
        _end_all(family, except_current=True)
    records.kill(product[0], person.account)
    with unchanged(product[0]), pytest.raises(SessionTerminatedError):
        _end_all(other, except_current=False)


def test_ending_needs_a_fresh_sign_in(person: Person) -> None:
    """Who finds an open laptop does not sign its owner out elsewhere (ASVS 7.5.2)."""
    family, at_s = person.sign_in(), now()
    for route in (("DELETE", "/sessions"), ("DELETE", "/sessions/{id}")):
        assert family.principal(*route, at_s=at_s + FRESH_S - 1)
        with pytest.raises(StepUpRequiredError):
            family.principal(*route, at_s=at_s + FRESH_S + 2)


def test_two_that_end_each_other_end_once_each(person: Person) -> None:
    """Two sessions that end all others at the same moment: one of them is left, or none twice."""
    first, second = person.sign_in(), person.sign_in()
    deeds = [
        functools.partial(
            sign_out.end_all,
            except_current=True,
            principal=one.principal("DELETE", "/sessions"),
            now_s=now(),
        )
        for one in (first, second)
    ]
    with Race[None](2) as duel:
        outcomes = duel.run(*deeds)
    assert sorted(str(type(one).__name__) for one in outcomes) == [
        "NoneType",
        "SessionTerminatedError",
    ]
    (kept,) = [one for one, told in zip((first, second), outcomes, strict=True) if told is None]
    (gone,) = [one for one in (first, second) if one is not kept]
    assert _is_over(gone)
    assert is_admitted(kept.key, kept.renewed().access_token)


def test_a_sign_in_beside_an_end_of_all_is_wholly_after_it(proxy: Proxy, person: Person) -> None:
    """A sign-in that straddles the end of all sessions belongs to the new epoch."""
    family = person.sign_in()
    between = proxy.meanwhile(
        TRANSACTION,
        lambda: _end_all(family, except_current=False),
        matching=lambda body: "session-started" in str(body),
    )
    newest = person.sign_in()
    assert between.hits == 1
    assert newest.stored.epoch == accounts.FIRST_EPOCH + 1
    assert is_admitted(newest.key, newest.access_token)
