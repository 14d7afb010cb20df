"""Revocation (RFC 7009): the session ends, whatever its token's generation, and nothing else."""

import functools

import pytest

from portcullis.errors import InfrastructureError
from portcullis.identity import revocation, sessions, tokens
from portcullis.identity.families import Handle, InvalidGrantError
from portcullis.identity.revocation import UnsupportedTokenTypeError
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Person, is_admitted, now
from tests.contract.identity.race import Race
from tests.contract.identity.records import unchanged
from tests.support import faults, jws
from tests.support.faults import Proxy

CROWD = 16

pytestmark = pytest.mark.contract


def _revoke(text: str) -> None:
    revocation.revoke(text, now_s=now())


def test_a_revoked_session_is_over(person: Person) -> None:
    """After revocation neither its access token nor its refresh token works, with one event."""
    family = person.sign_in()
    _revoke(family.refresh_token)
    assert not is_admitted(family.key, family.access_token)
    with pytest.raises(InvalidGrantError):
        family.refresh()
    assert records.ends(person.account, family.sid) == ["revoked"]


def test_a_spent_token_revokes_without_alarm(
    person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """Who revokes with a token of any generation wants the session dead: that is no theft."""
    family = person.session_at(1)
    onward = family.refresh(family.refresh().refresh_token)
    caplog.clear()
    _revoke(family.refresh_token)
    assert caplog.records == []
    assert records.ends(person.account, family.sid) == ["revoked"]
    with pytest.raises(InvalidGrantError):
        family.refresh(onward.refresh_token)


def test_a_second_revocation_changes_nothing(product: Product, person: Person) -> None:
    """To revoke what is over is a success without an event."""
    family = person.session_at(1)
    _revoke(family.refresh_token)
    with unchanged(product[0]):
        _revoke(family.refresh_token)


def test_a_crowd_of_revocations_is_one(person: Person) -> None:
    """Sixteen revocations at once end the session once and all succeed."""
    family = person.session_at(1)
    with Race[None](CROWD) as crowd:
        outcomes = crowd.run(*[functools.partial(_revoke, family.refresh_token)] * CROWD)
    assert outcomes == [None] * CROWD
    assert records.ends(person.account, family.sid) == ["revoked"]


def test_revocations_of_many_sessions_number_their_events(person: Person) -> None:
    """Eight sessions of one account ended at once leave eight events, in an unbroken order."""
    families = [person.session_at(1) for _ in range(8)]
    with Race[None](len(families)) as crowd:
        outcomes = crowd.run(*(functools.partial(_revoke, one.refresh_token) for one in families))
    assert outcomes == [None] * len(families)
    assert {one.stored.status for one in families} == {sessions.ENDED}
    ended = {event["sid"] for event in records.events(person.account) if "reason" in event}
    assert ended == {one.sid for one in families}


def test_an_unknown_token_is_no_error_and_changes_nothing(product: Product, person: Person) -> None:
    """RFC 7009 section 2.2: what is no token of ours is answered like one, and ends nothing."""
    family = person.session_at(1)
    keys = tokens.family_keys()
    stranger = keys.text(keys.mint(Handle.new(person.handle), 1))
    for text in ("", "prt1", "prt1....", family.sid, "é" * 40, stranger, stranger + "=", "A" * 999):
        with unchanged(product[0]):
            _revoke(text)
    family.refresh()


def test_a_handle_of_two_halves_ends_nothing(product: Product, person: Person) -> None:
    """A session is not ended under another account's name: no event lands in a stranger's book."""
    family, other = person.session_at(1), Person.with_account()
    prefix, handle, *rest = family.refresh_token.split(".")
    spliced = other.handle + jws.b64url_decode(handle)[16:]
    with unchanged(product[0]):
        _revoke(".".join((prefix, jws.b64url(spliced), *rest)))


def test_an_access_token_is_refused(product: Product, person: Person) -> None:
    """An access token is refused as a type, so that its sender does not think it dead."""
    family = person.sign_in()
    with unchanged(product[0]), pytest.raises(UnsupportedTokenTypeError):
        _revoke(family.access_token)
    assert is_admitted(family.key, family.access_token)


@pytest.mark.parametrize("operation", ["BatchGetItem", "ExecuteTransaction"])
def test_a_revocation_that_may_not_have_happened_is_no_success(
    proxy: Proxy, person: Person, operation: str
) -> None:
    """When the store does not answer the caller hears so, and a repetition ends the session."""
    family = person.session_at(1)
    proxy.fail_before(operation, times=faults.ALWAYS)
    with pytest.raises(InfrastructureError):
        _revoke(family.refresh_token)
    proxy.heal()
    _revoke(family.refresh_token)
    assert family.stored.status == sessions.ENDED
