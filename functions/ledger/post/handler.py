"""POST /postings (internal): post what a user ordered through the money zone."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.response import replayed_header
from portcullis.evidence.commands import ENVELOPE_BYTES_MAX, Envelope
from portcullis.ledger import authority, orders, post
from portcullis.ledger.answers import answer


@endpoint(body=Envelope, body_bytes_max=ENVELOPE_BYTES_MAX)
def handler(request: Request[Any]) -> Response:
    compact, now_s = request.body.command, clock.now_s()
    command = authority.money_command(compact, caller_role=request.caller_role, now_s=now_s)
    order = orders.of_user(command)
    posted = post.post(order, command=compact, floor_minor=0, now_s=now_s)
    return Response(201, answer(order, posted), replayed_header(replayed=posted.replayed))
