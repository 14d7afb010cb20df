"""DELETE /passkeys/{id}: remove a passkey, never the last complete way in."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.evidence.approvals import Act
from portcullis.identity import changes, passkey_list
from portcullis.vocabulary import APPROVAL_HEADER

ROUTE = ("DELETE", "/passkeys/{id}")


@endpoint()
def handler(request: Request[Any]) -> Response:
    who, now_s, passkey = caller_of(request), clock.now_s(), request.id_in_path()
    principal = changes.principal(
        who,
        route=ROUTE,
        act=Act(kind="remove-passkey", fields=[passkey]),
        approval=request.header(APPROVAL_HEADER),
        now_s=now_s,
    )
    passkey_list.remove(passkey, principal=principal, now_s=now_s)
    return Response(204)
