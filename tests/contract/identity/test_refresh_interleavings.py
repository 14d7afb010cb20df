"""What happens between a refresh's read and its write, at the exact moment."""

from collections.abc import Callable

import pytest

from portcullis.identity import revocation, sessions
from portcullis.identity.families import InvalidGrantError
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Family, Person, admit, is_admitted, now
from tests.support.dpop import ProofKey
from tests.support.faults import TRANSACTION, Proxy
from tests.support.tables import Tables

pytestmark = pytest.mark.contract


def _revoke(_: Tables, family: Family) -> None:
    revocation.revoke(family.refresh_token, now_s=now())


def _kill(tables: Tables, family: Family) -> None:
    records.kill(tables, family.account)


def _quarantine(tables: Tables, family: Family) -> None:
    records.kill(tables, family.account, status=records.RESTRICTED)


def _restrict(tables: Tables, family: Family) -> None:
    records.restrict(tables, family.account)


ENDINGS = pytest.mark.parametrize(
    "end", [_revoke, _kill, _quarantine, _restrict], ids=lambda end: end.__name__.strip("_")
)


@ENDINGS
@pytest.mark.parametrize("lost_answer", [False, True], ids=["rotation", "retry"])
def test_an_ending_between_read_and_write_leaves_no_live_token(
    product: Product,
    proxy: Proxy,
    person: Person,
    end: Callable[[Tables, Family], None],
    *,
    lost_answer: bool,
) -> None:
    """Whatever ends the session after the read, the write fails and nothing of it is live."""
    family = person.session_at(1)
    held = [family.refresh()] if lost_answer else []
    generation = family.stored.generation
    between = proxy.meanwhile(TRANSACTION, lambda: end(product[0], family))
    with pytest.raises(InvalidGrantError):
        family.refresh()
    assert between.hits == 1
    assert family.stored.generation == generation
    assert family.stored.retries == 0
    for text in (family.refresh_token, *(one.refresh_token for one in held)):
        with pytest.raises(InvalidGrantError):
            family.refresh(text)


@ENDINGS
def test_an_answer_on_its_way_is_dead_after_an_ending(
    product: Product, person: Person, end: Callable[[Tables, Family], None]
) -> None:
    """Tokens that were given out just before the ending are dead when they arrive."""
    family = person.session_at(1)
    given = family.refresh()
    end(product[0], family)
    if end is not _restrict:
        assert not is_admitted(family.key, given.access_token)
    with pytest.raises(InvalidGrantError):
        family.refresh(given.refresh_token)


def test_a_sight_between_a_retrys_read_and_its_write_ends_the_family(
    proxy: Proxy, person: Person
) -> None:
    """The retry's transaction itself demands that the gate has not seen the successor."""
    family = person.session_at(1)
    rotated = family.refresh()
    between = proxy.meanwhile(TRANSACTION, lambda: admit(family.key, rotated.access_token))
    with pytest.raises(InvalidGrantError):
        family.refresh()
    assert between.hits == 1
    assert family.stored.status == sessions.ENDED
    assert records.ends(family.account, family.sid) == ["refresh-token-reused"]
    assert not is_admitted(family.key, rotated.access_token)


def test_a_retry_between_a_retrys_read_and_its_write_ends_the_family(
    proxy: Proxy, person: Person
) -> None:
    """Two retries that both read an unused one are still two: the later write ends it all."""
    family = person.session_at(1)
    rotated = family.refresh()
    proxy.meanwhile(TRANSACTION, family.refresh)
    with pytest.raises(InvalidGrantError):
        family.refresh()
    assert family.stored.retries == 1
    assert family.stored.status == sessions.ENDED
    with pytest.raises(InvalidGrantError):
        family.refresh(rotated.refresh_token)


def test_a_rotation_between_a_rotations_read_and_its_write_makes_it_the_retry(
    proxy: Proxy, person: Person
) -> None:
    """Who loses the rotation to its own twin reads again and gets the twin's successor."""
    family = person.session_at(1)
    twins: list[str] = []
    proxy.meanwhile(TRANSACTION, lambda: twins.append(family.refresh().refresh_token))
    assert [family.refresh().refresh_token] == twins
    assert (family.stored.generation, family.stored.retries) == (2, 1)
    assert family.stored.status == sessions.LIVE


def test_a_reuse_ends_a_family_that_moves_meanwhile(proxy: Proxy, person: Person) -> None:
    """A family that rotates while its thief is judged is ended with all its new tokens."""
    family = person.session_at(1)
    second = family.refresh()
    onward: list[str] = []
    between = proxy.meanwhile(
        TRANSACTION, lambda: onward.append(family.refresh(second.refresh_token).refresh_token)
    )
    with pytest.raises(InvalidGrantError):
        family.refresh(key=ProofKey())
    assert between.hits == 1
    assert family.stored.status == sessions.ENDED
    assert records.ends(family.account, family.sid) == ["refresh-token-reused"]
    with pytest.raises(InvalidGrantError):
        family.refresh(onward[0])


def test_events_that_others_write_meanwhile_keep_their_numbers(
    proxy: Proxy, person: Person
) -> None:
    """An ending that loses its event's number takes the next one, and no number is lost."""
    family, others = person.session_at(1), [person.session_at(1) for _ in range(3)]
    waiting = list(others)
    proxy.meanwhile(
        TRANSACTION,
        lambda: revocation.revoke(waiting.pop().refresh_token, now_s=now()),
        matching=lambda body: family.sid in str(body),
        times=len(others),
    )
    revocation.revoke(family.refresh_token, now_s=now())
    assert not waiting
    ended = [event["sid"] for event in records.events(person.account) if "reason" in event]
    assert ended == [one.sid for one in (*reversed(others), family)]
