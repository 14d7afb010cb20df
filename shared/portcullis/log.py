"""One structured line per request, of allow-listed fields only.

Logs outlive the access rules of what they describe: no event, header, body, model, exception
text or client value is ever a field.
"""

from typing import Literal, TypedDict

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

Outcome = Literal["done", "refused", "failed"]

# A location would always be this module.
_logger = Logger(service="portcullis", location=None)


class Fields(TypedDict, total=False):
    """Every field that may be logged."""

    function: str
    request_id: str
    status: int
    code: str
    check: str
    exception: str
    place: str
    duration_ms: int


def request(outcome: Outcome, fields: Fields) -> None:
    """Log the end of one request and count it by outcome."""
    _logger.info(outcome, extra=dict(fields))
    metrics = Metrics(namespace="Portcullis", service=fields.get("function", "unknown"))
    metrics.add_metric(name=outcome, unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


def alarm(code: str, fields: Fields) -> None:
    """Log a security event that somebody should see."""
    _logger.warning(code, extra=dict(fields))
