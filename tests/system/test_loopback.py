"""Nobody else on the network can reach the stack on a laptop."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.stack import Stack

LISTEN = "0A"
SOCKET = re.compile(r"socket:\[(\d+)\]")


def processes(endpoint: str) -> Iterator[Path]:
    """Yield the emulator that serves *endpoint* and every process under it, as /proc folders."""
    port = str(urlsplit(endpoint).port)
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            parents[folder] = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has ended meanwhile
        if b"infra.local.emulator" in command and port.encode() in command:
            found = folder
    yield found
    yield from (folder for folder, parent in parents.items() if parent == found.name)


def listening(folder: Path) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Yield the addresses on which a process accepts TCP connections."""
    try:
        links = [str(link.readlink()) for link in (folder / "fd").iterdir()]
    except OSError:
        return  # it has ended meanwhile
    own = {match[1] for link in links if (match := SOCKET.fullmatch(link))}
    for table, kind in (("tcp", ipaddress.IPv4Address), ("tcp6", ipaddress.IPv6Address)):
        for line in (Path("/proc/net") / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != LISTEN or fields[9] not in own:
                continue
            words = re.findall("........", fields[1].partition(":")[0])
            yield kind(b"".join(bytes.fromhex(word)[::-1] for word in words))


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    """The stack's own endpoint and its two doors listen on 127.0.0.1, and nothing else listens."""
    addresses = [one for folder in processes(stack.endpoint) for one in listening(folder)]
    assert [str(address) for address in addresses] == ["127.0.0.1"] * 3
