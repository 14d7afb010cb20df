"""restrain: act on a verdict, by killing or by demanding an approval."""

from typing import Any

from portcullis import clock
from portcullis.edge.operation import operation
from portcullis.identity import restraint
from portcullis.identity.restraint import Restraint


@operation(Restraint)
def handler(order: Restraint) -> dict[str, Any]:
    return restraint.restrain(order, now_s=clock.now_s())
