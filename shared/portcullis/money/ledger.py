"""The ledger, as the money zone sees it: across one hop, and believed only by its receipts."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from portcullis.aws import hop, kms
from portcullis.aws.hop import HopError, Reply
from portcullis.errors import UnavailableError
from portcullis.evidence import meaning, receipts
from portcullis.evidence.caller import Caller
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.orders import OpenWallet, OrderKind, Transfer
from portcullis.money import commands
from portcullis.refusals import LEDGER_REFUSALS
from portcullis.settings import setting
from portcullis.vocabulary import (
    PROBLEM_PREFIX,
    REPLAYED_HEADER,
    USER_PROOF_HEADER,
    USER_TOKEN_HEADER,
)


def order(
    kind: OrderKind,
    asked: OpenWallet | Transfer,
    *,
    body: bytes,
    key: str,
    who: Caller,
    approval: str | None = None,
    now_s: int,
) -> tuple[dict[str, Any], bool]:
    """Have the ledger post an order; return its answer and whether it was a replay.

    The answer is passed on only when its receipt is the ledger's and about this very order.

    Raises:
        RefusedError: one of ``LEDGER_REFUSALS``; nothing was posted.
        InfrastructureError: whether it was posted is not known; the same key will tell.
    """
    command = commands.sign(kind, body=body, who=who, approval=approval, now_s=now_s)
    reply = _answered(
        hop.call("POST", setting("INTERNAL_ORIGIN") + commands.PATH, body={"command": command})
    )
    answer = dict(reply.body)
    replayed = reply.headers.get(REPLAYED_HEADER) == "true"
    try:
        receipt = receipts.verify(
            str(answer.get("receipt")),
            keys=kms.trusted_keys(setting("RECEIPT_KEY")),
            expected_meaning=meaning.of_order(asked, principal=who.account, key=key),
        )
    except EvidenceError as error:
        raise HopError(f"receipt: {error}") from None
    if receipt.posting != answer.get("posting"):
        raise HopError("receipt: another posting")
    if not replayed and receipt.cmd != receipts.digest(command):
        raise HopError("receipt: another command")
    return answer, replayed


def read(path: str, *, query: Mapping[str, str], who: Caller) -> dict[str, Any]:
    """Return what the ledger tells the user about its own wallets.

    Raises:
        RefusedError: one of ``LEDGER_REFUSALS``.
        InfrastructureError: the ledger did not answer.
    """
    suffix = f"?{urlencode(query)}" if query else ""
    reply = hop.call(
        "GET",
        setting("INTERNAL_ORIGIN") + path + suffix,
        headers={
            USER_TOKEN_HEADER: who.compact_token,
            USER_PROOF_HEADER: who.compact_proof,
        },
    )
    return dict(_answered(reply).body)


def _answered(reply: Reply) -> Reply:
    if reply.status in {200, 201}:
        return reply
    code = str(reply.body.get("type", "")).removeprefix(PROBLEM_PREFIX)
    if code in LEDGER_REFUSALS:
        raise LEDGER_REFUSALS[code]
    if code == UnavailableError.code:
        raise UnavailableError
    raise HopError(f"status {reply.status}")
