"""Receipts: the ledger's word about one order, and about no other."""

import pytest

from portcullis.evidence import receipts
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.receipts import Leg, Receipt
from tests.support import jws
from tests.support.dpop import digest
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import ACCOUNT, STRANGER, TRUSTED, receipt_claims, signed


def accept(compact: str) -> Receipt:
    """Return the receipt about the one order of this file."""
    return receipts.verify(compact, keys=TRUSTED, expected_meaning="meaning-digest")


def refuse(compact: str, why: str | None = None) -> None:
    """Demand that a receipt is refused for one reason alone, if one is named."""
    with pytest.raises(EvidenceError, match=why):
        accept(compact)


def test_a_genuine_receipt_tells_what_was_posted() -> None:
    """The legs come out as they were signed."""
    receipt = accept(genuine.receipt())
    assert receipt.legs[0] == Leg(account=ACCOUNT, currency="EUR", minor=-1)


def test_a_command_is_named_by_its_digest() -> None:
    """A command's name in a receipt is the SHA-256 of its compact form."""
    assert receipts.digest("command") == digest(b"command")


@pytest.mark.parametrize("change", [{"meaning": "other"}, {"meaning": ""}, {"iss": "money"}])
def test_a_receipt_about_another_order_or_of_another_issuer_is_refused(
    change: dict[str, str],
) -> None:
    """A genuine receipt of yesterday's order says nothing about today's."""
    refuse(genuine.receipt(**change), "another order")


def test_a_forged_receipt_is_refused() -> None:
    """Only the ledger's key signs receipts."""
    refuse(signed(receipts.TYP, receipt_claims(), key=STRANGER), "JWS signature$")
    refuse(signed(receipts.TYP, receipt_claims(), key=STRANGER, kid="other"), "unknown kid")
    refuse(jws.altered(genuine.receipt(), posting="other"), "JWS signature$")


@pytest.mark.parametrize("claim", sorted(receipt_claims()))
@pytest.mark.parametrize("value", [jws.ABSENT, None, 1.5, True])
def test_a_claim_that_is_absent_or_of_another_type_is_refused(claim: str, value: object) -> None:
    """Every claim is required, and of its type."""
    refuse(genuine.receipt(**{claim: value}), "claims")


@pytest.mark.parametrize(
    "leg",
    [
        {"account": "a", "currency": "EUR"},
        {"account": "a", "currency": "EUR", "minor": 1.0},
        {"account": "a", "currency": "EUR", "minor": "1"},
        {"account": "a", "currency": "EUR", "minor": 1, "note": ""},
    ],
)
def test_a_leg_that_is_not_one_is_refused(leg: dict[str, object]) -> None:
    """A leg is account, currency and whole minor units."""
    refuse(genuine.receipt(legs=[leg]), "claims")


def test_an_oversized_receipt_is_refused() -> None:
    """A receipt has at most 4,096 characters."""
    refuse(genuine.receipt(posting="x" * 4096), "too long")


@pytest.mark.parametrize("text", ["", "None", "null", "..", "a.b.c"])
def test_what_is_no_receipt_is_refused(text: str) -> None:
    """An answer without a receipt is not believed."""
    refuse(text)
