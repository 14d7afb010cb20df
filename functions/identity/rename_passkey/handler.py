"""PATCH /passkeys/{id}: give a passkey another label."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import changes, passkey_list
from portcullis.identity.passkey_list import Label
from portcullis.schema import Strict

ROUTE = ("PATCH", "/passkeys/{id}")


class RenamePasskey(Strict):
    """The new label."""

    label: Label


@endpoint(body=RenamePasskey)
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    passkey_list.rename(request.id_in_path(), request.body.label, principal=principal, now_s=now_s)
    return Response(204)
