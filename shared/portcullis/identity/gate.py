"""The gate: may this request pass, now. Cheapest first, failing closed.

Token and proof cost no I/O, so a stranger causes none. Then one consistent batch read; on unsafe
methods the proof is used up in parallel with it. The verdict on an anomaly (``judge``) belongs
after that read, and a route's demand of assurance (RFC 9470) before it.
"""

from concurrent.futures import ThreadPoolExecutor

from portcullis import clock
from portcullis.aws import dynamodb, kms
from portcullis.aws.dynamodb import ConditionFailedError, Update
from portcullis.errors import UnauthenticatedError
from portcullis.evidence import access_token, dpop
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import EvidenceError, InvalidProofError, InvalidTokenError
from portcullis.identity import once, sessions, tables
from portcullis.identity.sessions import Session
from portcullis.identity.standing import AccountRestrictedError, Standing
from portcullis.settings import setting, settings_list

SAFE_METHODS = frozenset({"GET", "HEAD"})


class AuthenticationRequiredError(UnauthenticatedError):
    """There is no DPoP-bound token in the request."""

    code = "authentication-required"
    title = "Send a DPoP-bound access token and a DPoP proof."


class SessionEndedError(UnauthenticatedError):
    """The session was ended, or has reached its age."""

    code = "session-ended"
    title = "This session is over. Sign in again."


class SessionTerminatedError(UnauthenticatedError):
    """Every session of the account was terminated at once."""

    code = "session-terminated"
    title = "All sessions of this account were terminated. Sign in again."


def admit(*, authorization: str | None, proof: str | None, method: str, path: str) -> AccessToken:
    """Return the token of a request that may pass.

    Raises:
        AuthenticationRequiredError: there is no DPoP-bound token or no proof.
        InvalidTokenError: the token does not verify.
        InvalidProofError: the proof does not verify, or is another key's.
        ProofReplayedError: an unsafe method with a proof that was used before.
        SessionEndedError: the session is over.
        SessionTerminatedError: the account's epoch has moved on.
        AccountRestrictedError: the account's standing does not allow it.
        InfrastructureError: liveness is not known, so the request may not pass.
    """
    scheme, _, compact = (authorization or "").partition(" ")
    if scheme != "DPoP" or proof is None:
        # RFC 9449 section 7.2: a bound token sent as Bearer is refused too.
        raise AuthenticationRequiredError
    now_s = clock.now_s()
    token = _token(compact, now_s=now_s)
    shown = _proof(proof, compact, token, method=method, path=path, now_s=now_s)
    if method in SAFE_METHODS:
        _demand_live(token, now_s=now_s)
        return token
    with ThreadPoolExecutor(max_workers=1) as beside:
        used_up = beside.submit(once.consume, shown)
        _demand_live(token, now_s=now_s)
        used_up.result()
    return token


def _token(compact: str, *, now_s: int) -> AccessToken:
    try:
        return access_token.verify(
            compact,
            keys=kms.trusted_keys(*settings_list("ACCESS_TOKEN_KEYS")),
            expected_issuer=setting("PUBLIC_ORIGIN"),
            now_s=now_s,
        )
    except EvidenceError as error:
        raise InvalidTokenError from error


def _proof(
    compact: str, compact_token: str, token: AccessToken, *, method: str, path: str, now_s: int
) -> dpop.Proof:
    try:
        shown = dpop.verify(
            compact,
            expected_method=method,
            expected_url=setting("PUBLIC_ORIGIN") + path,
            access_token=compact_token,
            now_s=now_s,
        )
    except EvidenceError as error:
        raise InvalidProofError from error
    if shown.jkt != token.cnf.jkt:
        raise InvalidProofError
    return shown


def _demand_live(token: AccessToken, *, now_s: int) -> None:
    session_item, standing_item, sightings = dynamodb.batch_get(
        (tables.identity(), tables.session_key(token.sid)),
        (tables.standing(), tables.standing_key(token.sub)),
        (tables.identity(), tables.sightings_key(token.sid)),
    )
    if session_item is None or standing_item is None:
        raise SessionEndedError
    session, standing = Session.from_item(session_item), Standing.from_item(standing_item)
    if session.account != token.sub or session.jkt != token.cnf.jkt:
        raise InvalidTokenError
    if session.status != sessions.LIVE or now_s >= session.absolute_expires:
        raise SessionEndedError
    if not token.epoch == session.epoch == standing.epoch:
        raise SessionTerminatedError
    if not standing.is_active:
        raise AccountRestrictedError
    if token.gen > (sightings["gen_seen"] if sightings else 0):
        _see(token, session)


def _see(token: AccessToken, session: Session) -> None:
    """Record the first sight of a generation: from here on its predecessor has no retry.

    It must be written before the request passes; if it cannot be, the request does not pass.
    """
    try:
        dynamodb.update(
            Update(
                tables.identity(),
                tables.sightings_key(token.sid),
                change="SET #gen_seen = :generation, #ttl = :ttl",
                condition="attribute_not_exists(#gen_seen) OR #gen_seen < :generation",
                values={
                    ":generation": token.gen,
                    ":ttl": session.absolute_expires + sessions.TOMBSTONE_S,
                },
            )
        )
    except ConditionFailedError:
        return  # another request, or an earlier try of this one, saw it first
