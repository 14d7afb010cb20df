"""What a session's owner is told about where it was started: a browser, a system, a country.

Coarse on purpose: enough to recognise, too little to track. What it is derived from, address and
User-Agent, is not kept.
"""

import iptocc
import ua_parser

UNKNOWN = "unknown"
DEVICE_CHARS_MAX = 80


def device(user_agent: str) -> str:
    """Return a name such as ``Firefox on Windows`` for a User-Agent."""
    parsed = ua_parser.parse(user_agent)
    browser = parsed.user_agent.family if parsed.user_agent else UNKNOWN
    system = parsed.os.family if parsed.os else UNKNOWN
    return f"{browser} on {system}"[:DEVICE_CHARS_MAX]


def place(address: str) -> str:
    """Return the ISO 3166 code of the country of an address, or ``unknown``."""
    return iptocc.country_code(address) or UNKNOWN
