"""Refresh tokens: ours or not, without any I/O; and what a sealed successor opens to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis import entropy
from portcullis.identity.families import (
    CHARS_MAX,
    GENERATION_DIGITS_MAX,
    Handle,
    InvalidGrantError,
    Keys,
    RefreshToken,
    handle_in,
)
from tests.support.jws import b64url, b64url_decode

KEYS = Keys(b"p" * 32)
OTHER_KEYS = Keys(b"q" * 32)
ACCOUNT_RAW = bytes(range(16))
HANDLE = Handle.new(ACCOUNT_RAW)
TOKEN = KEYS.mint(HANDLE, 7)
TEXT = KEYS.text(TOKEN)
CONTEXT = b"context"


def refused(text: str, keys: Keys = KEYS) -> None:
    """Demand that a text is no token of ours."""
    with pytest.raises(InvalidGrantError):
        keys.parse(text)


def shapeless(text: str) -> None:
    """Demand that a text has not even the shape of a token."""
    refused(text)
    with pytest.raises(InvalidGrantError):
        handle_in(text)


def parts() -> list[str]:
    """Return the five parts of the good text."""
    return TEXT.split(".")


# ---- handles ------------------------------------------------------------------------------------


def test_a_handle_names_its_account_and_session() -> None:
    """The account's id is in it, and the session's id follows from it."""
    assert HANDLE.account == entropy.id_from_bytes(ACCOUNT_RAW)
    assert HANDLE.sid == Handle(HANDLE.raw).sid
    assert len(HANDLE.sid) == 26


def test_two_families_of_one_account_are_two_sessions() -> None:
    """Handles are random beyond the account."""
    other = Handle.new(ACCOUNT_RAW)
    assert (other.account, other.sid != HANDLE.sid) == (HANDLE.account, True)


def test_a_session_id_does_not_lead_back_to_the_handle() -> None:
    """Who knows the `sid` of an access token cannot name the family."""
    raw = HANDLE.raw[16:]
    assert HANDLE.sid != entropy.id_from_bytes(raw)
    assert HANDLE.sid not in b64url(HANDLE.raw).lower()


# ---- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", [1, 2, 10, 10**GENERATION_DIGITS_MAX - 1])
def test_a_token_survives_its_text(generation: int) -> None:
    """What is minted is parsed: handle, generation and secret."""
    token = KEYS.mint(HANDLE, generation)
    text = KEYS.text(token)
    assert KEYS.parse(text) == token
    assert text.startswith("prt1.")
    assert len(text) <= CHARS_MAX


def test_a_token_of_any_generation_is_ours() -> None:
    """An old token has a good tag: that it is spent is told by the session, not by the text."""
    for generation in (1, 6, 8, 10**8):
        assert KEYS.parse(KEYS.text(KEYS.mint(HANDLE, generation))).generation == generation


def test_a_secret_is_fresh() -> None:
    """Two tokens of one generation are two."""
    assert KEYS.mint(HANDLE, 7).secret != TOKEN.secret


def test_what_is_stored_of_a_token_is_not_the_token() -> None:
    """The digest is one way, and follows from the secret."""
    assert TOKEN.digest == KEYS.parse(TEXT).digest
    assert len(TOKEN.digest) == 32
    assert TOKEN.digest != TOKEN.secret


def test_another_zones_secret_makes_no_token_of_ours() -> None:
    """A tag by another key is refused."""
    refused(TEXT, OTHER_KEYS)
    refused(OTHER_KEYS.text(TOKEN))


@pytest.mark.parametrize("part", range(5))
def test_a_changed_part_is_refused(part: int) -> None:
    """The tag covers everything before it, and itself has one value."""
    changed = parts()
    last = changed[part][-1]
    changed[part] = changed[part][:-1] + ("Q" if last != "Q" else "g")
    refused(".".join(changed))


@pytest.mark.parametrize(
    "generation",
    ["8", "6", "0", "07", "+7", "-7", "7 ", " 7", "\N{ARABIC-INDIC DIGIT SEVEN}", "", "7e0"],
)
def test_another_generation_is_refused(generation: str) -> None:
    """A holder cannot make its token younger or older."""
    changed = parts()
    changed[2] = generation
    refused(".".join(changed))


@pytest.mark.parametrize("tag", [b"", bytes(16), bytes(15), bytes(17)], ids=len)
def test_another_tag_is_refused(tag: bytes) -> None:
    """None, another, a shorter and a longer tag are all no tag of ours."""
    refused(f"{TEXT.rpartition('.')[0]}.{b64url(tag)}")


@pytest.mark.parametrize(
    "token",
    [
        RefreshToken(Handle(HANDLE.raw[:-1]), 7, TOKEN.secret),
        RefreshToken(Handle(HANDLE.raw + b"x"), 7, TOKEN.secret),
        RefreshToken(Handle(b""), 7, TOKEN.secret),
        RefreshToken(HANDLE, 7, TOKEN.secret[:-1]),
        RefreshToken(HANDLE, 7, TOKEN.secret + b"x"),
        RefreshToken(HANDLE, 7, b""),
        RefreshToken(HANDLE, -7, TOKEN.secret),
        RefreshToken(HANDLE, 10**GENERATION_DIGITS_MAX, TOKEN.secret),
    ],
    ids=["handle-1", "handle+1", "no handle", "secret-1", "secret+1", "no secret", "<0", "digits"],
)
def test_even_under_a_good_tag_parts_have_their_lengths(token: RefreshToken) -> None:
    """A text of another shape is refused, though the zone's own key made its tag."""
    shapeless(KEYS.text(token))


def test_a_part_of_another_token_is_refused() -> None:
    """Handle, secret or tag of one token do not go with another's."""
    other = KEYS.text(KEYS.mint(Handle.new(ACCOUNT_RAW), 7)).split(".")
    for at in (1, 3, 4):
        mixed = parts()
        mixed[at] = other[at]
        refused(".".join(mixed))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "....",
        "prt1",
        "prt1....",
        TEXT + ".",
        TEXT + "=",
        TEXT + " ",
        TEXT + "\n",
        " " + TEXT,
        TEXT + "." + TEXT,
        TEXT.rpartition(".")[0],
        TEXT.replace("prt1", "prt2"),
        TEXT.replace("prt1", "PRT1"),
        TEXT.upper(),
        TEXT.replace(".", ". "),
        TEXT.replace(".", ","),
        "é" + TEXT[1:],
        TEXT[:-1] + "é",
        TEXT[:-1] + "\ud800",
        "\ud800" + TEXT[1:],
        TEXT[:-1] + "\N{FULLWIDTH LATIN CAPITAL LETTER A}",
        "x" * (CHARS_MAX + 1),
        "." * 100_000,
        "eyJhbGciOiJFUzI1NiJ9.e30.AA",
    ],
)
def test_what_is_not_exactly_one_of_our_texts_is_refused(text: str) -> None:
    """Cut, joined, padded, in another alphabet or another kind of token: refused."""
    shapeless(text)


@given(st.text(max_size=200) | st.lists(st.text(max_size=30), max_size=6).map(".".join))
def test_any_text_is_refused(text: str) -> None:
    """Nothing but a refusal comes out of any text."""
    shapeless(text)


def test_the_handle_of_a_token_is_read_without_the_secret() -> None:
    """Revocation needs no key: a token of any tag names its family, and is still refused."""
    changed = f"{TEXT.rpartition('.')[0]}.{b64url(bytes(16))}"
    assert handle_in(TEXT) == handle_in(changed) == HANDLE
    refused(changed)


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_any_one_character_exchanged_is_refused(at: int, put: str) -> None:
    """There is one text for each token."""
    text = TEXT[:at] + put + TEXT[at + 1 :]
    if text != TEXT:
        refused(text)


# ---- seals --------------------------------------------------------------------------------------

SUCCESSOR = KEYS.mint(HANDLE, 8)
SEALED = KEYS.seal(SUCCESSOR, spent=TOKEN, context=CONTEXT)


def test_the_spent_token_opens_its_successor() -> None:
    """Whoever presents the predecessor gets the very same successor."""
    assert KEYS.unseal(SEALED, spent=TOKEN, context=CONTEXT) == SUCCESSOR


def test_a_seal_hides_the_successor() -> None:
    """Neither secret is in what is stored, and no two seals are alike."""
    assert SUCCESSOR.secret not in SEALED
    assert TOKEN.secret not in SEALED
    assert KEYS.seal(SUCCESSOR, spent=TOKEN, context=CONTEXT) != SEALED


@pytest.mark.parametrize("context", [b"", b"Context", b"context ", b"context|8"])
def test_another_context_opens_nothing(context: bytes) -> None:
    """A seal copied to another session, generation, key or time does not open."""
    with pytest.raises(InvalidGrantError):
        KEYS.unseal(SEALED, spent=TOKEN, context=context)


def test_another_token_opens_nothing() -> None:
    """The successor itself, and a token of the same generation with another secret, do not."""
    for token in (SUCCESSOR, KEYS.mint(HANDLE, 7)):
        with pytest.raises(InvalidGrantError):
            KEYS.unseal(SEALED, spent=token, context=CONTEXT)


def test_the_table_without_the_zones_secret_opens_nothing() -> None:
    """An old token and all backups are not enough: the pepper is needed."""
    with pytest.raises(InvalidGrantError):
        OTHER_KEYS.unseal(SEALED, spent=TOKEN, context=CONTEXT)


@pytest.mark.parametrize("at", [0, 11, 12, len(SEALED) - 1])
def test_a_changed_seal_opens_nothing(at: int) -> None:
    """A bit flipped in nonce, box or tag is seen."""
    changed = bytearray(SEALED)
    changed[at] ^= 1
    with pytest.raises(InvalidGrantError):
        KEYS.unseal(bytes(changed), spent=TOKEN, context=CONTEXT)


@pytest.mark.parametrize("length", [28, 40, len(SEALED) - 1])
def test_a_shortened_seal_opens_nothing(length: int) -> None:
    """A seal is whole or worthless."""
    with pytest.raises(InvalidGrantError):
        KEYS.unseal(SEALED[:length], spent=TOKEN, context=CONTEXT)


def test_tag_and_seal_keys_differ_from_the_secret_they_come_from() -> None:
    """The zone's secret itself is no key of anything: a tag under it is refused."""
    body = TEXT.rpartition(".")[0]
    tag = b64url_decode(parts()[4])
    assert len(tag) == 16
    token = RefreshToken(HANDLE, 7, TOKEN.secret)
    assert Keys(b"p" * 32).text(token) == f"{body}.{parts()[4]}"
    assert Keys(b"p" * 31 + b"o").text(token) != TEXT
