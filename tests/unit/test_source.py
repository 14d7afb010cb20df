"""Where a request came from: an address and its network, and a user agent of bounded length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.source import USER_AGENT_CHARS_MAX, Source


def network(address: str) -> str:
    """Return the network of an address."""
    return Source.of(address=address, user_agent="").network


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("203.0.113.255", "203.0.113.0/24"),
        ("203.0.114.0", "203.0.114.0/24"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("2001:DB8:0001:02AB:0000::9", "2001:db8:1:200::/56"),
        ("2001:db8:1:300::", "2001:db8:1:300::/56"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("::ffff:cb00:7109", "203.0.113.0/24"),
        ("::1", "::/56"),
    ],
)
def test_an_address_has_one_network(address: str, expected: str) -> None:
    """IPv4 /24, IPv6 /56, IPv4 in IPv6 as what it is; one spelling each."""
    assert network(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "unknown",
        "203.0.113",
        "203.0.113.9 ",
        "203.0.113.9:443",
        "203.0.113.009",
        "203.0.113.9, 198.51.100.7",
        "203.0.113.0/24",
        "[2001:db8::1]",
        "fe80::1%eth0",
        "2001:db8::1%25a",
        "1:2:3",
        "é",
        "3405803785",
    ],
)
def test_what_is_no_address_has_no_network(address: str) -> None:
    """Whatever cannot be read is one network, so that it is limited together."""
    assert network(address) == "unknown"


@given(st.text())
def test_any_text_has_a_network(address: str) -> None:
    """No text is a failure."""
    assert network(address)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"),
        ("", ""),
        ("a\r\nb\x00c\x1bd\x7fe\u202ef\u2028g", "abcdefg"),
        ("a" * 600, "a" * USER_AGENT_CHARS_MAX),
        ("\x00" * 600 + "a", "a"),
    ],
)
def test_a_user_agent_is_bounded_and_printable(sent: str, kept: str) -> None:
    """Controls and direction marks are dropped, and no more than 512 characters are kept."""
    assert Source.of(address="", user_agent=sent).user_agent == kept


@given(st.text())
def test_any_user_agent_is_bounded_and_printable(sent: str) -> None:
    """Whatever a client calls itself."""
    kept = Source.of(address="", user_agent=sent).user_agent
    assert len(kept) <= USER_AGENT_CHARS_MAX
    assert kept.isprintable()
