"""The gate: may this request pass, now. Cheapest first, failing closed.

Token, proof, nonce and the route's demand of assurance (RFC 9470) cost no I/O, so a stranger
causes none, and a challenge spends no proof. Then one consistent batch read, and on any method but
GET the proof is used up in parallel with it. Then the judge, on what the read remembers: after the
proof, so that whoever replays a captured one reveals nothing and kills nothing, unless it is a
GET's and less than a minute old (docs/decisions/0021).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from portcullis import clock
from portcullis.aws import dynamodb, kms
from portcullis.errors import UnauthenticatedError
from portcullis.evidence import access_token, dpop
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import EvidenceError, InvalidProofError, InvalidTokenError
from portcullis.identity import (
    assurance,
    evaluation,
    nonces,
    once,
    sessions,
    sightings,
    tables,
)
from portcullis.identity.assurance import Route
from portcullis.identity.evaluation import KilledError
from portcullis.identity.judge import Outcome
from portcullis.identity.sessions import Session
from portcullis.identity.sightings import Sightings
from portcullis.identity.standing import Standing
from portcullis.settings import setting, settings_list
from portcullis.source import Source


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
    *,
    authorization: str | None,
    proof: str | None,
    method: str,
    path: str,
    resource: str,
    source: Source,
) -> AccessToken:
    """Return the token of a request that may pass.

    Args:
        authorization: the Authorization header, if there is one.
        proof: the DPoP header, if there is one.
        method: the request's method.
        path: the raw path.
        resource: the route's path as API Gateway spells it, ``/passkeys/{id}``.
        source: where the request comes from, as API Gateway saw it.

    Raises:
        AuthenticationRequiredError: there is no DPoP-bound token or no proof.
        InvalidTokenError: the token does not verify.
        InvalidProofError: the proof does not verify, or is another key's.
        UseNonceError: the proof has no nonce of ours on a route that demands one, or an old one.
        StepUpRequiredError: the sign-in is too weak or too old for the route.
        ProofReplayedError: another method than GET with a proof that was used before.
        SessionEndedError: the session is over.
        SessionTerminatedError: the account's epoch has moved on, or this request moves it.
        AccountQuarantinedError: the account is quarantined, and the route does not lift that.
        AccountRestrictedError: the account's standing does not allow it.
        InfrastructureError: liveness is not known, or what the verdict demands could not be
            done, so the request may not pass.
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
        live = _live(token, route=route, now_s=now_s)
    else:
        with ThreadPoolExecutor(max_workers=1) as beside:
            used_up = beside.submit(once.consume, shown)
            live = _live(token, route=route, now_s=now_s)
            used_up.result()
    _evaluate(live, token, source=source, now_s=now_s)
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


@dataclass(frozen=True, slots=True)
class _Live:
    session: Session
    standing: Standing
    sightings: Sightings


def _live(token: AccessToken, *, route: Route, now_s: int) -> _Live:
    session_item, standing_item, seen_item = dynamodb.batch_get(
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
    standing.demand_permitted(route)
    return _Live(session, standing, Sightings.from_item(seen_item))


def _evaluate(live: _Live, token: AccessToken, *, source: Source, now_s: int) -> None:
    seen = sightings.observe(source, now_s=now_s)
    try:
        outcome = evaluation.evaluate(
            live.session, live.standing, live.sightings, seen, occasion="request"
        )
    except KilledError as verdict:
        raise SessionTerminatedError from verdict
    sightings.record(
        live.session,
        live.sightings,
        seen,
        generation=token.gen,
        demanded=outcome is Outcome.STEP_UP,
    )
