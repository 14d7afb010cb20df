"""What a session's owner is told about where it was started, and what a verdict knows of a device.

Coarse on purpose: enough to recognise, too little to track. What it is derived from, address and
User-Agent, is not kept.
"""

import iptocc
import ua_parser

UNKNOWN = "unknown"
DEVICE_CHARS_MAX = 80

# Signs, not ua-parser, for what every judged request passes: its thousand patterns take longer to
# compile than the gate may take to start.

_APPLE = "Apple"
_LINUX = "Android or Linux"

_SYSTEMS = (
    ("Windows", "Windows"),
    ("iPhone", _APPLE),
    ("iPad", _APPLE),
    ("Macintosh", _APPLE),
    ("iOS", _APPLE),
    ("CFNetwork/", _APPLE),
    ("Android", _LINUX),
    ("Dalvik/", _LINUX),
    ("okhttp/", _LINUX),
    ("Linux", _LINUX),
    ("CrOS", _LINUX),
)
"""The first sign that a User-Agent holds. Whoever asks for the desktop site turns from a tablet
into a Mac, and from Android into Linux: one class each."""

_ENGINES = (
    ("Firefox/", "Gecko"),
    ("Trident/", "Trident"),
    ("Chrome/", "Blink"),
    ("AppleWebKit/", "WebKit"),
)
"""The same. On iOS, Chrome and Firefox have WebKit inside and other names."""

_OWN_ENGINES = {_APPLE: "WebKit", _LINUX: "Blink"}
"""What an app shows its web pages with, so what its own requests count as."""


def device(user_agent: str) -> str:
    """Return a name such as ``Firefox on Windows`` for a User-Agent."""
    parsed = ua_parser.parse(user_agent)
    browser = parsed.user_agent.family if parsed.user_agent else UNKNOWN
    system = parsed.os.family if parsed.os else UNKNOWN
    return f"{browser} on {system}"[:DEVICE_CHARS_MAX]


def place(address: str) -> str:
    """Return the ISO 3166 code of the country of an address, or ``unknown``."""
    return iptocc.country_code(address) or UNKNOWN


def kind(user_agent: str) -> str:
    """Return what a device is for a verdict, such as ``WebKit on Apple``, or ``unknown``.

    The class of its system and of its engine. So coarse that an update, a request for the desktop
    site, and an app's own requests beside those of its web view do not change it; so it cannot
    tell a phone from a laptop of the same maker. A client that is no browser is its own kind.
    Never longer than 80 characters.
    """
    system = _first(_SYSTEMS, user_agent)
    engine = _first(_ENGINES, user_agent)
    if engine == UNKNOWN:
        engine = _OWN_ENGINES.get(system, UNKNOWN)
    if engine != UNKNOWN:
        return f"{engine} on {system}"
    parsed = ua_parser.parse_user_agent(user_agent)
    return parsed.family[:DEVICE_CHARS_MAX] if parsed else UNKNOWN


def _first(signs: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for sign, name in signs if sign in user_agent), UNKNOWN)
