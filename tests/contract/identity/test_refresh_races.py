"""Refresh tokens presented by many at once: one rotation, one retry, and no third."""

import functools

import pytest

from portcullis.identity import sessions
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.tokens import Tokens
from tests.contract.identity import records
from tests.contract.identity.people import TOKEN, Person, proof_of
from tests.contract.identity.race import Race, split

ROUNDS = 1_000
CROWD = 16

pytestmark = pytest.mark.contract


def test_a_crowd_ends_the_family(person: Person) -> None:
    """Of 16 at once one rotates, at most one retries for the same token, any third ends it all."""
    swept: set[str] = set()
    with Race[Tokens](CROWD) as crowd:
        for generation in range(1, ROUNDS + 1):
            family = person.session_at(generation)
            proofs = [proof_of(family.key, TOKEN) for _ in range(CROWD)]
            outcomes = crowd.run(*(functools.partial(family.refresh, proof=p) for p in proofs))
            granted, refused = split(outcomes, InvalidGrantError)
            session = family.stored

            assert 1 <= len(granted) <= 2
            assert len(refused) == CROWD - len(granted)
            successors = {tokens.refresh_token for tokens in granted}
            assert len(successors) == 1
            assert session.status == sessions.ENDED
            assert session.generation == generation + 1
            assert session.retries == len(granted) - 1
            for text in (family.refresh_token, *successors):
                with pytest.raises(InvalidGrantError):
                    family.refresh(text)
            assert family.stored == session
            swept.add(family.sid)
    ended = [event for event in records.events(person.account) if event["kind"] == "session-ended"]
    assert len(ended) == ROUNDS
    assert {event["sid"] for event in ended} == swept
    assert {event["reason"] for event in ended} == {"refresh-token-reused"}
