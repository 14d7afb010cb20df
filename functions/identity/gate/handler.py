"""The gate: the REQUEST authorizer of every route that needs a session."""

from collections.abc import Mapping
from typing import Any

from portcullis.edge.authorizer import authorize
from portcullis.identity import gate, nonces


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    return authorize(gate.admit, event, context, nonce=nonces.fresh)
