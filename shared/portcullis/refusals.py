"""The ledger's refusals, as both ends of the hop know them: a closed list.

The ledger raises them, the money zone recognises them by code and raises them again. The ledger
answers 403, 409 or 422, never 401: a session is the gate's to judge. What refuses an approval is
identity's, too, and said in the same words.
"""

from portcullis.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnprocessableError,
)
from portcullis.evidence.errors import EvidenceRefusedError, InvalidCommandError


class InsufficientFundsError(ConflictError):
    """The debit would take the wallet below its floor."""

    code = "insufficient-funds"
    title = "The wallet does not hold enough."


class WalletNotOpenError(ConflictError):
    """One of the wallets is not open."""

    code = "wallet-not-open"
    title = "Both wallets must be open in this currency."


class NoSuchWalletError(NotFoundError):
    """The caller has no wallet of this currency."""

    code = "no-such-wallet"
    title = "There is no wallet of this currency."


class WalletAlreadyOpenError(ConflictError):
    """The wallet was opened by another order."""

    code = "wallet-already-open"
    title = "This wallet is already open."


class BalanceLimitError(ConflictError):
    """The credit would take the wallet above what a balance can be."""

    code = "balance-limit"
    title = "The receiving wallet cannot hold this much."


class SameWalletError(InvalidError):
    """Debit and credit are one wallet."""

    code = "same-wallet"
    title = "A transfer needs two different accounts."


class IdempotencyKeyReusedError(UnprocessableError):
    """The idempotency key stands for another order."""

    code = "idempotency-key-reused"
    title = "This idempotency key was used for another order. Use a new one."


class DebitNotAllowedError(ForbiddenError):
    """The debited account's standing, or its epoch, does not allow it."""

    code = "debit-not-allowed"
    title = "This account may not move money at present. Sign in again."


class ApprovalRequiredError(ForbiddenError):
    """The act wants an approval that is young enough, and came without one."""

    code = "approval-required"
    title = "Have this approved at /approvals first."


class ApprovalRefusedError(ForbiddenError):
    """The approval does not verify, is for another act, was used, or is too old."""

    code = "approval-refused"
    title = "The approval is not valid for this act. Ask for a new one."


class LockedDownError(ForbiddenError):
    """Operators have frozen outgoing money, for everybody."""

    code = "locked-down"
    title = "No money may go out of the platform at present. Nothing was posted."


class CursorRefusedError(InvalidError):
    """The cursor was not given out for this list."""

    code = "cursor-refused"
    title = "The cursor or limit is not valid for this list. Start without a cursor."


LEDGER_REFUSALS: dict[str, type[RefusedError]] = {
    refusal.code: refusal
    for refusal in (
        InsufficientFundsError,
        WalletNotOpenError,
        NoSuchWalletError,
        WalletAlreadyOpenError,
        BalanceLimitError,
        SameWalletError,
        IdempotencyKeyReusedError,
        DebitNotAllowedError,
        ApprovalRequiredError,
        ApprovalRefusedError,
        LockedDownError,
        CursorRefusedError,
        EvidenceRefusedError,
        InvalidCommandError,
    )
}
