"""The log: one line of allow-listed fields, and one count."""

import functools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest

from portcullis import log
from tests.unit.conftest import Written

EVERY: log.Fields = {
    "function": "f",
    "account": "je3s6orgs6yk55hkzgb5z77jra",
    "request_id": "id",
    "status": 400,
    "code": "c",
    "check": "k",
    "exception": "E",
    "place": "p.py:1",
    "duration_ms": 3,
}
ALLOWED = set(log.Fields.__annotations__)
OWN = {"level", "message", "timestamp", "service"}


def test_the_allowed_fields_are_these() -> None:
    """A new field is a decision: none of these can hold a client's value."""
    assert set(EVERY) == ALLOWED


@pytest.mark.parametrize("outcome", get_args(log.Outcome))
def test_a_request_is_one_line_and_one_metric(outcome: log.Outcome, written: Written) -> None:
    """The line holds the fields and the logger's own, and nothing of the environment."""
    log.request(outcome, EVERY)
    line, metric = written.entries()
    assert line.keys() == OWN | ALLOWED
    assert {name: line[name] for name in EVERY} == EVERY
    assert (line["message"], line["level"], line["service"]) == (outcome, "INFO", "portcullis")
    assert metric[outcome] == [1.0]


def test_a_metric_is_in_the_embedded_format(written: Written) -> None:
    """CloudWatch's EMF: a directive that names a metric and dimensions that the line holds."""
    log.request("refused", {"function": "f"})
    _, metric = written.entries()
    (directive,) = metric["_aws"]["CloudWatchMetrics"]
    assert isinstance(metric["_aws"]["Timestamp"], int)
    assert directive == {
        "Namespace": "Portcullis",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": "refused", "Unit": "Count"}],
    }
    assert metric.keys() == {"_aws", "service", "refused"}
    assert metric["service"] == "f"


def test_counts_do_not_add_up_over_requests(written: Written) -> None:
    """Each request is counted once, under its own function and outcome."""
    log.request("done", {"function": "one"})
    log.request("failed", {"function": "two"})
    metrics = [entry for entry in written.entries() if "_aws" in entry]
    assert [(m["service"], m.get("done"), m.get("failed")) for m in metrics] == [
        ("one", [1.0], None),
        ("two", None, [1.0]),
    ]


def test_fields_do_not_stay_for_the_next_request(written: Written) -> None:
    """What was logged of one request is not in the next one's line."""
    log.request("refused", EVERY)
    log.request("done", {"function": "g"})
    line = written.entries()[2]
    assert line.keys() == OWN | {"function"}


def test_a_line_break_in_a_field_makes_no_second_line(written: Written) -> None:
    """A line stays one line: nothing can be forged into the log."""
    log.request("done", {"function": 'f\n{"level":"INFO"}\r\u2028'})
    assert len(written.text().split("\n")) == 3  # the line, the metric, and the end


def test_an_alarm_is_a_warning(written: Written) -> None:
    """A security event stands out by its level and has its code as message."""
    log.alarm("refresh-token-reused", {"function": "f"})
    line, _ = written.entries()
    assert (line["level"], line["message"]) == ("WARNING", "refresh-token-reused")


def test_an_alarm_is_counted_by_its_code_and_with_all_others(written: Written) -> None:
    """One metric for the alarm that watches all codes, one for whoever watches this one."""
    log.alarm("kill-failed", {"function": "f"})
    _, metric = written.entries()
    assert (metric["service"], metric["alarms"], metric["kill-failed"]) == (
        "portcullis",
        [1.0],
        [1.0],
    )
    (directive,) = metric["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["service"]]


def test_threads_count_for_themselves(written: Written, request: pytest.FixtureRequest) -> None:
    """What one thread counts is neither lost nor taken over by another, and no count fails."""
    threads, each = 8, 50
    request.addfinalizer(functools.partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)  # so that they meet inside a count
    with ThreadPoolExecutor(threads) as crowd:
        for counted in [crowd.submit(log.alarm, "kill-failed", {}) for _ in range(threads * each)]:
            counted.result()
    counts = [entry["kill-failed"] for entry in written.entries() if "kill-failed" in entry]
    assert counts == [[1.0]] * (threads * each)


@pytest.mark.parametrize("name", get_args(log.Measure))
@pytest.mark.parametrize("count", [0, 7])
def test_a_measure_is_a_metric_and_no_line(written: Written, name: log.Measure, count: int) -> None:
    """How many there are, none included, so that an alarm knows silence from peace."""
    log.measure(name, count)
    (metric,) = written.entries()
    assert (metric["service"], metric[name]) == ("portcullis", [float(count)])


def test_the_text_of_an_exception_is_not_logged(written: Written) -> None:
    """Inside an exception's handler, too, a line holds the fields alone."""
    try:
        int("s3cr3t")
    except ValueError:
        log.request("failed", {"exception": "ValueError"})
        log.alarm("alarm", {})
    assert "s3cr3t" not in written.text()


def test_everything_goes_to_standard_output() -> None:
    """In a process of its own, as in Lambda, both lines are on standard output."""
    code = "from portcullis import log; log.request('done', {'function': 'f'})"
    ran = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env={"PYTHONPATH": "shared"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line[0] for line in ran.stdout.splitlines()] == ["{", "{"]
    assert ran.stderr == ""
