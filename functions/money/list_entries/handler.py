"""GET /wallets/{currency}/entries: the statement of one of the caller's wallets."""

from typing import Any

from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.money import ledger


@endpoint(query=frozenset({"limit", "cursor"}))
def handler(request: Request[Any]) -> Response:
    page = ledger.read(request.path, query=request.query, who=caller_of(request))
    return Response(200, page)
