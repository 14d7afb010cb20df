"""POST /accounts/{account}/release (internal): two operators grant a code to a lost account."""

from typing import Any

from portcullis import clock
from portcullis.edge import Request, Response, endpoint
from portcullis.evidence.commands import Pair
from portcullis.identity import release


@endpoint(body=Pair)
def handler(request: Request[Any]) -> Response:
    account = request.path_parameters["account"]
    released = release.release(
        account,
        request.body.commands,
        caller_role=request.caller_role,
        now_s=clock.now_s(),
    )
    good_from = clock.rfc3339(released.good_from)
    return Response(201, {"account": account, "code": released.code, "good_from": good_from})
