"""POST /transfers: order a transfer; the ledger derives it from the signed body."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import signer_of_order
from portcullis.edge.response import replayed_header
from portcullis.evidence import orders
from portcullis.evidence.orders import Transfer
from portcullis.money import ledger
from portcullis.vocabulary import APPROVAL_HEADER


@endpoint(body=Transfer, body_bytes_max=orders.BYTES_MAX)
def handler(request: Request[Any]) -> Response:
    who, key = signer_of_order(request)
    answer, replayed = ledger.order(
        "transfer",
        request.body,
        body=request.raw_body,
        key=key,
        who=who,
        approval=request.header(APPROVAL_HEADER),
        now_s=clock.now_s(),
    )
    return Response(201, answer, replayed_header(replayed=replayed))
