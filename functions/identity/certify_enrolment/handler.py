"""certify-enrolment: sign that a passkey belongs to an account, on evidence."""

from typing import Any

from portcullis import clock
from portcullis.edge.operation import operation
from portcullis.identity import certifier
from portcullis.identity.certifier import Evidence


@operation(Evidence)
def handler(evidence: Evidence) -> dict[str, Any]:
    return certifier.certify(evidence, now_s=clock.now_s())
