"""What verification refuses, by the kind of evidence that failed.

Deliberately coarse: which check of a token or proof failed is for our log, not for its bearer.
"""

from portcullis.errors import ForbiddenError, InvalidError, UnauthenticatedError


class EvidenceError(Exception):
    """A piece of evidence is malformed, expired, forged or about something else.

    The message names the check that failed, in our words; it never holds a part of the evidence.
    """


class InvalidTokenError(UnauthenticatedError):
    """The access token does not verify."""

    code = "invalid-token"
    title = "The access token is not valid. Refresh it, or sign in again."


class InvalidProofError(InvalidError):
    """The DPoP proof does not verify."""

    code = "invalid-proof"
    title = "The DPoP proof is missing, malformed, or made for another request."


class ProofReplayedError(InvalidError):
    """The DPoP proof was used before."""

    code = "proof-replayed"
    title = "This DPoP proof was used before. Make a new proof for each request."


class UseNonceError(InvalidError):
    """The DPoP proof has no nonce of the server's, or an old one (RFC 9449 sections 8 and 9)."""

    code = "use-dpop-nonce"
    title = "Make a new DPoP proof with the nonce in this answer's DPoP-Nonce header."


class StepUpRequiredError(UnauthenticatedError):
    """The sign-in behind the access token is too weak or too old (RFC 9470 section 3).

    Args:
        acr_values: every acceptable level, strongest first: constants of ours.
        max_age_s: how old the sign-in may be, in seconds, or None where its age does not matter.
    """

    code = "insufficient-user-authentication"
    title = "This needs a stronger or more recent sign-in. Sign in again."

    def __init__(self, *, acr_values: tuple[str, ...], max_age_s: int | None) -> None:
        super().__init__()
        self.acr_values = acr_values
        self.max_age_s = max_age_s


class OrderNotSignedError(InvalidError):
    """The proof does not sign this body and this idempotency key."""

    code = "order-not-signed"
    title = "The DPoP proof does not sign this body (bd) and this idempotency key (idk)."


class InvalidCommandError(ForbiddenError):
    """The signed command does not verify, or its issuer may not give it."""

    code = "invalid-command"
    title = "The command is not valid, or its issuer may not give it."


class EvidenceRefusedError(ForbiddenError):
    """The user's evidence inside a command does not bear it out."""

    code = "evidence-refused"
    title = "The user's token or proof does not bear out this command."
