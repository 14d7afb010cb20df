"""Recovery codes: ten of 128 bits, of which the table holds MACs under a key of KMS.

A code names its account by itself, so recovery asks for no login name. A set of codes is good as
long as the account's factors name it: minting a new set or a cancellation burns all the old ones
at once.
"""

import base64
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import StringConstraints

from portcullis import entropy
from portcullis.aws import dynamodb, kms
from portcullis.aws.dynamodb import Item, Statement
from portcullis.errors import UnauthenticatedError
from portcullis.evidence.encoding import layout
from portcullis.identity import changes, tables, throttle
from portcullis.identity.changes import Change, Principal, Seen
from portcullis.identity.factors import Factors
from portcullis.identity.outbox import Event
from portcullis.identity.standing import Standing
from portcullis.settings import settings_list

CODES_COUNT = 10
CODE_BYTES = 16
GROUP_CHARS = 5
UNUSED = ""

Typed = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""A code as it was written down."""
_LAYOUT = "portcullis/recovery-code/v1"
_SHAPE = re.compile(r"[A-Z2-7]{26}")


class RecoveryRefusedError(UnauthenticatedError):
    """The code recovers nothing: one answer, whatever the reason."""

    code = "recovery-refused"
    title = "This code recovers no account."


@dataclass(frozen=True, slots=True)
class Code:
    """A good code of an account, and the state that it was found good against."""

    account: str
    mac: str
    set: str
    factors: Factors
    standing: Standing


def new_code() -> str:
    """Return a new code: 128 bits in base32, in groups for a person to write down."""
    text = base64.b32encode(entropy.random_bytes(CODE_BYTES)).decode().rstrip("=")
    return "-".join(text[at : at + GROUP_CHARS] for at in range(0, len(text), GROUP_CHARS))


def item(account: str, code: str, *, of_set: str) -> dict[str, Any]:
    """Return the item of a new code.

    Raises:
        KeyServiceError: KMS did not make its MAC.
    """
    mac = _mac(settings_list("INDEX_KEYS")[0], _normal(code))
    return {**tables.code_key(mac), "account": account, "set": of_set, "used_by": UNUSED}


def mint(principal: Principal, *, now_s: int) -> list[str]:
    """Return ten new codes, which are shown once; all older ones are burned.

    Raises:
        TooManyRequestsError: too many changes of this account's factors.
        ApprovalRequiredError: the account has a passkey, and it did not approve.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: a service did not answer.
    """
    account = principal.token.sub
    throttle.admit(throttle.ENROLMENT_BY_ACCOUNT, account, now_s=now_s)
    codes = [new_code() for _ in range(CODES_COUNT)]
    of_set = entropy.new_id()
    inserts = [
        dynamodb.insert(tables.identity(), item(account, code, of_set=of_set)) for code in codes
    ]

    def decide(seen: Seen) -> Change:
        changes.demand_approval(principal, seen.factors, now_s=now_s)
        return Change(
            events=[Event("recovery-codes-minted")],
            statements=inserts,
            factors=seen.factors.next(codes=of_set),
        )

    changes.commit(principal, decide, now_s=now_s)
    return codes


def find(text: str, *, now_s: int) -> Code:
    """Return the code that was typed, if it recovers an account now.

    Raises:
        RecoveryRefusedError: it does not.
        InfrastructureError: a service did not answer.
    """
    normal = _normal(text)
    macs = [_mac(arn, normal) for arn in settings_list("INDEX_KEYS")]
    found = dynamodb.batch_get(*((tables.identity(), tables.code_key(mac)) for mac in macs))
    mac, stored = next(
        ((mac, one) for mac, one in zip(macs, found, strict=True) if one is not None), ("", None)
    )
    if stored is None:
        raise RecoveryRefusedError
    account = str(stored["account"])
    enrolled, standing = dynamodb.batch_get(
        (tables.identity(), tables.factors_key(account)),
        (tables.standing(), tables.standing_key(account)),
    )
    if enrolled is None or standing is None:
        raise RecoveryRefusedError
    held = Factors.from_item(enrolled)
    if not _is_good(stored, held, now_s=now_s):
        raise RecoveryRefusedError
    return Code(account, mac, stored["set"], held, Standing.from_item(standing))


def used(code: Code, *, attempt: str) -> Statement:
    """Return the write that uses a code up."""
    return dynamodb.change(
        tables.identity(),
        tables.code_key(code.mac),
        {"used_by": attempt},
        where='"used_by" = ? AND "set" = ?',
        given=(UNUSED, code.set),
    )


def _is_good(stored: Item, held: Factors, *, now_s: int) -> bool:
    if stored["used_by"] != UNUSED:
        return False
    if held.release and stored["set"] == held.release:
        return now_s >= held.release_from
    return bool(held.codes) and stored["set"] == held.codes


def _normal(text: str) -> str:
    """Return a code as it was made: people add spaces, and write small letters.

    Raises:
        RecoveryRefusedError: it has not the shape of a code.
    """
    normal = re.sub(r"[\s-]", "", text).upper()
    if not _SHAPE.fullmatch(normal):
        raise RecoveryRefusedError
    return normal


def _mac(arn: str, normal: str) -> str:
    return kms.generate_mac(arn, layout(_LAYOUT, normal)).hex()
