"""Challenges: single-use, five minutes, bound to the proof key that asked for them.

The binding stops login CSRF and challenge swaps: only the client that asked may answer.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Item, Statement, Value
from portcullis.errors import InvalidError
from portcullis.evidence.approvals import CHALLENGE_S
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import once, tables

LIFETIME_S = CHALLENGE_S
CHALLENGE_BYTES = 32
UNUSED = ""

Ceremony = Literal[
    "open-account", "sign-in", "add-passkey", "recover", "approve", "approve-by-code"
]


class ChallengeRefusedError(InvalidError):
    """The challenge is unknown, used, too old, or was given to another key or ceremony."""

    code = "challenge-refused"
    title = "The challenge is unknown, used or too old. Ask for new options and try again."


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that was given out.

    ``account``: whose ceremony it is, or the user handle that it proposed. ``facts``: what else
    the ceremony is about.
    """

    value: bytes
    account: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)


def issue(
    ceremony: Ceremony,
    *,
    proof: Proof,
    account: str | None,
    now_s: int,
    proof_spent: bool = False,
    value: bytes | None = None,
    **facts: Value,
) -> Challenge:
    """Give out a challenge to the holder of *proof*'s key, using the proof up.

    Args:
        ceremony: what the answer may do.
        proof: the proof of the request that asks.
        account: whose ceremony it is, if that is known.
        now_s: the time, in Unix seconds.
        proof_spent: the proof was used up already, by the gate for one; it does one deed here.
        value: the challenge, where it is the hash of an act; random otherwise.
        facts: what the answer will need to know.

    Raises:
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    challenge = Challenge(value or entropy.random_bytes(CHALLENGE_BYTES), account, facts)
    attempt = entropy.new_id()
    insert, key = (
        (once.deed_insert, tables.deed_key)
        if proof_spent
        else (once.proof_insert, tables.proof_key)
    )
    try:
        dynamodb.execute(
            insert(proof, attempt=attempt),
            dynamodb.insert(
                tables.once(),
                {
                    **tables.challenge_key(challenge.value),
                    "ceremony": ceremony,
                    "jkt": proof.jkt,
                    "expires": now_s + LIFETIME_S,
                    "ttl": now_s + LIFETIME_S,
                    "used_by": UNUSED,
                    "facts": dict(facts),
                    **({"account": account} if account else {}),
                },
            ),
        )
    except ConditionFailedError:
        met = dynamodb.get(tables.once(), key(proof))
        if not once.is_of(met, attempt):
            raise ProofReplayedError from None
    return challenge


def accept(
    item: Item | None, value: bytes, *, ceremony: Ceremony, jkt: str, now_s: int
) -> Challenge:
    """Return the challenge of a stored item if this ceremony and this key may answer it now.

    Raises:
        ChallengeRefusedError: they may not.
    """
    if (
        item is None
        or item["ceremony"] != ceremony
        or not hmac.compare_digest(item["jkt"].encode(), jkt.encode())
        or now_s >= item["expires"]
        or item["used_by"] != UNUSED
    ):
        raise ChallengeRefusedError
    return Challenge(value, item.get("account"), item["facts"])


def answered(value: bytes, *, ceremony: Ceremony, jkt: str, now_s: int) -> Challenge:
    """Return the challenge that *value* names, read for this, if it may be answered now.

    Raises:
        ChallengeRefusedError: it may not, by this key or in this ceremony.
        InfrastructureError: the store did not answer.
    """
    item = dynamodb.get(tables.once(), tables.challenge_key(value))
    return accept(item, value, ceremony=ceremony, jkt=jkt, now_s=now_s)


def use(challenge: Challenge, *, attempt: str, now_s: int) -> Statement:
    """Return the write that uses a challenge up, for the transaction that it permits."""
    return dynamodb.change(
        tables.once(),
        tables.challenge_key(challenge.value),
        {"used_by": attempt},
        where='"used_by" = ? AND "expires" > ?',
        given=(UNUSED, now_s),
    )
