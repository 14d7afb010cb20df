"""The evidence that came with a request: the DPoP proof, and the caller that it shows."""

from typing import Any

from portcullis import clock
from portcullis.aws import kms
from portcullis.edge.request import Request
from portcullis.evidence import caller, dpop
from portcullis.evidence.caller import Caller
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import (
    EvidenceError,
    EvidenceRefusedError,
    InvalidProofError,
    InvalidTokenError,
    OrderNotSignedError,
)
from portcullis.settings import setting, settings_list
from portcullis.vocabulary import USER_PROOF_HEADER, USER_TOKEN_HEADER


def proof_of(request: Request[Any]) -> Proof:
    """Return the verified proof of a request that presents no access token.

    Raises:
        InvalidProofError: there is none for this request.
    """
    compact = request.header("dpop")
    if compact is None:
        raise InvalidProofError
    try:
        return dpop.verify(
            compact,
            expected_method=request.method,
            expected_url=setting("PUBLIC_ORIGIN") + request.path,
            access_token=None,
            now_s=clock.now_s(),
        )
    except EvidenceError as error:
        raise InvalidProofError from error


def caller_of(request: Request[Any]) -> Caller:
    """Return the verified caller of a request that the gate let through.

    The gate decided whether the session lives; that the token and proof are genuine is checked
    again here, because ``requestContext.authorizer`` is only a claim of the gateway.

    Raises:
        InvalidTokenError: token or proof does not verify.
    """
    scheme, _, token = (request.header("authorization") or "").partition(" ")
    if scheme != "DPoP":
        raise InvalidTokenError
    try:
        return _caller(request, token=token, proof=request.header("dpop"))
    except EvidenceError as error:
        raise InvalidTokenError from error


def signer_of_order(request: Request[Any]) -> tuple[Caller, str]:
    """Return the caller of a money mutation and the idempotency key that its proof signs.

    Raises:
        InvalidTokenError: token or proof does not verify.
        IdempotencyKeyRequiredError: there is no usable key.
        OrderNotSignedError: the proof does not sign this body under this key.
    """
    who, key = caller_of(request), request.idempotency_key()
    try:
        dpop.verify_order(who.proof, body=request.raw_body, idempotency_key=key)
    except EvidenceError as error:
        raise OrderNotSignedError from error
    return who, key


def on_behalf_of(request: Request[Any]) -> Caller:
    """Return the user on whose behalf the money zone reads, shown by the user's own evidence.

    The internal path of a read is the public one, so the user's proof names it.

    Raises:
        EvidenceRefusedError: the user's token or proof does not verify.
    """
    token, proof = request.header(USER_TOKEN_HEADER), request.header(USER_PROOF_HEADER)
    try:
        return _caller(request, token=token, proof=proof)
    except EvidenceError as error:
        raise EvidenceRefusedError from error


def _caller(request: Request[Any], *, token: str | None, proof: str | None) -> Caller:
    return caller.verify(
        compact_token=token or "",
        compact_proof=proof or "",
        keys=kms.trusted_keys(*settings_list("ACCESS_TOKEN_KEYS")),
        expected_origin=setting("PUBLIC_ORIGIN"),
        expected_method=request.method,
        expected_path=request.path,
        now_s=clock.now_s(),
    )
