"""Statements: what an account holds, and how it came about. Reads only."""

import hmac
from typing import Any

from portcullis import clock
from portcullis.amounts import EXPONENTS, wire
from portcullis.aws import dynamodb, secret
from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.ledger import tables
from portcullis.refusals import CursorRefusedError, NoSuchWalletError
from portcullis.settings import setting

PAGE_DEFAULT = 20
PAGE_MAX = 100
TAG_BYTES = 16
NUMBER_BYTES = 8


def wallets(account: str) -> list[dict[str, Any]]:
    """Return the account's wallets with their balances.

    Raises:
        InfrastructureError: the store did not answer.
    """
    items = dynamodb.query(
        tables.balances(),
        tables.heads_pk(account),
        newest_first=False,
        before_sk=None,
        limit=len(EXPONENTS),
    )
    return [
        {
            "currency": item["sk"],
            "balance": wire(item["balance"], item["sk"]),
            "opened_at": clock.rfc3339(item["opened_at"]),
        }
        for item in items
    ]


def entries(
    account: str, currency: str, *, limit: str | None, cursor: str | None
) -> dict[str, Any]:
    """Return one page of the wallet's entries, newest first, and the cursor of the next.

    Raises:
        CursorRefusedError: the cursor is not one that we gave out for this wallet, or the limit
            is not between 1 and ``PAGE_MAX``.
        NoSuchWalletError: there is no such wallet.
        InfrastructureError: the store did not answer.
    """
    if currency not in EXPONENTS:
        raise NoSuchWalletError  # before anything of the caller's is part of a key
    page = _limit(limit)
    before = None if cursor is None else tables.entry_sk(_open(cursor, account, currency))
    items = dynamodb.query(
        tables.journal(),
        tables.entries_pk(account, currency),
        newest_first=True,
        before_sk=before,
        limit=page,
    )
    if not items and cursor is None and _is_absent(account, currency):
        raise NoSuchWalletError
    last = int(items[-1]["sk"]) if len(items) == page else 0
    return {
        "entries": [
            {
                "number": int(item["sk"]),
                "posting": item["posting"],
                "kind": item["kind"],
                "amount": wire(item["minor"], currency),
                "balance": wire(item["balance"], currency),
                "counterparty": item["counterparty"],
                "posted_at": clock.rfc3339(item["at"]),
            }
            for item in items
        ],
        "next": _seal(last, account, currency) if last > 1 else None,
    }


def _is_absent(account: str, currency: str) -> bool:
    return dynamodb.get(tables.balances(), tables.head_key(account, currency)) is None


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_DEFAULT
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(PAGE_MAX)):
        raise CursorRefusedError
    if not 1 <= int(text) <= PAGE_MAX:
        raise CursorRefusedError
    return int(text)


def _seal(number: int, account: str, currency: str) -> str:
    raw = number.to_bytes(NUMBER_BYTES)
    return b64url(raw + _tag(raw, account, currency))


def _open(cursor: str, account: str, currency: str) -> int:
    try:
        raw = unb64url(cursor)
    except EvidenceError as error:
        raise CursorRefusedError from error
    number, tag = raw[:NUMBER_BYTES], raw[NUMBER_BYTES:]
    if not hmac.compare_digest(tag, _tag(number, account, currency)):
        raise CursorRefusedError
    return int.from_bytes(number)


def _tag(number: bytes, account: str, currency: str) -> bytes:
    key = secret.secret(table=tables.once(), key_arn=setting("LEDGER_DATA_KEY"), purpose="cursor")
    text = f"portcullis/cursor/v1|{account}|{currency}|".encode() + number
    return hmac.digest(key, text, "sha256")[:TAG_BYTES]
