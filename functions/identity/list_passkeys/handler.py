"""GET /passkeys: the account's passkeys."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import assurance, passkey_list

ROUTE = ("GET", "/passkeys")


@endpoint()
def handler(request: Request[Any]) -> Response:
    token = caller_of(request).token
    assurance.demand(token, route=ROUTE, now_s=clock.now_s())
    return Response(200, {"passkeys": passkey_list.show(token)})
