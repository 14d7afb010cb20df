"""GET /wallets/{currency}/entries (internal): a statement, on the user's evidence."""

from typing import Any

from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import on_behalf_of
from portcullis.ledger import statements


@endpoint(query=frozenset({"limit", "cursor"}))
def handler(request: Request[Any]) -> Response:
    page = statements.entries(
        on_behalf_of(request).account,
        request.path_parameters["currency"],
        limit=request.query.get("limit"),
        cursor=request.query.get("cursor"),
    )
    return Response(200, page)
