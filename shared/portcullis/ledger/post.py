"""Posting: one batch read, one signature, one transaction; more only where others interfere."""

import time
from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws.dynamodb import ConditionFailedError, ContentionError, Item
from portcullis.aws.kms import Signer
from portcullis.evidence import levels, receipts
from portcullis.evidence.errors import EvidenceRefusedError
from portcullis.evidence.receipts import Receipt
from portcullis.ledger import approvals, book, postings, tables
from portcullis.ledger.approvals import Approved
from portcullis.ledger.book import Order, Page
from portcullis.ledger.heads import Head
from portcullis.ledger.postings import Movement
from portcullis.refusals import (
    ApprovalRefusedError,
    ApprovalRequiredError,
    DebitNotAllowedError,
    IdempotencyKeyReusedError,
    LockedDownError,
    WalletAlreadyOpenError,
)
from portcullis.settings import setting

ROUNDS_MAX = 12
PAUSE_S = 0.005


@dataclass(frozen=True, slots=True)
class Posted:
    """A posting that is durable. ``replayed``: an earlier order with this key had posted it."""

    posting: str
    at: int
    receipt: str
    replayed: bool


def post(order: Order, *, command: str, floor_minor: int, now_s: int) -> Posted:
    """Post an order exactly once and return its receipt.

    The receipt covers content only, so it is signed once and reused however often others
    interfere. A posting id is drawn once: finding it under the idempotency key means that an
    earlier try of ours had committed.

    Args:
        order: an order whose evidence is verified.
        command: the command that brought it, kept as evidence.
        floor_minor: what a partner's house may come down to.
        now_s: the time, in Unix seconds.

    Raises:
        RefusedError: one of ``LEDGER_REFUSALS``; nothing changed.
        InfrastructureError: it is not known whether it was posted; the same idempotency key
            will tell.
    """
    posting_id, receipt, approved = entropy.new_id(), "", None
    for attempt in range(ROUNDS_MAX):
        page = book.read(order, approved)
        if page.known is not None:
            return _known(order, page.known, posting_id)
        approved = approved or approvals.verified(order.approval)
        movements, opened = _decide(
            order, approved, page, posting_id, floor_minor=floor_minor, now_s=now_s
        )
        receipt = receipt or _receipt(order, posting_id, command=command, now_s=now_s)
        try:
            book.write(
                order,
                approved=approved,
                posting_id=posting_id,
                movements=movements,
                opened=opened,
                command=command,
                receipt=receipt,
                now_s=now_s,
            )
        except ConditionFailedError:
            time.sleep(entropy.jitter_s(PAUSE_S * 2 ** min(attempt, 5)))
        else:
            return Posted(posting_id, at=now_s, receipt=receipt, replayed=False)
    raise ContentionError("posting")


def _known(order: Order, known: Item, own_posting: str) -> Posted:
    if known["meaning"] != order.meaning:
        raise IdempotencyKeyReusedError
    posting = book.posting(known["posting"])
    if posting is None:
        raise ContentionError("posting without record")
    return Posted(
        known["posting"],
        at=posting["at"],
        receipt=posting["receipt"],
        replayed=known["posting"] != own_posting,
    )


def _decide(
    order: Order,
    approved: Approved | None,
    page: Page,
    posting_id: str,
    *,
    floor_minor: int,
    now_s: int,
) -> tuple[list[Movement], Head | None]:
    """Return what to write given what the book says; the write demands it all again."""
    if page.consumed:
        raise EvidenceRefusedError  # its proof or command has served another posting
    if page.approval_consumed:
        raise ApprovalRefusedError
    if page.locked_down:
        raise LockedDownError
    if order.debited_account is not None:
        _demand_allowed(order, approved, page.standing, now_s=now_s)
    if order.opens is not None:
        owner, currency = order.opens
        if owner in page.heads:
            raise WalletAlreadyOpenError
        return [], Head.opened(owner, currency, now_s=now_s)
    movements = postings.plan(
        posting_id,
        order.legs,
        heads=page.heads,
        house=_house(order, page, now_s=now_s),
        floor_minor=floor_minor,
    )
    return movements, None


def _demand_allowed(
    order: Order, approved: Approved | None, seen: Item | None, *, now_s: int
) -> None:
    """Demand what a user's order needs besides money: a full sign-in, and a standing that permits.

    Opening a wallet moves nothing, but a wallet is never closed: a recovery's freeze, which holds
    back what cannot be undone, holds it back too. The demand of an approval is about money alone.
    """
    if order.acr not in levels.FULL:
        raise DebitNotAllowedError
    if seen is None or seen["status"] != book.ACTIVE or seen["epoch"] != order.epoch:
        raise DebitNotAllowedError
    if now_s < seen["frozen_until"]:
        raise DebitNotAllowedError
    asked_at_s = approved.asked_at_s if approved else book.NEVER
    if order.is_outgoing and seen["approval_required_since"] > asked_at_s:
        raise ApprovalRequiredError


def _house(order: Order, page: Page, *, now_s: int) -> Head | None:
    """Return the partner's house if its first deposit in a currency is to open it."""
    debit = order.legs[0]
    if not tables.is_house(debit.account) or debit.account in page.heads:
        return None
    return Head.opened(debit.account, debit.currency, now_s=now_s)


def _receipt(order: Order, posting_id: str, *, command: str, now_s: int) -> str:
    content = Receipt(
        iss=receipts.ISSUER,
        iat=now_s,
        posting=posting_id,
        kind=order.kind,
        legs=list(order.legs),
        cmd=receipts.digest(command),
        meaning=order.meaning,
    )
    return Signer(setting("RECEIPT_KEY")).sign(content.model_dump(), typ=receipts.TYP)
