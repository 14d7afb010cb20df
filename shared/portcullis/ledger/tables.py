"""The ledger zone's tables and keys: one place that spells them."""

import hashlib

from portcullis.aws.dynamodb import Key
from portcullis.evidence.orders import OrderKind
from portcullis.settings import setting

HOUSE = "house:"
"""An owner that begins so is a partner's house account, not a user's."""


def balances() -> str:
    """Return the name of the table of heads."""
    return setting("BALANCES_TABLE")


def journal() -> str:
    """Return the name of the append-only table of postings, entries and idempotency."""
    return setting("JOURNAL_TABLE")


def once() -> str:
    """Return the name of the table of consumed proofs, commands and approvals."""
    return setting("LEDGER_ONCE_TABLE")


def registry() -> str:
    """Return the name of the table of partners."""
    return setting("REGISTRY_TABLE")


def standing() -> str:
    """Return the name of identity's standing table: the one thing read across the zones."""
    return setting("STANDING_TABLE")


def house(partner: str) -> str:
    """Return the owner that is a partner's house."""
    return HOUSE + partner


def is_house(owner: str) -> bool:
    """Return whether an owner is a partner's house."""
    return owner.startswith(HOUSE)


def heads_pk(owner: str) -> str:
    """Return the partition of an owner's heads, one item for each currency."""
    if is_house(owner):
        return f"HOUSE#{owner.removeprefix(HOUSE)}"
    return f"WALLET#{owner}"


def head_key(owner: str, currency: str) -> Key:
    """Return the key of one head."""
    return {"pk": heads_pk(owner), "sk": currency}


def entries_pk(owner: str, currency: str) -> str:
    """Return the partition of one wallet's chain."""
    return f"ENTRIES#{owner}#{currency}"


def entry_sk(number: int) -> str:
    """Return the sort key of an entry: its number, so that text order is chain order."""
    return f"{number:012d}"


def posting_key(posting: str) -> Key:
    """Return the key of a posting."""
    return {"pk": f"POSTING#{posting}", "sk": "POSTING"}


def idempotency_key(principal: str, kind: OrderKind, key: str) -> Key:
    """Return the key of what an idempotency key stands for, in the scope of giver and route."""
    return {"pk": f"IDEMPOTENCY#{principal}#{kind}", "sk": key}


def proof_key(single_use_id: str) -> Key:
    """Return the key under which the ledger uses a user's proof once."""
    return {"pk": f"PROOF#{single_use_id}"}


def approval_key(approval: str) -> Key:
    """Return the key under which an approval is used once."""
    return {"pk": f"APPROVAL#{approval}"}


def command_key(issuer: str, jti: str) -> Key:
    """Return the key under which a command is used once."""
    return {"pk": f"COMMAND#{hashlib.sha256(f'{issuer}\n{jti}'.encode()).hexdigest()}"}


def partner_key(partner: str) -> Key:
    """Return the key of a partner."""
    return {"pk": f"PARTNER#{partner}"}


def standing_key(account: str) -> Key:
    """Return the key of an account's standing."""
    return {"pk": account}


def lockdown_key() -> Key:
    """Return the key of the lockdown, which stands beside the standings."""
    return {"pk": "LOCKDOWN"}
