"""POST /deposits (internal): post a partner's deposit from its own house."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.response import replayed_header
from portcullis.evidence.commands import Envelope
from portcullis.ledger import authority, orders, post
from portcullis.ledger.answers import answer


@endpoint(body=Envelope)
def handler(request: Request[Any]) -> Response:
    compact, now_s = request.body.command, clock.now_s()
    command, partner = authority.partner_command(
        compact, caller_role=request.caller_role, now_s=now_s
    )
    order = orders.of_partner(command, partner)
    floor_minor = partner.floor_of(order.currency)
    posted = post.post(order, command=compact, floor_minor=floor_minor, now_s=now_s)
    return Response(201, answer(order, posted), replayed_header(replayed=posted.replayed))
