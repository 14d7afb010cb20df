"""Refresh tokens presented by many at once, and against everything that ends a session."""

import functools
from collections.abc import Callable

import pytest

from portcullis.evidence.access_token import AccessToken
from portcullis.identity import revocation, sessions
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.gate import SessionEndedError
from portcullis.identity.tokens import Tokens
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import TOKEN, Family, Person, admit, is_admitted, now, proof_of
from tests.contract.identity.race import Race, split

ROUNDS = 1_000
BATCHES = 8
"""The rounds of the crowd are cut in parts that run on their own, one beside the other."""
CROWD = 16
DUELS = 50

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_crowd_ends_the_family(person: Person, batch: int) -> None:
    """Of 16 at once one rotates, at most one retries for the same token, any third ends it all."""
    rounds = ROUNDS // BATCHES
    swept: set[str] = set()
    with Race[Tokens](CROWD) as crowd:
        for generation in range(batch * rounds + 1, (batch + 1) * rounds + 1):
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
    assert len(ended) == len(swept) == rounds
    assert {event["sid"] for event in ended} == swept
    assert {event["reason"] for event in ended} == {"refresh-token-reused"}


def test_a_request_and_its_retry_leave_the_family_alive(person: Person) -> None:
    """Of two at once both get the same successor, round after round, and the family lives on."""
    family = person.session_at(1)
    text = family.refresh_token
    with Race[Tokens](2) as pair:
        for generation in range(2, ROUNDS + 2):
            proofs = [proof_of(family.key, TOKEN) for _ in range(2)]
            outcomes = pair.run(
                *(functools.partial(family.refresh, text, proof=proof) for proof in proofs)
            )
            (one, other), _ = split(outcomes, InvalidGrantError)
            assert one.refresh_token == other.refresh_token != text
            assert one.access_token != other.access_token
            session = family.stored
            assert (session.status, session.generation) == (sessions.LIVE, generation)
            assert session.retries == 1
            text = one.refresh_token
    for access_token in (one.access_token, other.access_token):
        assert admit(family.key, access_token).gen == ROUNDS + 1
    assert records.ends(person.account, family.sid) == []


def test_one_proof_serves_one_of_a_crowd(person: Person) -> None:
    """One proof presented with 16 good tokens at once rotates one of them and spends no other."""
    families = [person.session_at(1) for _ in range(CROWD)]
    proof = proof_of(person.key, TOKEN)
    with Race[Tokens](CROWD) as crowd:
        outcomes = crowd.run(*(functools.partial(one.refresh, proof=proof) for one in families))
    assert sum(isinstance(outcome, Tokens) for outcome in outcomes) == 1
    assert sorted(one.stored.generation for one in families) == [1] * (CROWD - 1) + [2]
    for outcome, family in zip(outcomes, families, strict=True):
        if not isinstance(outcome, Tokens):
            family.refresh()


def _revoke(_: Product, family: Family) -> None:
    revocation.revoke(family.refresh_token, now_s=now())


def _kill(product: Product, family: Family) -> None:
    records.kill(product[0], family.account)


@pytest.mark.parametrize("end", [_revoke, _kill], ids=["revocation", "kill"])
def test_no_token_outlives_an_ending(
    product: Product, person: Person, end: Callable[[Product, Family], None]
) -> None:
    """However a refresh and an ending fall, no token of the session works after both."""
    for _ in range(DUELS):
        family = person.session_at(1)
        proof = proof_of(family.key, TOKEN)
        with Race[Tokens | None](2) as duel:
            refreshed, ended = duel.run(
                functools.partial(family.refresh, proof=proof),
                functools.partial(end, product, family),
            )
        assert ended is None
        texts = [family.refresh_token]
        if isinstance(refreshed, Tokens):
            texts.append(refreshed.refresh_token)
            assert not is_admitted(family.key, refreshed.access_token)
        else:
            assert isinstance(refreshed, InvalidGrantError)
        for text in texts:
            with pytest.raises(InvalidGrantError):
                family.refresh(text)
    records.events(person.account)


def test_a_retry_and_the_first_sight_of_its_successor_never_leave_a_second_retry(
    person: Person,
) -> None:
    """However a retry and the successor's first sight fall, the predecessor is spent after both."""
    for _ in range(DUELS):
        family = person.session_at(1)
        rotated = family.refresh()
        proof = proof_of(family.key, TOKEN)
        with Race[Tokens | AccessToken](2) as duel:
            retried, seen = duel.run(
                functools.partial(family.refresh, proof=proof),
                functools.partial(admit, family.key, rotated.access_token),
            )
        if isinstance(retried, Tokens):
            assert retried.refresh_token == rotated.refresh_token
            assert isinstance(seen, AccessToken)
        else:
            assert isinstance(retried, InvalidGrantError)
            assert isinstance(seen, AccessToken | SessionEndedError)
            assert not is_admitted(family.key, rotated.access_token)
        with pytest.raises(InvalidGrantError):
            family.refresh()
        assert family.stored.status == sessions.ENDED
