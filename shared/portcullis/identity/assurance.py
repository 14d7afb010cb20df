"""Assurance: how strong and how recent a sign-in each route behind the gate demands (RFC 9470).

The gate's table, and the functions verify its demands again from the token: the gate's word
travels through the gateway.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from portcullis.evidence import levels
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.errors import StepUpRequiredError

PROVISIONAL, MFA, PHR, LEVELS = levels.PROVISIONAL, levels.MFA, levels.PHR, levels.LEVELS
FRESH_S = 300
"""How old a sign-in may be that changes factors or ends sessions."""

type Route = tuple[str, str]
"""A method, and the resource as API Gateway spells it: ``/passkeys/{id}``."""


class UnlistedRouteError(Exception):
    """A route was put behind the gate without a demand: a defect, so nobody passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a route demands: the weakest level, the oldest sign-in, a nonce in the proof."""

    acr: str
    max_age_s: int | None = None
    nonce: bool = False

    @property
    def acr_values(self) -> tuple[str, ...]:
        """Every level that is strong enough, strongest first."""
        return LEVELS[: LEVELS.index(self.acr) + 1]


_READ = Demand(acr=PROVISIONAL)
_MONEY = Demand(acr=MFA, nonce=True)
_APPROVAL = Demand(acr=MFA, nonce=True)
_FRESH = Demand(acr=MFA, max_age_s=FRESH_S)

DEMANDS: Mapping[Route, Demand] = {
    ("GET", "/wallets"): _READ,
    ("GET", "/wallets/{currency}/entries"): _READ,
    ("GET", "/passkeys"): _READ,
    ("GET", "/sessions"): _READ,
    ("POST", "/wallets"): _MONEY,
    ("POST", "/transfers"): _MONEY,
    ("POST", "/approvals/options"): _APPROVAL,
    ("POST", "/approvals"): _APPROVAL,
    ("POST", "/passkeys/options"): _FRESH,
    ("POST", "/passkeys"): _FRESH,
    ("PATCH", "/passkeys/{id}"): _FRESH,
    ("DELETE", "/passkeys/{id}"): _FRESH,
    ("POST", "/totp"): _FRESH,
    ("POST", "/totp/confirm"): _FRESH,
    ("DELETE", "/totp"): _FRESH,
    ("PUT", "/password"): _FRESH,
    ("POST", "/recovery-codes"): _FRESH,
    ("DELETE", "/recovery"): _FRESH,
    ("DELETE", "/sessions/{id}"): _FRESH,
    ("DELETE", "/sessions"): _FRESH,
}
"""The demand of every route behind the gate; there is no default."""


def demand_of(route: Route) -> Demand:
    """Return what *route* demands.

    Raises:
        UnlistedRouteError: the table does not have it.
    """
    try:
        return DEMANDS[route]
    except KeyError:
        raise UnlistedRouteError from None


def demand(token: AccessToken, *, route: Route, now_s: int) -> None:
    """Demand that the sign-in behind *token* is strong and recent enough for *route*.

    Args:
        token: a verified access token.
        route: the route of the request.
        now_s: the time, in Unix seconds.

    Raises:
        StepUpRequiredError: it is too weak or too old.
        UnlistedRouteError: the table does not have the route.
    """
    wanted = demand_of(route)
    too_old = wanted.max_age_s is not None and now_s - token.auth_time > wanted.max_age_s
    if token.acr not in wanted.acr_values or too_old:
        raise StepUpRequiredError(acr_values=wanted.acr_values, max_age_s=wanted.max_age_s)
