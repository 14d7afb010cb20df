"""Randomness and ids."""

import os
import random
import re

import pytest

from portcullis import entropy

ID = re.compile(r"[a-z2-7]{26}")
MANY = 10_000


def test_an_id_is_26_characters_of_base32() -> None:
    """Lower-case base32 without padding: safe in URLs, keys and file names."""
    assert all(ID.fullmatch(entropy.new_id()) for _ in range(1000))


def test_no_two_ids_are_alike() -> None:
    """128 random bits do not repeat, and every character varies."""
    ids = {entropy.new_id() for _ in range(MANY)}
    assert len(ids) == MANY
    # 130 bits of text for 128 of id: the last character has but three bits.
    assert all(len({one[at] for one in ids}) == 32 for at in range(25))
    assert len({one[25] for one in ids}) == 8


def test_the_id_of_bytes_is_fixed() -> None:
    """The same bytes have the same id, and other bytes another one."""
    assert entropy.id_from_bytes(bytes(16)) == "a" * 26
    assert entropy.id_from_bytes(b"\xff" * 16) == "7" * 25 + "4"
    assert entropy.id_from_bytes(bytes(15) + b"\x01") != "a" * 26


@pytest.mark.parametrize("count", [0, 1, 16, 32])
def test_so_many_bytes_are_drawn(count: int) -> None:
    """The length is the one that was asked for."""
    assert len(entropy.random_bytes(count)) == count


def test_everything_is_drawn_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded generator, as a restored snapshot would have, changes nothing."""
    drawn = []

    def urandom(count: int) -> bytes:
        drawn.append(count)
        return bytes(count)

    monkeypatch.setattr(os, "urandom", urandom)
    assert entropy.new_id() == "a" * 26
    assert drawn == [16]


def test_a_seed_does_not_repeat_a_pause() -> None:
    """Two environments with the same state do not retry in step."""
    pauses = []
    for _ in range(2):
        random.seed(0)
        pauses.append(entropy.jitter_s(1.0))
    assert pauses[0] != pauses[1]


def test_a_pause_is_within_its_ceiling() -> None:
    """Full jitter: between nothing and the ceiling, all over the range."""
    pauses = [entropy.jitter_s(0.5) for _ in range(1000)]
    assert all(0 <= pause <= 0.5 for pause in pauses)
    assert min(pauses) < 0.1
    assert max(pauses) > 0.4
    assert entropy.jitter_s(0.0) == 0.0


def test_a_shuffled_list_is_the_same_in_any_order() -> None:
    """Nothing is lost or twice, and each may be first."""
    assert sorted(entropy.shuffled(range(9))) == list(range(9))
    # All of three are first within 200 shuffles, but once in 10^34.
    assert {entropy.shuffled("abc")[0] for _ in range(200)} == {"a", "b", "c"}
