"""A function is given a table's stream as its mapping and its role allow.

AWS: Lambda reads the stream as the function's role, and refuses to make the mapping if the role may
not; with `ReportBatchItemFailures` it goes on from the first record that failed (developer guide,
"Process DynamoDB records with Lambda" and "Configuring partial batch response"). Stock: reads
whatever the role, takes a partial failure for success, and after a restart waits at a position that
the stream, which is not kept, has not reached. Here: as AWS, and a restart begins at the start.
A failed batch is repeated until it succeeds; a template that asks for less is refused.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import _request_account_id, _request_region, get_account_id
from ministack.services import dynamodb, lambda_svc
from ministack.services.cloudformation import provisioners

from infra.local.stock import RefusedError, require, take

MAPPING = "AWS::Lambda::EventSourceMapping"
READS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
NOT_MODELLED = (
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
)
PARTIAL = "ReportBatchItemFailures"

type Mapping = dict[str, Any]
type Records = list[dict[str, Any]]


def close() -> None:
    """Read streams for mappings ourselves, and look at the role when a mapping is made."""
    require(iam_evaluator, "EvalContext", "evaluate", "_gather_role_policies")
    require(dynamodb, "_tables", "stream_start_position", "stream_records_since")
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
    if function is not None and not _may_read(function, properties["EventSourceArn"]):
        actions = ", ".join(READS)
        raise RefusedError(f"the role of {name} may not {actions} on the stream".encode())


def _may_read(function: dict[str, Any], stream: str) -> bool:
    role = function["config"]["Role"].rpartition("/")[2]
    account, region = get_account_id(), stream.split(":")[3]
    policies = iam_evaluator._gather_role_policies(role, account)
    return all(
        iam_evaluator.evaluate(
            iam_evaluator.EvalContext(
                principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/mapping",
                principal_type="AssumedRole",
                principal_account=account,
                action=f"dynamodb:{action}",
                resource_arn=stream,
                region=region,
            ),
            policies,
        ).decision
        == "Allow"
        for action in READS
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
    records = dynamodb.stream_records_since(table, position, int(mapping.get("BatchSize", 100)))
    if not records:
        return False
    done = _handled(mapping, function, records)
    positions[name] = position + done
    if done < len(records):
        lambda_svc._esm_backoff_until[name] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
    return done > 0


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
