"""Claims of a verified payload as one typed value."""

from pydantic import BaseModel, ValidationError

from portcullis import strict_json
from portcullis.evidence.errors import EvidenceError


def read[Claims: BaseModel](payload: bytes, model: type[Claims]) -> Claims:
    """Return the claims in *payload* as *model*.

    Raises:
        EvidenceError: the payload is not strict JSON or not such claims.
    """
    try:
        return model.model_validate(strict_json.parse(payload))
    except (strict_json.JsonError, ValidationError):
        raise EvidenceError("claims") from None
