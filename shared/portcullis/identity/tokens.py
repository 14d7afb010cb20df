"""Token responses: an access token signed by KMS beside a refresh token."""

import functools
from dataclasses import dataclass
from typing import Any

from portcullis import entropy
from portcullis.aws.kms import Signer
from portcullis.evidence import access_token
from portcullis.identity import tables
from portcullis.identity.families import Keys, RefreshToken
from portcullis.identity.sessions import Session
from portcullis.settings import setting, settings_list


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in or a refresh yields."""

    access_token: str
    refresh_token: str
    expires_in_s: int

    def to_json(self) -> dict[str, Any]:
        """Return the token response (RFC 6749 section 5.1, RFC 9449 section 5)."""
        return {
            "access_token": self.access_token,
            "token_type": "DPoP",
            "expires_in": self.expires_in_s,
            "refresh_token": self.refresh_token,
        }


def family_keys() -> Keys:
    """Return the keys behind refresh tokens.

    Raises:
        InfrastructureError: the zone's secret is not to be had.
    """
    return _keys(tables.refresh_secrets())


@functools.cache
def _keys(peppers: tuple[bytes, ...]) -> Keys:
    return Keys(*peppers)  # derived once for each environment, not for each use


def issue(session: Session, token: RefreshToken, *, now_s: int) -> Tokens:
    """Return tokens of the generation of *token*, the access token signed by KMS.

    The access token never outlives the session.

    Raises:
        InfrastructureError: KMS did not sign.
    """
    expires = min(now_s + access_token.LIFETIME_S, session.absolute_expires)
    origin = setting("PUBLIC_ORIGIN")
    claims = access_token.AccessToken(
        iss=origin,
        aud=origin,
        sub=session.account,
        client_id=access_token.CLIENT_ID,
        iat=now_s,
        exp=expires,
        jti=entropy.new_id(),
        cnf=access_token.Confirmation(jkt=session.jkt),
        sid=session.sid,
        epoch=session.epoch,
        gen=token.generation,
        acr=session.acr,
        amr=list(session.amr),
        auth_time=session.auth_time,
    )
    signer = Signer(settings_list("ACCESS_TOKEN_KEYS")[0])
    return Tokens(
        access_token=signer.sign(claims.model_dump(), typ=access_token.TYP),
        refresh_token=family_keys().text(token),
        expires_in_s=expires - now_s,
    )
