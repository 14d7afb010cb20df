"""The loopback ports of a stack: given by the environment, refused if another process has one."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from infra.local.process import Ports

VARIABLES = {"PUBLIC_PORT": 8080, "INTERNAL_PORT": 8081, "AWS_PORT": 4702}
PORT_MAX = 65535
CONNECT_S_MAX = 1


class PortError(Exception):
    """A port cannot be used; its text names it and says how to choose another."""


def chosen_ports(environment: Mapping[str, str]) -> Ports:
    """Return the ports that the environment chooses, or the usual ones.

    Raises:
        PortError: a value is no port, or one is named twice.
    """
    numbers = []
    for variable, usual in VARIABLES.items():
        value = environment.get(variable) or str(usual)
        if not value.isascii() or not value.isdigit() or not 0 < int(value) <= PORT_MAX:
            raise PortError(f"{variable} must be a port, 1 to {PORT_MAX}, not {value!r}")
        numbers.append(int(value))
    if len(set(numbers)) < len(numbers):
        raise PortError(f"{', '.join(VARIABLES)} must differ: {numbers}")
    public, internal, aws = numbers
    return Ports(public=public, internal=internal, aws=aws)


def free_ports() -> Ports:
    """Return three ports that nothing listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in VARIABLES]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        public, internal, aws = (each.getsockname()[1] for each in sockets)
    return Ports(public=public, internal=internal, aws=aws)


def require_free(ports: Ports) -> None:
    """Return if nothing listens on a stack's ports.

    Raises:
        PortError: something does.
    """
    for variable, port in zip(VARIABLES, (ports.public, ports.internal, ports.aws), strict=True):
        if _answers(port):
            raise PortError(
                f"Port {port} of this machine is taken by another program. "
                f"Stop that, or choose another port: make run {variable}={_suggestion(port)}\n"
                f"(A second stack also needs a name of its own: {', '.join(VARIABLES)}, STACK.)"
            )


def _answers(port: int) -> bool:
    # A client that is told `localhost` tries the address of IPv6 first.
    for family, address in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]:
        try:
            with socket.socket(family) as client:
                client.settimeout(CONNECT_S_MAX)
                if client.connect_ex((address, port)) == 0:
                    return True
        except OSError:  # This machine has no IPv6.
            continue
    return False


def _suggestion(port: int) -> int:
    return port + 1000 if port + 1000 <= PORT_MAX else port - 1000
