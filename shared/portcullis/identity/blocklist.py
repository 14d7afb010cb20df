"""What everybody tries first: a rule over common words, walks and phrases, not a list of passwords.

Published lists of common passwords hold next to none of 15 characters, because people are seldom
asked for so many. Who is asked strings together what they know: ``passwordpassword``,
``qwerty123456789``, ``iloveyou20242024``. So the units stand here, and a password is judged by
what *remains* of it without them; that refuses far more than the 3,000 passwords that OWASP ASVS
5.0 asks for (6.2.4). The units are our choice of what such lists are made of, not a measurement
of what people use; that is what ``breaches`` is for.
"""

import functools
import re
from collections.abc import Callable, Set

WORDS = """
    access account admin administrator alex alexander amanda america andrea andrew angel
    angela anthony apple arsenal ashley asshole austin baby backup bailey banana bank barcelona
    baseball basketball batman beautiful bitch blink blue boston brandon buster butterfly
    california carlos change charlie cheese chelsea chicago chocolate christmas christopher
    computer cookie corvette cowboys crystal dallas daniel database default demo diamond dolphin
    donald dragon eagles elizabeth england facebook family fender ferrari flower football forever
    freedom friday friends fuck fucking fuckyou gandalf george ginger github google guest guitar
    hannah harley heather hello hockey hottie hunter iloveu iloveyou internet jackson jasmine
    jennifer jessica jesus jordan joseph joshua justin killer killme klaster kristina lakers
    letmein liverpool login london love lovely loveme lover loveyou madison maggie manager
    manchester marina market martin master matrix matthew melissa mercedes merlin metallica
    michael michelle midnight mobile monday money monkey morgan mother mustang natasha nicole
    nothing november october office oliver orange pass passcode passphrase passwd password
    patrick peanut pepper phoenix pokemon prince princess private purple rachel ranger robert
    root samantha samsung sarah scooter secret secure security server service shadow silver
    snoopy soccer sophie spiderman spring starwars steelers stella strong summer sunday sunshine
    superman superstar support system taylor temp tennis test tester testing thomas thunder tigger
    trustno trustnoone turtle united user username victoria warrior welcome whatever william
    windows winter wizard yamaha yankees yellow
    january february march april june july august september december
    autumn tuesday wednesday thursday saturday
"""

PHRASES = (
    "a long password",
    "all you need is love",
    "beam me up scotty",
    "change me",
    "correct horse",
    "battery staple",
    "correct horse battery staple",
    "do or do not there is no try",
    "for the win",
    "friend of emily",
    "friend of gerly",
    "god bless america",
    "happy birthday to you",
    "hello world",
    "hakuna matata",
    "i am the best",
    "i love my family",
    "i love you",
    "i love you forever",
    "i love you so much",
    "in god we trust",
    "in the beginning",
    "its a secret",
    "jesus is lord",
    "jesus loves me",
    "let it be",
    "let me in",
    "live long and prosper",
    "live laugh love",
    "lorem ipsum",
    "lorem ipsum dolor sit amet",
    "may the force be with you",
    "my name is",
    "my password is",
    "never gonna give you up",
    "no one will guess this",
    "once upon a time",
    "one ring to rule them all",
    "one two three four five six seven",
    "open sesame",
    "rock and roll",
    "the quick brown fox",
    "the quick brown fox jumps over the lazy dog",
    "this is a password",
    "this is my password",
    "to be or not to be",
    "to be or not to be that is the question",
    "to infinity and beyond",
    "trust no one",
    "twinkle twinkle little star",
    "what is my password",
    "winter is coming",
    "you are my sunshine",
)

WALKS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "123456789101112131415",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "!@#$%^&*()",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1qa2ws3ed4rf5tg6yh7uj",
    "1qazxsw23edcvfr45tgbnhy67ujm",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "a1b2c3d4e5f6g7h8i9j0",
    "a1s2d3f4g5h6j7k8l9",
    "z1x2c3v4b5n6m7",
)
STEP_CHARS = 3
"""So many characters of a walk, forwards or backwards, are a piece of it."""

OBSERVED = """
    23176djivanfros bpgjldsgjldthnf doomsayer.2.7mords.v familiya
    hd764nw5d7e1vb1 inactive1996aug john!20130605at1753 kartoffelpuffer lhbjkjubz2957704
    mailcreated5240 mega_pizdetz migrationschool momsanaladventure nemvxyheqdd5oqxyxyzi neworleans
    passwordstandard polniypizdec somanypickles27 stefangreil yfdbufnjh10305070 zqjphsyf6ctifgu
"""
"""What no other unit covers of the entries of 15 characters or more in two published lists: the
common passwords of Django (BSD-3-Clause) and of zxcvbn (MIT)."""

_SPELLINGS = {
    " ": r"[\W_]*",
    "a": "[a@4]",
    "e": "[e3]",
    "i": "[i1!]",
    "l": "[l1]",
    "o": "[o0]",
    "s": "[s$5]",
}
_YEAR = r"(?:19|20)\d\d"
_RUN = r"(?s:(.)\1{2,})"


def remainder(text: str, known: Set[str] = frozenset()) -> str:
    """Return what is left of a case-folded text without all units and the words in *known*.

    If that is one piece repeated, the piece is left.
    """
    if known:
        text = re.sub(_any_of(known, re.escape), "", text)
    # Words before walks: of "jklmichael" the walk would take the m.
    left = _runs().sub("", _named().sub("", text))
    return next((left[:period] for period in range(1, len(left)) if _repeats(left, period)), left)


def _repeats(text: str, period: int) -> bool:
    return text.startswith(text[period:])


@functools.cache
def _named() -> re.Pattern[str]:
    return re.compile(_any_of({*WORDS.split(), *PHRASES, *OBSERVED.split()}, _spelled))


@functools.cache
def _runs() -> re.Pattern[str]:
    step = _any_of(_steps(), re.escape)
    return re.compile(f"{_RUN}|{_YEAR}|(?:(?={step}).)+.{{{STEP_CHARS - 1}}}")


def _spelled(unit: str) -> str:
    """Return a pattern of a unit's usual spellings."""
    return "".join(_SPELLINGS.get(char, re.escape(char)) for char in unit)


def _steps() -> set[str]:
    return {
        way[begin : begin + STEP_CHARS]
        for walk in WALKS
        for way in (walk, walk[::-1])
        for begin in range(len(walk) - STEP_CHARS + 1)
    }


def _any_of(units: Set[str], pattern: Callable[[str], str]) -> str:
    """Return the pattern of any of these: where several fit, the longest."""
    return "|".join(pattern(unit) for unit in sorted(units, key=len, reverse=True))
