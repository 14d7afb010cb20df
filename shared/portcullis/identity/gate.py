"""The gate: may this request pass, now. Cheapest first, failing closed.

Token, proof, nonce and the route's demand of assurance (RFC 9470) cost no I/O, so a stranger
causes none, and a challenge spends no proof. Then one consistent batch read; but on a GET the proof
is used up in parallel with it. The verdict on an anomaly (``judge``) belongs after that read.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from portcullis import clock, log
from portcullis.aws import dynamodb, kms
from portcullis.aws.dynamodb import ConditionFailedError, Item, Update
from portcullis.errors import InfrastructureError, UnauthenticatedError
from portcullis.evidence import access_token, dpop
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import EvidenceError, InvalidProofError, InvalidTokenError
from portcullis.identity import assurance, nonces, once, sessions, tables
from portcullis.identity.sessions import Session
from portcullis.identity.standing import AccountRestrictedError, Standing
from portcullis.settings import setting, settings_list

SEEN_LAG_S_MAX = 60
"""How far the recorded sight of a session may lag behind its requests."""


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


def admit(
    *, authorization: str | None, proof: str | None, method: str, path: str, resource: str
) -> AccessToken:
    """Return the token of a request that may pass.

    Args:
        authorization: the Authorization header, if there is one.
        proof: the DPoP header, if there is one.
        method: the request's method.
        path: the raw path.
        resource: the route's path as API Gateway spells it, ``/passkeys/{id}``.

    Raises:
        AuthenticationRequiredError: there is no DPoP-bound token or no proof.
        InvalidTokenError: the token does not verify.
        InvalidProofError: the proof does not verify, or is another key's.
        UseNonceError: the proof has no nonce of ours on a route that demands one, or an old one.
        StepUpRequiredError: the sign-in is too weak or too old for the route.
        ProofReplayedError: another method than GET with a proof that was used before.
        SessionEndedError: the session is over.
        SessionTerminatedError: the account's epoch has moved on.
        AccountRestrictedError: the account's standing does not allow it.
        InfrastructureError: liveness is not known, so the request may not pass.
        UnlistedRouteError: the route has no demand, so nobody passes.
    """
    scheme, _, compact = (authorization or "").partition(" ")
    if scheme != "DPoP" or proof is None:
        # RFC 9449 section 7.2: a bound token sent as Bearer is refused too.
        raise AuthenticationRequiredError
    now_s = clock.now_s()
    token = _token(compact, now_s=now_s)
    shown = _proof(proof, compact, token, method=method, path=path, now_s=now_s)
    route = (method, resource)
    # RFC 9449 section 4.3, check 10: where none is demanded, one that is shown must be ours.
    if assurance.demand_of(route).nonce or shown.nonce is not None:
        nonces.demand(shown, now_s=now_s)
    assurance.demand(token, route=route, now_s=now_s)
    if method == "GET":
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
    _see(token, session, sightings or {}, now_s=now_s)


def _see(token: AccessToken, session: Session, sightings: Item, *, now_s: int) -> None:
    """Record the first sight of a generation, and at most once a minute that of the session.

    From the first sight of a generation on its predecessor has no retry: it must be written before
    the request passes, and if it cannot be, the request does not pass. ``seen_at`` is a baseline,
    which a failure leaves a little older.
    """
    due = {}
    if token.gen > sightings.get("gen_seen", 0):
        due["gen_seen"] = token.gen
    if now_s >= sightings.get("seen_at", 0) + SEEN_LAG_S_MAX:
        due["seen_at"] = now_s
    if not due:
        return
    try:
        met = _advance(session, due)
        if met is not None and met.get("gen_seen", 0) < token.gen:
            # It was seen_at alone that had moved on.
            _advance(session, {"gen_seen": token.gen})
    except InfrastructureError as error:
        if "gen_seen" in due:
            raise
        log.alarm("sighting-not-recorded", {"code": str(error)})


def _advance(session: Session, values: Mapping[str, int]) -> Item | None:
    """Write *values* and return None; or, if one is not ahead of what stands, return what stands.

    Raises:
        InfrastructureError: the store did not answer.
    """
    ahead = [f"(attribute_not_exists(#{name}) OR #{name} < :{name})" for name in values]
    bound = {f":{name}": value for name, value in values.items()}
    try:
        dynamodb.update(
            Update(
                tables.identity(),
                tables.sightings_key(session.sid),
                change="SET " + ", ".join(f"#{name} = :{name}" for name in (*values, "ttl")),
                condition=" AND ".join(ahead),
                values={**bound, ":ttl": session.absolute_expires + sessions.TOMBSTONE_S},
            )
        )
    except ConditionFailedError as failure:
        return failure.reasons[0].item  # of another request, or of an earlier try of this one
    return None
