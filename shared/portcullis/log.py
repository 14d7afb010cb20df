"""One structured line per request, of allow-listed fields only.

Logs outlive the access rules of what they describe: no event, header, body, model, exception
text or client value is ever a field.
"""

import threading
from collections.abc import Mapping
from typing import Literal, TypedDict

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

Outcome = Literal["done", "refused", "failed"]
Measure = Literal["events-overdue", "events-left"]
PLATFORM = "portcullis"
"""The dimension of metrics that no single function answers for."""
ALARMS = "alarms"

_writing = threading.Lock()
"""What works beside a request may have something to say at the same time: a line is a line."""
# A location would always be this module.
_logger = Logger(service=PLATFORM, location=None)


class Fields(TypedDict, total=False):
    """Every field that may be logged."""

    function: str
    account: str
    request_id: str
    status: int
    code: str
    check: str
    exception: str
    place: str
    duration_ms: int


def request(outcome: Outcome, fields: Fields) -> None:
    """Log the end of one request and count it by outcome."""
    with _writing:
        _logger.info(outcome, extra=dict(fields))
        _count(fields.get("function", "unknown"), {outcome: 1})


def alarm(code: str, fields: Fields) -> None:
    """Log a security event that somebody should see, and count it: by its code, and with all."""
    with _writing:
        _logger.warning(code, extra=dict(fields))
        _count(PLATFORM, {ALARMS: 1, code: 1})


def measure(name: Measure, value: int) -> None:
    """Report how many there are of something, as a metric of the whole platform."""
    with _writing:
        _count(PLATFORM, {name: value})


def _count(service: str, counts: Mapping[str, int]) -> None:
    # Metrics of one call alone: powertools' other kind is one set for all threads of a process.
    metrics = EphemeralMetrics(namespace="Portcullis", service=service)
    for name, value in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
