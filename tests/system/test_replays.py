"""Every captured request, sent a second time byte for byte: refused, and nothing has changed.

Every unsafe route of the template is here, or a test fails. What a replay of a read is worth is
here too, because it is worth something: docs/threat-model.md, "Stolen things".
"""

import pytest

from tests.support import http
from tests.support.stack import Stack
from tests.system.deployed import Route, routes
from tests.system.life import Exchange, Life, Tape, lived
from tests.system.people import signed_in

UNSAFE = [route for route in routes() if not route.is_safe]
READS = [route for route in routes() if route.is_safe and route.is_gated]

PROOF_USED = "proof-replayed"
CHALLENGE_USED = "challenge-refused"
SESSIONS_DEAD = "session-terminated"
"""It had ended the session that it came with, as of the access token that is in it."""

REFUSED = {
    "POST /accounts": (400, CHALLENGE_USED),
    "POST /accounts/options": (400, PROOF_USED),
    "POST /sessions": (400, CHALLENGE_USED),
    "POST /sessions/options": (400, PROOF_USED),
    "POST /sessions/password": (400, PROOF_USED),
    "POST /sessions/second-factor": (401, "ticket-refused"),
    "POST /oauth/token": (400, PROOF_USED),
    "POST /recovery": (400, CHALLENGE_USED),
    "POST /recovery/options": (400, PROOF_USED),
    "DELETE /passkeys/{id}": (401, SESSIONS_DEAD),
    "DELETE /recovery": (401, SESSIONS_DEAD),
    "DELETE /sessions": (401, SESSIONS_DEAD),
    "DELETE /totp": (401, SESSIONS_DEAD),
}
"""Status and problem; of every other route behind the gate, that its proof was used."""

IDEMPOTENT = "POST /oauth/revoke"
"""RFC 7009 section 2.2: what is no token of ours any more is answered like one that is."""


@pytest.fixture(scope="module")
def life(stack: Stack) -> Life:
    """What the tape has of one account's life."""
    return lived(stack)


@pytest.mark.parametrize(
    "route", [one for one in UNSAFE if one.name != IDEMPOTENT], ids=lambda one: one.name
)
def test_a_replayed_request_is_refused(life: Life, route: Route) -> None:
    """A genuine request that succeeded is refused the second time, and changes nothing."""
    replays = life.of(route)
    assert replays, "the life in life.py does not use this route: add it there"
    expected = REFUSED.get(route.name, (401, PROOF_USED))
    assert {(one.reply.status, one.reply.problem) for one in replays} == {expected}
    for one in replays:
        assert one.after == one.before


def test_a_replayed_revocation_changes_nothing(life: Life) -> None:
    """A revocation sent again is answered alike, without a second event."""
    (route,) = [one for one in UNSAFE if one.name == IDEMPOTENT]
    (replay,) = life.of(route)
    assert (replay.reply.status, replay.reply.body) == (200, replay.of.reply.body)
    assert replay.before == replay.after


def test_only_routes_that_are_there_are_expected_to_refuse() -> None:
    """The table above has no row that outlived its route."""
    assert {*REFUSED, IDEMPOTENT} <= {one.name for one in UNSAFE}


def test_a_replayed_read_is_answered_until_the_session_ends(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deviation, exactly: a captured GET reads that route again, and nothing after sign-out."""
    person = signed_in(stack)
    assert person.open_wallet("EUR").status == 201
    tape = Tape(Life(stack, ()), http.send)
    with monkeypatch.context() as patch:
        patch.setattr(http, "send", tape)
        for route in READS:
            assert person.call(route.method, route.path(currency="EUR")).status == 200
    captured = tape.life.exchanges
    assert [one.route for one in captured] == READS
    again = [_sent_again(one) for one in captured]
    assert [reply.status for reply in again] == [200] * len(READS)
    assert person.revoke().status == 200
    after = [_sent_again(one) for one in captured]
    assert {(reply.status, reply.problem) for reply in after} == {(401, "session-ended")}


def _sent_again(one: Exchange) -> http.Reply:
    return http.send(one.origin, one.method, one.target, headers=one.headers, body=one.body)
