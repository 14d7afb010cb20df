"""What a session's owner is told about where it was started, and what a verdict knows of a device.

Coarse on purpose: enough to recognise, too little to track. What it is derived from, address and
User-Agent, is not kept.
"""

import ua_parser

UNKNOWN = "unknown"
DEVICE_CHARS_MAX = 80

# For what every judged request passes, signs and not ua-parser: a kind is one of a few constants,
# never a client's own text, and ua-parser's thousand patterns take longer to compile than the gate
# may take to start.

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

_CLIENTS = (
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python", "Python"),
    ("Python", "Python"),
    ("Go-http-client/", "Go"),
    ("Java", "Java"),
    ("Dart/", "Dart"),
    ("PostmanRuntime/", "Postman"),
)
"""The same, of what is no browser."""

_OWN_ENGINES = {_APPLE: "WebKit", _LINUX: "Blink"}
"""What an app shows its web pages with, so what its own requests count as."""


def device(user_agent: str) -> str:
    """Return a name such as ``Firefox on Windows`` for a User-Agent."""
    parsed = ua_parser.parse(user_agent)
    browser = parsed.user_agent.family if parsed.user_agent else UNKNOWN
    system = parsed.os.family if parsed.os else UNKNOWN
    return f"{browser} on {system}"[:DEVICE_CHARS_MAX]


def kind(user_agent: str) -> str:
    """Return what a device is for a verdict, such as ``WebKit on Apple``: one of ``KINDS``.

    The class of its system and of its engine. So coarse that an update, a request for the desktop
    site, and an app's own requests beside those of its web view do not change it; so it cannot
    tell a phone from a laptop of the same maker. A well-known client that is no browser is its own
    kind; any other is unknown.
    """
    system = _first(_SYSTEMS, user_agent)
    engine = _first(_ENGINES, user_agent)
    if engine == UNKNOWN:
        engine = _OWN_ENGINES.get(system, UNKNOWN)
    return _first(_CLIENTS, user_agent) if engine == UNKNOWN else f"{engine} on {system}"


KINDS = frozenset(
    {
        *(
            f"{engine} on {system}"
            for _, engine in _ENGINES
            for system in (UNKNOWN, *(name for _, name in _SYSTEMS))
        ),
        *(client for _, client in _CLIENTS),
        UNKNOWN,
    }
)
"""Every kind of device there is."""


def _first(signs: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for sign, name in signs if sign in user_agent), UNKNOWN)
