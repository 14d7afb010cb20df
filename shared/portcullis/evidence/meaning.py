"""The meaning of an order: what "the same idempotency key, another body" compares.

A versioned, length-prefixed layout, never serialised JSON: two encoders must not disagree about
what was ordered. Token, proof, command and time are no part of it.
"""

import hashlib

from portcullis.evidence.encoding import b64url, layout
from portcullis.evidence.orders import Deposit, OpenWallet, Transfer

_VERSION = "portcullis/meaning/v1"


def digest(*fields: str) -> str:
    """Return base64url(SHA-256) over the version and the length-prefixed *fields*."""
    return b64url(hashlib.sha256(layout(_VERSION, *fields)).digest())


def of_order(order: OpenWallet | Transfer | Deposit, *, principal: str, key: str) -> str:
    """Return the meaning of *order* given by *principal* under idempotency key *key*."""
    match order:
        case OpenWallet():
            return digest(principal, key, "open-wallet", order.currency)
        case Transfer():
            amount = order.amount
            return digest(
                principal, key, "transfer", order.to_account, str(amount.minor), amount.currency
            )
        case Deposit():
            amount = order.amount
            return digest(
                principal, key, "deposit", order.account, str(amount.minor), amount.currency
            )
