"""The form-encoded requests of OAuth.

Unknown parameters are ignored, as RFC 6749 section 3.2 says: the one exception to refusing them.
Repeated ones are refused.
"""

from pydantic import BaseModel, ConfigDict

from portcullis.errors import InvalidError
from portcullis.evidence.access_token import CLIENT_ID


class UnsupportedGrantTypeError(InvalidError):
    """Only refresh tokens are exchanged here."""

    code = "unsupported-grant-type"
    title = "The only grant type here is refresh_token; sign in at /sessions."


class InvalidClientError(InvalidError):
    """The client id is another one."""

    code = "invalid-client"
    title = "The client id is not known here."


class MissingParameterError(InvalidError):
    """A parameter that the request needs is absent."""

    code = "missing-parameter"
    title = "A required form parameter is absent."


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    client_id: str | None = None

    def _demand_client(self) -> None:
        if self.client_id not in {None, CLIENT_ID}:
            raise InvalidClientError


class TokenRequest(_Form):
    """A refresh (RFC 6749 section 6)."""

    grant_type: str | None = None
    refresh_token: str | None = None

    def demand_refresh(self) -> str:
        """Return the refresh token.

        Raises:
            UnsupportedGrantTypeError: another grant is asked for.
            InvalidClientError: for another client.
            MissingParameterError: there is no grant type or no refresh token.
        """
        if self.grant_type is None:
            raise MissingParameterError
        if self.grant_type != "refresh_token":
            raise UnsupportedGrantTypeError
        self._demand_client()
        if not self.refresh_token:
            raise MissingParameterError
        return self.refresh_token


class RevocationRequest(_Form):
    """A revocation (RFC 7009 section 2.1). The type hint adds nothing: our tokens differ."""

    token: str | None = None

    def demand_token(self) -> str:
        """Return the token to revoke.

        Raises:
            InvalidClientError: it is another client's request.
            MissingParameterError: there is no token.
        """
        self._demand_client()
        if not self.token:
            raise MissingParameterError
        return self.token
