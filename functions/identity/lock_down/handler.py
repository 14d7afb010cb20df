"""POST /lockdown (internal): one operator freezes outgoing money for everybody."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.evidence.commands import Envelope
from portcullis.identity import lockdown


@endpoint(body=Envelope)
def handler(request: Request[Any]) -> Response:
    stands = lockdown.lock_down(
        request.body.command, caller_role=request.caller_role, now_s=clock.now_s()
    )
    since = clock.rfc3339(stands.since)
    return Response(200, {"locked": stands.locked, "since": since, "reason": stands.reason})
