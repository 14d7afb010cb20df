"""The forms of OAuth: what each route demands, in the order of its refusals."""

from collections.abc import Mapping

import pytest

from portcullis.errors import RefusedError
from portcullis.identity.oauth import (
    InvalidClientError,
    MissingParameterError,
    RevocationRequest,
    TokenRequest,
    UnsupportedGrantTypeError,
)

REFRESH = {"grant_type": "refresh_token", "refresh_token": "prt1", "client_id": "portcullis"}


def refused(form: Mapping[str, str], kind: type[RefusedError]) -> None:
    """Demand that a token request is refused."""
    with pytest.raises(kind):
        TokenRequest.model_validate(form).demand_refresh()


def test_a_refresh_gives_its_token() -> None:
    """With and without the client id, which a public client may leave out."""
    assert TokenRequest.model_validate(REFRESH).demand_refresh() == "prt1"
    without = {name: value for name, value in REFRESH.items() if name != "client_id"}
    assert TokenRequest.model_validate(without).demand_refresh() == "prt1"


def test_unknown_parameters_are_ignored() -> None:
    """RFC 6749 section 3.2, the one exception to refusing what is unknown."""
    assert TokenRequest.model_validate(REFRESH | {"scope": "all"}).demand_refresh() == "prt1"


@pytest.mark.parametrize(
    "grant",
    ["authorization_code", "password", "client_credentials", "Refresh_token", "refresh_token ", ""],
)
def test_another_grant_is_refused(grant: str) -> None:
    """There are no codes, passwords or client credentials to exchange."""
    refused(REFRESH | {"grant_type": grant, "code": "c"}, UnsupportedGrantTypeError)


@pytest.mark.parametrize("client", ["", "Portcullis", "other", "portcullis "])
def test_another_client_is_refused(client: str) -> None:
    """There is one client."""
    refused(REFRESH | {"client_id": client}, InvalidClientError)
    with pytest.raises(InvalidClientError):
        RevocationRequest.model_validate({"token": "t", "client_id": client}).demand_token()


@pytest.mark.parametrize(
    "form",
    [{}, {"refresh_token": "t"}, {"grant_type": "refresh_token"}, REFRESH | {"refresh_token": ""}],
)
def test_an_absent_parameter_is_asked_for(form: dict[str, str]) -> None:
    """Grant type and token must both be there."""
    refused(form, MissingParameterError)


def test_the_grant_is_judged_before_the_client_and_the_client_before_the_token() -> None:
    """The order of refusals is fixed."""
    refused({"grant_type": "password", "client_id": "other"}, UnsupportedGrantTypeError)
    refused({"grant_type": "refresh_token", "client_id": "other"}, InvalidClientError)


def test_a_revocation_gives_its_token() -> None:
    """The hint is ignored (RFC 7009 section 2.1)."""
    form = {"token": "t", "token_type_hint": "access_token"}
    assert RevocationRequest.model_validate(form).demand_token() == "t"


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"refresh_token": "t"}])
def test_a_revocation_without_a_token_is_refused(form: dict[str, str]) -> None:
    """Which token to revoke must be said."""
    with pytest.raises(MissingParameterError):
        RevocationRequest.model_validate(form).demand_token()
