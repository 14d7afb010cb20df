"""Where a request came from, as the gateway saw it: never what a header claims."""

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

USER_AGENT_CHARS_MAX = 512
IPV4_PREFIX_BITS = 24
IPV6_PREFIX_BITS = 56
"""What a provider gives one home (RIPE-690 section 4.2)."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Source:
    """The address and the user agent of one request. The user agent is the client's own word."""

    address: str
    user_agent: str

    @classmethod
    def of(cls, *, address: str, user_agent: str) -> "Source":
        """Return the source, its user agent without controls and cut to 512 characters."""
        printable = "".join(char for char in user_agent if char.isprintable())
        return cls(address=address, user_agent=printable[:USER_AGENT_CHARS_MAX])

    @property
    def network(self) -> str:
        """The network of the address: IPv4 /24, IPv6 /56, in canonical text, or "unknown".

        Whoever has one address of a network has many, so limits are for networks.
        """
        address = host(self.address)
        if address is None:
            return UNKNOWN
        bits = IPV4_PREFIX_BITS if isinstance(address, IPv4Address) else IPV6_PREFIX_BITS
        return str(ipaddress.ip_network((address, bits), strict=False))


def host(address: str) -> IPv4Address | IPv6Address | None:
    """Return the one host that an address names, None if it names none.

    RFC 4291 section 2.5.5.2: an IPv4 host has an IPv6 address too, and is not two hosts.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv4Address):
        return parsed
    if parsed.scope_id is not None:
        return None  # a name that only the gateway's own machine understands
    return parsed.ipv4_mapped or parsed
