"""Which passwords may be set, and in which spelling they are compared."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.identity import passwords
from portcullis.identity.passwords import PasswordRefusedError

LOGIN = "dora.winkel@post.example"
GOOD = "kettle wombat 3 lasso"
UNGUESSED = "k7wq-x2vd-n5ht-p"
"""Sixteen code points that nobody tries first; a slice of it has any shorter length."""


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_ORIGIN", "https://api.kvarnhuset.test:9180")
    monkeypatch.setenv("BREACH_LOOKUP_URL", "off")


def refused(text: str, *, login: str = LOGIN) -> str:
    """Return why a password is refused, which it must be, at the place where it stood."""
    with pytest.raises(PasswordRefusedError) as told:
        passwords.accept(text, login=login)
    (fault,) = told.value.faults
    assert fault.pointer == "/password"
    assert text not in f"{fault.reason}{told.value}" or not text
    return fault.reason


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        UNGUESSED[:15],
        "  leading and trailing  ",
        "tab\tnul\0bell\a newline\n",
        "🦜🧭🪁🧵🪜🧲🪤🪣🧯🪓🧷🪝🧱🪟🪑",
        "ρόδα δάσος κύμα",
        "839274610582937",
        "only lower case letters here",
        "wüstensand im getriebe",
    ],
)
def test_any_code_points_may_be_used(text: str) -> None:
    """Spaces, controls, emoji, any script, digits alone: length is what counts."""
    assert passwords.accept(text, login=LOGIN) == text


@pytest.mark.parametrize("length", [0, 1, 7, 8, 14])
def test_fewer_than_fifteen_are_refused(length: int) -> None:
    """Fourteen code points are too few for what may be the only first factor."""
    assert refused(UNGUESSED[:length]) == passwords.TOO_SHORT


def test_code_points_are_counted_not_bytes() -> None:
    """Fourteen emoji are 56 bytes and too few; fifteen are enough."""
    emoji = "🦜🧭🪁🧵🪜🧲🪤🪣🧯🪓🧷🪝🧱🪟🪑"
    assert refused(emoji[:14]) == passwords.TOO_SHORT
    assert passwords.accept(emoji, login=LOGIN) == emoji


def test_code_points_are_counted_in_nfc() -> None:
    """Fourteen accented letters are fourteen, though they were sent as 28 code points."""
    spelled = unicodedata.normalize("NFD", "äöüéèêîôûñçåõã")
    assert len(spelled) == 28
    assert refused(spelled) == passwords.TOO_SHORT


@pytest.mark.parametrize("length", [15, 64, 72, 73, 127, 128])
def test_up_to_128_are_accepted_whole(length: int) -> None:
    """Nothing is cut off, beyond bcrypt's 72 bytes either."""
    text = "".join(chr(0x4E00 + 37 * n) for n in range(length))
    assert passwords.accept(text, login=LOGIN) == text


def test_more_than_128_are_refused() -> None:
    """The 129th code point is one too many, when a password is set and when it is used."""
    text = "".join(chr(0x4E00 + 37 * n) for n in range(129))
    assert refused(text) == passwords.TOO_LONG
    with pytest.raises(PasswordRefusedError):
        passwords.normal(text)


def test_a_megabyte_is_refused_before_it_is_normalised() -> None:
    """What cannot be ours in any spelling costs nothing."""
    assert refused("e\u0301" * 500_000) == passwords.TOO_LONG


@pytest.mark.parametrize("text", ["\u1f82", "\ud7a3", "\u00e9"])
def test_128_may_be_sent_in_any_normal_form(text: str) -> None:
    """The longest decomposition of 128 code points is taken."""
    decomposed = unicodedata.normalize("NFD", text * 128)
    assert len(decomposed) <= passwords.RAW_CODE_POINTS_MAX
    assert passwords.normal(decomposed) == text * 128


def test_no_code_point_of_nfc_has_more_than_four_in_another_form() -> None:
    """The limit before normalisation is one of Unicode's, not a guess."""
    characters = (chr(at) for at in range(0x110000) if not 0xD800 <= at < 0xE000)
    longest = max(
        len(unicodedata.normalize("NFD", each))
        for each in characters
        if unicodedata.is_normalized("NFC", each)
    )
    assert longest * passwords.CODE_POINTS_MAX == passwords.RAW_CODE_POINTS_MAX


@pytest.mark.parametrize("stray", ["\ud83d", "\uffff", "\U000e0fff", "\u0378"])
def test_what_is_no_character_is_refused(stray: str) -> None:
    """A lone surrogate has no UTF-8; an unassigned code point may have another NFC next year."""
    assert refused(GOOD + stray) == passwords.NOT_CHARACTERS


def test_two_spellings_of_one_text_are_one_password() -> None:
    """A keyboard that sends letters and accents apart opens what the other one set."""
    composed = "crème brûlée à volonté"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert passwords.normal(decomposed) == passwords.accept(composed, login=LOGIN)


@pytest.mark.parametrize(
    "other", [GOOD.upper(), f"{GOOD} ", f" {GOOD}", GOOD.replace(" ", ""), f"{GOOD}\0"]
)
def test_nothing_but_nfc_is_changed(other: str) -> None:
    """Case, spaces at the ends, and NUL count: another text is another password."""
    assert passwords.normal(other) == other != passwords.normal(GOOD)


@pytest.mark.parametrize(
    "compatible", ["ﬁfteen ﬁne letters", "№ 4 of the ℡ list", "x² + y² = z² + 1"]
)
def test_compatible_characters_stay_themselves(compatible: str) -> None:
    """NFC, not NFKC: a ligature is not its letters."""
    assert passwords.normal(compatible) == compatible


@given(st.text(max_size=140))
def test_a_normal_password_is_normal(text: str) -> None:
    """Normalising again changes nothing, so that what was set can be given."""
    try:
        once = passwords.normal(text)
    except PasswordRefusedError:
        return
    assert passwords.normal(once) == once == unicodedata.normalize("NFC", text)
    assert len(once) <= passwords.CODE_POINTS_MAX


@given(st.text(min_size=15, max_size=128))
def test_what_may_be_set_may_be_given(text: str) -> None:
    """Whatever is accepted is in the spelling that sign-in compares."""
    try:
        accepted = passwords.accept(text, login=LOGIN)
    except PasswordRefusedError:
        return
    assert passwords.normal(text) == accepted


@pytest.mark.parametrize(
    "text",
    [
        "passwordpassword",
        "PasswordPassword",
        "aaaaaaaaaaaaaaaa",
        "abcxyzabcxyzabcxyz",
        "123456789012345",
        "qwertyuiopasdfgh",
        "Correct Horse Battery Staple",
        "P@ssw0rd-P@ssw0rd-2024",
        "iloveyou20242024!",
        unicodedata.normalize("NFD", "éé") * 8,
    ],
)
def test_what_is_guessed_first_is_refused(text: str) -> None:
    """A common password is none, however long it was made, and whatever its case."""
    assert refused(text) == passwords.COMMON


@pytest.mark.parametrize(
    "text",
    [
        LOGIN,
        LOGIN.upper(),
        f"{LOGIN}2024",
        "dora.winkel.dora.winkel",
        "Dora-Winkel-1-2-3",
        "WinkelWinkelWinkel!",
        "portcullisportcullis",
        "Portcullis2026!Dora",
        "api.kvarnhuset.test",
        "kvarnhuset-kvarnhuset",
        "passwordkvarnhuset!!",
        "portcullis password 1",
    ],
)
def test_what_everybody_knows_of_the_account_is_refused(text: str) -> None:
    """Login name, host and product make no password, nor do they with digits and common words."""
    assert refused(text) == passwords.CONTEXT


def test_a_context_word_may_stand_in_a_password() -> None:
    """What remains beside the name is what counts."""
    text = "winkel lost 4 grey anvils"
    assert passwords.accept(text, login=LOGIN) == text


def test_the_context_is_the_owner_s() -> None:
    """Another's login name is no context."""
    text = "gregor.samsa.prague"
    assert passwords.accept(text, login=LOGIN) == text
    assert refused(text, login="Gregor.Samsa@prague.example") == passwords.CONTEXT


@pytest.mark.parametrize("login", ["", "@", "a@b", "."])
def test_a_short_login_name_bars_nothing(login: str) -> None:
    """A name of a letter or two is no word to be taken away, nor is the empty one."""
    assert passwords.accept(GOOD, login=login) == GOOD


def test_remains_of_eight_are_enough() -> None:
    """Eight code points beside common words are accepted, seven are not."""
    assert passwords.accept("passwordk7wqx2vd", login=LOGIN)
    assert refused("passwordk7wqx2v") == passwords.COMMON
