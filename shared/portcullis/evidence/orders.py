"""Orders: what a user, a partner or an operator signs, byte for byte.

The public edge and the ledger read the same bytes through the same models, so that what was
checked is what is posted.
"""

import re
from typing import Annotated, Literal, TypeGuard

from pydantic import StringConstraints, ValidationError

from portcullis import strict_json
from portcullis.amounts import Amount, Currency
from portcullis.evidence.errors import EvidenceError
from portcullis.schema import Strict

AccountId = Annotated[str, StringConstraints(pattern=r"^[a-z2-7]{26}$")]
KEY_SHAPE = r"[\x21-\x7e]{1,64}"
"""1 to 64 visible ASCII characters: the shape of an idempotency key."""
Reference = Annotated[str, StringConstraints(pattern=f"^{KEY_SHAPE}$")]

_KEY = re.compile(KEY_SHAPE)
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"

BYTES_MAX = 2048
"""No order is longer: a padded one is refused before anything is signed or sent on."""

PostingKind = Literal["open-wallet", "transfer", "deposit"]
"""What the ledger posts."""
OrderKind = (
    PostingKind | Literal["release-account", "lift-quarantine", "lock-down", "lift-lockdown"]
)


class OpenWallet(Strict):
    """Open the caller's wallet of one currency."""

    currency: Currency


class Transfer(Strict):
    """Move money from the caller's wallet to another account's wallet of the same currency."""

    to_account: AccountId
    amount: Amount


class Deposit(Strict):
    """Credit an account from a partner's house account; *reference* is its idempotency key."""

    account: AccountId
    amount: Amount
    reference: Reference


class ReleaseAccount(Strict):
    """Grant a recovery code to an account whose owner lost every way in."""

    account: AccountId


class LiftQuarantine(Strict):
    """Lift an account's quarantine; its money stays held back until its owner approves."""

    account: AccountId


class LockDown(Strict):
    """Freeze outgoing money for everybody, for one of a few reasons: nobody's own words."""

    reason: Literal["intrusion", "fraud", "key-compromise", "ledger-finding", "drift", "drill"]


class LiftLockdown(Strict):
    """Let money go out again, by ending the lockdown that began at *since* and no later one."""

    since: Annotated[str, StringConstraints(pattern=_TIME)]


ROUTES: dict[OrderKind, str] = {"open-wallet": "/wallets", "transfer": "/transfers"}
"""The public route on which a user gives each order: the URL that the proof must name."""


def is_key(text: str | None) -> TypeGuard[str]:
    """Return whether *text* has the shape of an idempotency key."""
    return text is not None and _KEY.fullmatch(text) is not None


def read[Order: Strict](body: bytes, model: type[Order]) -> Order:
    """Return the order in *body*.

    Raises:
        EvidenceError: the bytes are not such an order.
    """
    if len(body) > BYTES_MAX:
        raise EvidenceError("order is too long")
    try:
        strict_json.parse(body)
        return model.model_validate_json(body)
    except (strict_json.JsonError, ValidationError):
        raise EvidenceError("order") from None
