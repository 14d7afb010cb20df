"""Where a request came from, as the gateway saw it: never what a header claims."""

import ipaddress
from dataclasses import dataclass

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
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return UNKNOWN
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return UNKNOWN  # a name that only the gateway's own machine understands
            if address.ipv4_mapped is None:
                return str(ipaddress.ip_network((address, IPV6_PREFIX_BITS), strict=False))
            # RFC 4291 section 2.5.5.2: one IPv4 host must not have two networks.
            address = address.ipv4_mapped
        return str(ipaddress.ip_network((address, IPV4_PREFIX_BITS), strict=False))
