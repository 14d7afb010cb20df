"""POST /accounts/{account}/lift (internal): two operators lift an account's quarantine."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.evidence.commands import Pair
from portcullis.identity import lifting


@endpoint(body=Pair)
def handler(request: Request[Any]) -> Response:
    account = request.path_parameters["account"]
    since_s = lifting.by_operators(
        account,
        request.body.commands,
        caller_role=request.caller_role,
        now_s=clock.now_s(),
    )
    since = clock.rfc3339(since_s)
    return Response(200, {"account": account, "approval_required_since": since})
