"""WebAuthn challenges: single-use, five minutes, bound to the proof key that asked for them.

The binding stops login CSRF and challenge swaps: only the client that asked may answer.
"""

import hmac
from dataclasses import dataclass
from typing import Literal

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Item, Statement
from portcullis.errors import InvalidError
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import once, tables

LIFETIME_S = 300
CHALLENGE_BYTES = 32
UNUSED = ""

Ceremony = Literal["open-account", "sign-in"]


class ChallengeRefusedError(InvalidError):
    """The challenge is unknown, used, too old, or was given to another key or ceremony."""

    code = "challenge-refused"
    title = "The challenge is unknown, used or too old. Ask for new options and try again."


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that was given out. ``account`` is the user handle that it proposed, if any."""

    value: bytes
    account: str | None


def issue(ceremony: Ceremony, *, proof: Proof, account: str | None, now_s: int) -> Challenge:
    """Give out a challenge to the holder of *proof*'s key, using the proof up.

    Raises:
        ProofReplayedError: the proof was used before.
        InfrastructureError: the store did not answer.
    """
    challenge = Challenge(entropy.random_bytes(CHALLENGE_BYTES), account)
    attempt = entropy.new_id()
    try:
        dynamodb.execute(
            once.proof_insert(proof, attempt=attempt),
            dynamodb.insert(
                tables.once(),
                {
                    **tables.challenge_key(challenge.value),
                    "ceremony": ceremony,
                    "jkt": proof.jkt,
                    "expires": now_s + LIFETIME_S,
                    "ttl": now_s + LIFETIME_S,
                    "used_by": UNUSED,
                    **({"account": account} if account else {}),
                },
            ),
        )
    except ConditionFailedError:
        met = dynamodb.get(tables.once(), tables.proof_key(proof))
        if not once.is_of(met, attempt):
            raise ProofReplayedError from None
    return challenge


def accept(
    item: Item | None, value: bytes, *, ceremony: Ceremony, proof: Proof, now_s: int
) -> Challenge:
    """Return the challenge of a stored item if this ceremony and this key may answer it now.

    Raises:
        ChallengeRefusedError: they may not.
    """
    if (
        item is None
        or item["ceremony"] != ceremony
        or not hmac.compare_digest(item["jkt"].encode(), proof.jkt.encode())
        or now_s >= item["expires"]
        or item["used_by"] != UNUSED
    ):
        raise ChallengeRefusedError
    return Challenge(value, item.get("account"))


def use(challenge: Challenge, *, attempt: str, now_s: int) -> Statement:
    """Return the write that uses a challenge up, for the transaction that it permits."""
    return dynamodb.change(
        tables.once(),
        tables.challenge_key(challenge.value),
        {"used_by": attempt},
        where='"used_by" = ? AND "expires" > ?',
        given=(UNUSED, now_s),
    )
