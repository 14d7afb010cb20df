"""POST /passkeys/options: the options of the ceremony that makes one more passkey."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import changes, passkey_adding
from portcullis.schema import Strict

ROUTE = ("POST", "/passkeys/options")


class Nothing(Strict):
    """An empty object."""


@endpoint(body=Nothing)
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    return Response(200, {"publicKey": passkey_adding.options(principal, now_s=now_s)})
