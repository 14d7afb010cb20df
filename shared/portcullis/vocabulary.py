"""What both ends of a hop, and the gateway between them, call things: each name spelled once."""

PROBLEM_PREFIX = "urn:portcullis:problem:"
"""Before the code of a refusal, this is the problem's type (RFC 9457)."""
NONCE_HEADER = "DPoP-Nonce"
"""The nonce of the caller's next proof (RFC 9449 section 8.1)."""
REPLAYED_HEADER = "Idempotent-Replayed"
USER_TOKEN_HEADER = "Portcullis-Token"  # noqa: S105 a header's name
"""The user's access token, on a read that the money zone makes for that user."""
USER_PROOF_HEADER = "Portcullis-Proof"
"""The user's DPoP proof, beside the token."""
APPROVAL_HEADER = "Portcullis-Approval"
"""An approval, on a request whose body cannot hold it: there is none, or it is a signed order."""
