"""Single use: whoever writes the item first has used the thing up.

Every such write carries an attempt id, and meeting one's own id is success: an SDK that repeats
a committed write must not look like an attack.
"""

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Item, Put, Statement, Value
from portcullis.evidence import dpop
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import tables


def proof_use(proof: Proof, *, attempt: str) -> Put:
    """Return the write that uses a proof up."""
    return Put(tables.once(), _used(proof, attempt))


def proof_insert(proof: Proof, *, attempt: str) -> Statement:
    """Return the same write as ``proof_use``, for a transaction of statements."""
    return dynamodb.insert(tables.once(), _used(proof, attempt))


def deed_insert(proof: Proof, *, attempt: str) -> Statement:
    """Return the write that lets a proof do one deed behind the gate."""
    return dynamodb.insert(tables.once(), {**_used(proof, attempt), **tables.deed_key(proof)})


def approval_insert(approval: str, *, until_s: int, attempt: str) -> Statement:
    """Return the write that uses an approval up, remembered until then."""
    return dynamodb.insert(
        tables.once(), {**tables.approval_key(approval), "attempt": attempt, "ttl": until_s}
    )


def _used(proof: Proof, attempt: str) -> dict[str, Value]:
    return {
        **tables.proof_key(proof),
        "attempt": attempt,
        "ttl": proof.issued_at_s + dpop.REMEMBERED_S,
    }


def consume(proof: Proof) -> None:
    """Use a proof up.

    Raises:
        ProofReplayedError: it was used before.
        InfrastructureError: the store did not answer.
    """
    attempt = entropy.new_id()
    try:
        dynamodb.put(proof_use(proof, attempt=attempt))
    except ConditionFailedError as failure:
        if not is_of(failure.reasons[0].item, attempt):
            raise ProofReplayedError from None


def is_of(item: Item | None, attempt: str) -> bool:
    """Return whether a failed single-use write met the item that this very attempt had written."""
    return item is not None and item.get("attempt") == attempt
