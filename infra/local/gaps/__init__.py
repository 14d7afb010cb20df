"""The gaps between the pinned emulator and AWS that this product would fall into, one a module."""

from infra.local.gaps import (
    api_definition,
    api_identity,
    gateway_responses,
    iam_dynamodb,
    iam_kms,
    iam_method,
    iam_principal,
    iam_s3,
    invoke_permission,
    kms_ciphertext,
    nested_stack,
    object_lock,
    partiql_stream,
    proxy_answer,
    proxy_event,
    reserved_concurrency,
    sandbox,
    stream_mapping,
    table_settings,
)
from infra.local.stock import require_pinned_version

GAPS = (
    api_definition,
    api_identity,
    # The next four wrap one call, innermost first: the permission is asked last of all.
    invoke_permission,
    proxy_event,
    proxy_answer,
    gateway_responses,
    iam_method,
    iam_principal,
    iam_kms,
    iam_s3,
    iam_dynamodb,
    kms_ciphertext,
    table_settings,
    object_lock,
    partiql_stream,
    stream_mapping,
    nested_stack,
    sandbox,
    reserved_concurrency,
)


def close_all() -> None:
    """Close every gap, once, before the emulator serves.

    Raises:
        StockChangedError: the emulator is not the one the gaps were written against.
    """
    require_pinned_version()
    for gap in GAPS:
        gap.close()
