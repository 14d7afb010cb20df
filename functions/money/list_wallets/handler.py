"""GET /wallets: the caller's wallets and their balances."""

from typing import Any

from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.money import ledger


@endpoint()
def handler(request: Request[Any]) -> Response:
    return Response(200, ledger.read(request.path, query={}, who=caller_of(request)))
