"""The ports of a stack: chosen by the environment, refused with the way out."""

import socket
from collections.abc import Iterator

import pytest

from infra.local.ports import PortError, chosen_ports, free_ports, require_free
from infra.local.process import Ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("which", ["public", "internal", "aws"])
def test_a_busy_port_is_named_with_the_way_to_choose_another(taken: int, which: str) -> None:
    """The message holds the port, the variable and a command to type."""
    free = free_ports()
    numbers = {"public": free.public, "internal": free.internal, "aws": free.aws, which: taken}
    with pytest.raises(PortError, match=f"Port {taken} .*make run {which.upper()}_PORT=[0-9]+"):
        require_free(Ports(**numbers))


def test_free_ports_pass() -> None:
    """Ports that nothing listens on are not refused, and are three."""
    ports = free_ports()
    require_free(ports)
    assert len({ports.public, ports.internal, ports.aws}) == 3


def test_the_usual_ports_stand_where_none_is_chosen() -> None:
    """A variable that is unset or empty leaves the usual port."""
    assert chosen_ports({"PUBLIC_PORT": "9080", "INTERNAL_PORT": ""}) == Ports(
        public=9080, internal=8081, aws=4702
    )


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "8080.0", "\uff18\uff10"])
def test_what_is_no_port_is_refused(value: str) -> None:
    """A value that is not 1 to 65535 is refused, with the name of its variable."""
    with pytest.raises(PortError, match="AWS_PORT"):
        chosen_ports({"AWS_PORT": value})


def test_one_port_for_two_listeners_is_refused() -> None:
    """AWS's own endpoint is never where the public API is."""
    with pytest.raises(PortError, match="differ"):
        chosen_ports({"AWS_PORT": "8080"})
