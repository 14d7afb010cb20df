"""What is left of a text without what everybody tries first."""

import itertools
import json
import time
from pathlib import Path

import pytest

from portcullis.identity import blocklist
from portcullis.identity.passwords import (
    CODE_POINTS_MAX,
    CODE_POINTS_MIN,
    REMAINDER_CODE_POINTS_MIN,
)

LISTS = json.loads(Path("tests/vectors/common_passwords.json").read_text())
OBSERVED: list[str] = LISTS["passwords"]

MANY = 3_000

EVERYDAY = (
    "password iloveyou princess football welcome sunshine dragon monkey shadow master letmein "
    "baseball superman michael jessica ashley charlie summer winter secret admin computer"
)
"""What heads every published list, written down here apart from the product's own."""

WAYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "abcdefghij", "1q2w3e4r5t", "1qaz2wsx")


def is_barred(text: str) -> bool:
    """Whether too little of a text is left."""
    return len(blocklist.remainder(text.casefold())) < REMAINDER_CODE_POINTS_MIN


def stretched() -> set[str]:
    """Return what people make of a common password that must have fifteen characters."""
    words = EVERYDAY.split()
    endings = ["1", "12", "123", "1234", "12345", "123456789", "!", "!!!", "2024", "2025!", "01"]
    pairs = ["".join(pair) for pair in itertools.product([*words, *WAYS], repeat=2)]
    made = [
        *pairs,
        *(first.title() + second for first, second in itertools.product(words, repeat=2)),
        *("-".join(pair) for pair in itertools.product(words, repeat=2)),
        *(pair + ending for pair, ending in itertools.product(pairs, endings)),
        *(word * times for word in words for times in range(2, 6)),
        *(way[at:] + way[:at] + way for way in WAYS for at in range(3, len(way) - 3)),
        *(
            f"{day:02}{month:02}{year}" * 2
            for day in (1, 15)
            for month in (1, 6)
            for year in (1985, 2001)
        ),
        *(digit * length for digit in "0123456789ax." for length in range(15, 31)),
    ]
    return {text for text in made if CODE_POINTS_MIN <= len(text) <= CODE_POINTS_MAX}


def test_more_than_three_thousand_common_passwords_are_barred() -> None:
    """All that people make of common ones to reach the length is barred (ASVS 5.0, 6.2.4)."""
    made = stretched()
    assert len(made) > MANY
    assert {text for text in made if not is_barred(text)} == set()


@pytest.mark.parametrize("text", OBSERVED)
def test_every_long_entry_of_the_published_lists_is_barred(text: str) -> None:
    """What was seen in leaks often enough for a list, and has our length, is barred."""
    assert len(text) >= CODE_POINTS_MIN
    assert is_barred(text)


@pytest.mark.parametrize(
    "text",
    [
        "kettle wombat 3 lasso",
        "we sold nine red kayaks",
        "vq8-jn2-wt5-zr7-md4",
        "8317 4920 6853 0417",
        "grandma fries onions at noon",
        "tunnel.gravel.hazel.piano",
        "ein Igel im Nebel niest",
        "love in the time of cholera",
        "g7Hq!z0pLw#2Vc9x",
    ],
)
def test_what_nobody_tries_first_is_left_alone(text: str) -> None:
    """Words that are in no list of common passwords, and drawn characters, remain."""
    assert not is_barred(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        ("k7wq", "k7wq"),
        ("password", ""),
        ("p@$$w0rd", ""),
        ("pa55word", ""),
        ("xpasswordy", "xy"),
        ("k7wqk7wqk7wq", "k7wq"),
        ("k7wqk7wqk7", "k7wq"),
        ("k7passwordk7", "k7"),
        ("k1999w", "kw"),
        ("k1899w", "k1899w"),
        ("kk", "k"),
        ("xkkkkky", "xy"),
        ("k\n\n\nw", "kw"),
        ("asd", ""),
        ("dsa", ""),
        ("poiuytrewq", ""),
        ("ask", "ask"),
        ("let.me.in", ""),
        ("correct_horse battery  staple", ""),
    ],
)
def test_what_is_left(text: str, left: str) -> None:
    """Units go in their usual spellings; runs, years and walks go; a repetition is left once."""
    assert blocklist.remainder(text) == left


def test_known_words_are_taken_literally() -> None:
    """A word that somebody chose is no pattern, and the longest is taken first."""
    assert blocklist.remainder("k.+w.*x", frozenset({".+", ".*"})) == "kwx"
    assert blocklist.remainder("dora.kim", frozenset({"dora", "dora.kim"})) == ""


@pytest.mark.parametrize(
    "text", ["(" * 128, "let me in" * 14, ("let" + "_" * 40) * 3, "ab" * 64, "1q2w" * 32, "_" * 128]
)
def test_no_text_takes_long(text: str) -> None:
    """The rule has no input that makes it slow."""
    blocklist.remainder("")
    began = time.process_time()
    for _ in range(10):
        blocklist.remainder(text[:CODE_POINTS_MAX])
    assert time.process_time() - began < 1
