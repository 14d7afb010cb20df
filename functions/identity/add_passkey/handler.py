"""POST /passkeys: add a passkey to the account."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import changes, passkey_adding
from portcullis.identity.passkey_adding import Addition

ROUTE = ("POST", "/passkeys")


@endpoint(body=Addition)
def handler(request: Request[Any]) -> Response:
    addition: Addition = request.body
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(
        who, route=ROUTE, act=addition.act, approval=addition.approval, now_s=now_s
    )
    passkey = passkey_adding.add(addition, principal=principal, evidence=who, now_s=now_s)
    return Response(201, passkey)
