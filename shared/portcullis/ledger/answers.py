"""The ledger's answers to the orders that it posted, as JSON."""

from typing import Any

from portcullis import clock
from portcullis.amounts import wire
from portcullis.ledger.book import Order
from portcullis.ledger.post import Posted


def answer(order: Order, posted: Posted) -> dict[str, Any]:
    """Return what the giver of *order* is told about its posting."""
    members: dict[str, Any] = {"posting": posted.posting, "kind": order.kind}
    at = clock.rfc3339(posted.at)
    if order.opens is not None:
        members |= {"currency": order.opens[1], "opened_at": at}
    else:
        credit = order.legs[-1]
        to = "account" if order.kind == "deposit" else "to_account"
        members |= {
            "amount": wire(credit.minor, credit.currency),
            to: credit.account,
            "posted_at": at,
        }
    return members | {"receipt": posted.receipt}
