"""Commands of the money zone: signed by its KMS key, carrying the user's own evidence."""

from portcullis import entropy
from portcullis.aws.kms import Signer
from portcullis.evidence import approvals, commands
from portcullis.evidence.caller import Caller
from portcullis.evidence.commands import Command
from portcullis.evidence.encoding import b64url
from portcullis.evidence.orders import OrderKind
from portcullis.refusals import ApprovalRefusedError
from portcullis.settings import setting

ISSUER = "money"
PATH = "/postings"


def sign(kind: OrderKind, *, body: bytes, who: Caller, approval: str | None, now_s: int) -> str:
    """Return a signed command to post the order in *body*, with the approval that came with it.

    Raises:
        ApprovalRefusedError: what came is longer than any approval.
        InfrastructureError: KMS did not sign.
    """
    if len(approval or "") > approvals.CHARS_MAX:
        raise ApprovalRefusedError
    origin = setting("INTERNAL_ORIGIN")
    command = Command(
        iss=ISSUER,
        aud=origin,
        htm="POST",
        htu=origin + PATH,
        iat=now_s,
        exp=now_s + commands.LIFETIME_S,
        jti=entropy.new_id(),
        kind=kind,
        body=b64url(body),
        proof=who.compact_proof,
        token=who.compact_token,
        approval=approval,
    )
    return Signer(setting("COMMAND_KEY")).sign(
        command.model_dump(exclude_none=True), typ=commands.TYP
    )
