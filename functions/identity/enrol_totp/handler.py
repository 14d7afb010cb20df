"""POST /totp: a new TOTP secret, to be confirmed."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.edge.evidence import caller_of
from portcullis.identity import changes, totp_enrolment
from portcullis.schema import Strict

ROUTE = ("POST", "/totp")


class Nothing(Strict):
    """An empty object."""


@endpoint(body=Nothing)
def handler(request: Request[Any]) -> Response:
    who, now_s = caller_of(request), clock.now_s()
    principal = changes.principal(who, route=ROUTE, now_s=now_s)
    return Response(201, totp_enrolment.enrol(principal, now_s=now_s))
