"""A function is given a table's stream as its mapping and its role allow.

AWS: Lambda reads the stream as the function's role, and refuses to make the mapping if the role may
not; with `ReportBatchItemFailures` it goes on from the first record that failed (developer guide,
"Process DynamoDB records with Lambda" and "Configuring partial batch response"). A batch that fails
is halved and repeated as often as the mapping says, then put in its bucket, and the shard goes on
("Retaining discarded records for a DynamoDB event source"). Stock: reads whatever the role, takes a
partial failure for success, repeats for ever, and after a restart waits at a position that the
stream, which is not kept, has not reached. Here: as AWS, and a restart begins at the start.
A template that asks for anything else is refused.
"""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import (
    _request_account_id,
    _request_region,
    get_account_id,
    get_region,
)
from ministack.services import dynamodb, lambda_svc, s3
from ministack.services.cloudformation import provisioners

from infra.local.stock import RefusedError, accept, require, take

MAPPING = "AWS::Lambda::EventSourceMapping"
READS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
NOT_MODELLED = ("MaximumRecordAgeInSeconds", "ParallelizationFactor")
PARTIAL = "ReportBatchItemFailures"
BUCKET = "arn:aws:s3:::"

type Mapping = dict[str, Any]
type Records = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Struggle:
    """Where a mapping fails, how often it has, and how many records it tries next."""

    position: int
    failures: int
    size: int


_struggles: dict[str, Struggle] = {}
"""By the mapping's UUID, while it fails."""


def close() -> None:
    """Read streams for mappings ourselves, and look at the role when a mapping is made."""
    require(iam_evaluator, "EvalContext", "evaluate", "_gather_role_policies")
    require(dynamodb, "_tables", "stream_start_position", "stream_records_since")
    require(s3, "_put_object")
    require(
        lambda_svc,
        "_apply_filter_criteria",
        "_dynamodb_stream_positions",
        "_ESM_BACKOFF_SECONDS",
        "_esm_backoff_until",
        "_execute_function",
        "_get_func_record_for_qualifier",
        "_iter_all_esms",
        "_resolve_name_and_qualifier",
    )
    take(lambda_svc, "_poll_dynamodb_streams")
    stock_restore = take(lambda_svc, "_restore_esm_positions")
    handlers = take(provisioners, "_RESOURCE_HANDLERS")[MAPPING]
    stock_create = handlers["create"]

    def restore(store: Any, positions: Any) -> None:
        if store is not lambda_svc._dynamodb_stream_positions:
            stock_restore(store, positions)

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        if _is_stream(properties["EventSourceArn"]):
            _admit(properties)
        return stock_create(logical_id, properties, stack_name)

    lambda_svc._poll_dynamodb_streams = _poll
    lambda_svc._restore_esm_positions = restore
    handlers["create"] = create


def _is_stream(arn: str) -> bool:
    return ":dynamodb:" in arn and "/stream/" in arn


def _admit(properties: dict[str, Any]) -> None:
    """Raise if a mapping asks for what is not modelled, or its role may not read.

    Raises:
        RefusedError: it does.
    """
    asked = sorted(name for name in NOT_MODELLED if name in properties)
    if asked:
        raise RefusedError(f"not modelled for a stream: {', '.join(asked)}".encode())
    name, qualifier = lambda_svc._resolve_name_and_qualifier(properties["FunctionName"])
    function, _ = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    if function is None:
        return
    if not _may_read(function, properties["EventSourceArn"]):
        actions = ", ".join(READS)
        raise RefusedError(f"the role of {name} may not {actions} on the stream".encode())
    destination = _destination(properties)
    if destination and not destination.startswith(BUCKET):
        raise RefusedError(f"not modelled for a stream: {destination}".encode())
    if destination and not _may(function, "s3:PutObject", on=f"{destination}/aws/lambda/x"):
        raise RefusedError(f"the role of {name} may not s3:PutObject in the bucket".encode())


def _destination(mapping: Mapping) -> str:
    configured: Mapping = (mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
    return str(configured.get("Destination") or "")


def _may_read(function: dict[str, Any], stream: str) -> bool:
    return _may(function, *(f"dynamodb:{action}" for action in READS), on=stream)


def _may(function: dict[str, Any], *actions: str, on: str) -> bool:
    role = function["config"]["Role"].rpartition("/")[2]
    account, region = get_account_id(), get_region()
    policies = iam_evaluator._gather_role_policies(role, account)
    return all(
        iam_evaluator.evaluate(
            iam_evaluator.EvalContext(
                principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/mapping",
                principal_type="AssumedRole",
                principal_account=account,
                action=action,
                resource_arn=on,
                region=region,
            ),
            policies,
        ).decision
        == "Allow"
        for action in actions
    )


def _poll() -> bool:
    """Give each mapping its next batch, if any, and return whether one went on."""
    advanced = False
    for account, region, mapping in lambda_svc._iter_all_esms():
        if not _is_stream(mapping.get("EventSourceArn", "")) or not mapping.get("Enabled", True):
            continue
        with _in_scope(account, region):
            advanced = _advance(mapping) or advanced
    return advanced


@contextmanager
def _in_scope(account: str, region: str) -> Iterator[None]:
    tokens = _request_account_id.set(account), _request_region.set(region)
    try:
        yield
    finally:
        _request_account_id.reset(tokens[0])
        _request_region.reset(tokens[1])


def _advance(mapping: Mapping) -> bool:
    """Give a mapping its next batch; return whether it went on behind any record of it."""
    stream, name = mapping["EventSourceArn"], mapping["UUID"]
    table = stream.split("/stream/")[0].rpartition("/")[2]
    function, _ = lambda_svc._get_func_record_for_qualifier(
        mapping["FunctionName"], mapping.get("Qualifier")
    )
    stands = dynamodb._tables.get(table, {}).get("LatestStreamArn") == stream
    resting = lambda_svc._esm_backoff_until.get(name, 0) > time.time()
    if function is None or not stands or resting:
        return False
    positions = lambda_svc._dynamodb_stream_positions
    position = max(positions.get(name, 0), dynamodb.stream_start_position(table))
    struggle = _struggles.get(name)
    size = int(mapping.get("BatchSize", 100)) if struggle is None else struggle.size
    records = dynamodb.stream_records_since(table, position, size)
    if not records:
        return False
    done = _handled(mapping, function, records)
    if done == len(records):
        _struggles.pop(name, None)
    else:
        lambda_svc._esm_backoff_until[name] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
        done += _given_up(mapping, records[done:], position=position + done)
    positions[name] = position + done
    return done > 0


def _given_up(mapping: Mapping, records: Records, *, position: int) -> int:
    """Return how many of the *records* that failed, from the first on, do not come again."""
    name, before = mapping["UUID"], _struggles.get(mapping["UUID"])
    failures = before.failures if before is not None and before.position == position else 0
    if len(records) > 1 and _is_true(mapping.get("BisectBatchOnFunctionError")):
        # A split does not count as a retry (developer guide).
        _struggles[name] = Struggle(position, failures, len(records) // 2)
        return 0
    retries_max = int(mapping.get("MaximumRetryAttempts", -1))
    if failures < retries_max or retries_max < 0:
        _struggles[name] = Struggle(position, failures + 1, len(records))
        return 0
    _struggles.pop(name, None)
    _keep(mapping, records)
    return len(records)


def _keep(mapping: Mapping, records: Records) -> None:
    destination = _destination(mapping)
    if not destination:
        return
    now = datetime.now(UTC)
    key = f"aws/lambda/{mapping['UUID']}/shardId-0/{now:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    document = {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "version": "1.0",
        "timestamp": now.isoformat(),
        "payload": {"Records": records},
    }
    body = json.dumps(document, default=str).encode()
    accept(s3._put_object(destination.removeprefix(BUCKET), key, body, {}))


def _is_true(value: object) -> bool:
    # CloudFormation passes a template's true as a boolean or as its text.
    return str(value).lower() == "true"


def _handled(mapping: Mapping, function: dict[str, Any], records: Records) -> int:
    """Return how many of *records* need not come again."""
    if not _may_read(function, mapping["EventSourceArn"]):
        mapping["LastProcessingResult"] = "PROBLEM: the role may not read the stream"
        return 0
    wanted = lambda_svc._apply_filter_criteria(records, mapping)
    if not wanted:
        return len(records)
    result = lambda_svc._execute_function(function, {"Records": wanted})
    if result.get("error"):
        mapping["LastProcessingResult"] = "FAILED"
        return 0
    mapping["LastProcessingResult"] = "OK"
    if PARTIAL not in mapping.get("FunctionResponseTypes", []):
        return len(records)
    return _first_failure(result.get("body"), records)


def _first_failure(answer: object, records: Records) -> int:
    """Return the place of the first record that an answer names, or the end.

    An identifier that is none fails the whole batch; an answer without the member is a success.
    """
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if not failures:
        return len(records)
    places = {record["dynamodb"]["SequenceNumber"]: at for at, record in enumerate(records)}
    return min(places.get(failure.get("itemIdentifier"), 0) for failure in failures)
