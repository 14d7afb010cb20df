"""GET /wallets (internal): a user's wallets, shown to the money zone on the user's evidence."""

from typing import Any

from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import on_behalf_of
from portcullis.ledger import statements


@endpoint()
def handler(request: Request[Any]) -> Response:
    return Response(200, {"wallets": statements.wallets(on_behalf_of(request).account)})
