"""POST /wallets: order a wallet of one currency."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import signer_of_order
from portcullis.edge.response import replayed_header
from portcullis.evidence import orders
from portcullis.evidence.orders import OpenWallet
from portcullis.money import ledger


@endpoint(body=OpenWallet, body_bytes_max=orders.BYTES_MAX)
def handler(request: Request[Any]) -> Response:
    who, key = signer_of_order(request)
    answer, replayed = ledger.order(
        "open-wallet",
        request.body,
        body=request.raw_body,
        key=key,
        who=who,
        now_s=clock.now_s(),
    )
    return Response(201, answer, replayed_header(replayed=replayed))
