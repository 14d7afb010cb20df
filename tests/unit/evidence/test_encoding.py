"""base64url: one text for each value, and no other text for any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError


@given(st.binary(max_size=200))
def test_bytes_survive(raw: bytes) -> None:
    """What is encoded is decoded to the same bytes, without padding on the way."""
    assert unb64url(b64url(raw)) == raw
    assert "=" not in b64url(raw)


@pytest.mark.parametrize(
    "text",
    [
        "AA==",
        "AA=",
        "AAA=",
        "A",
        "AAAAA",
        "AB",  # stray bits
        "AAB",
        "++++",
        "////",
        "A+A_",
        "AA AA",
        " AAAA",
        "AAAA\n",
        "AA\tAA",
        "AAAA\x00",
        "ÄAAA",
        "AAAA\N{FULLWIDTH LATIN CAPITAL LETTER A}",
        "AAA\N{KELVIN SIGN}",
        "AAAA.",
        "=",
        "====",
    ],
)
def test_every_other_spelling_is_refused(text: str) -> None:
    """Padding, the other alphabet, stray bits, white space and non-ASCII are refused."""
    with pytest.raises(EvidenceError):
        unb64url(text)


@given(st.text(max_size=40))
def test_no_two_texts_mean_the_same_bytes(text: str) -> None:
    """A text that decodes is the very text that its bytes encode to."""
    try:
        raw = unb64url(text)
    except EvidenceError:
        return
    assert b64url(raw) == text
