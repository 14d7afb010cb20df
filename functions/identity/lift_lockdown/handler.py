"""POST /lockdown/lift (internal): two operators let money go out again."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.evidence.commands import Pair
from portcullis.identity import lockdown


@endpoint(body=Pair)
def handler(request: Request[Any]) -> Response:
    stands = lockdown.lift(
        request.body.commands, caller_role=request.caller_role, now_s=clock.now_s()
    )
    return Response(200, {"locked": stands.locked, "since": clock.rfc3339(stands.since)})
