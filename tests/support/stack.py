"""Where a running local stack says it can be reached."""

import json
from dataclasses import dataclass
from pathlib import Path

LOCAL = Path(".local")
"""Run-time state of the stacks on this machine, one folder each."""

ACCOUNT = "000000000000"
REGION = "us-east-1"


class StackNotRunningError(Exception):
    """There is no stack of that name to talk to."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The addresses of one local stack.

    Attributes:
        name: The CloudFormation stack, which prefixes every role and alias.
        public_origin: Where clients call.
        internal_origin: Where zones and partners call.
        endpoint: AWS itself, as the emulator serves it.
        partner_key: The sandbox partner's private key, a PEM file.
    """

    name: str
    public_origin: str
    internal_origin: str
    endpoint: str
    partner_key: Path

    @classmethod
    def load(cls, name: str = "portcullis", *, local: Path = LOCAL) -> "Stack":
        """Read `stack.json` of the stack of that name.

        Raises:
            StackNotRunningError: There is no such file: the stack was never started.
        """
        path = local / name / "stack.json"
        try:
            described = json.loads(path.read_text())
        except FileNotFoundError:
            raise StackNotRunningError("There is no such stack here.") from None
        return cls(
            name=described["stack"],
            public_origin=described["public_origin"],
            internal_origin=described["internal_origin"],
            endpoint=described["endpoint"],
            partner_key=Path(described["partner_key"]),
        )
