"""Registration of partners and operators: the one writer of the ledger's registry."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ValidationError, model_validator

from portcullis.amounts import Amount, Currency, DecimalText
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError
from portcullis.errors import ConflictError, InvalidError
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.operators import Operator, OperatorId
from portcullis.evidence.partners import Partner, PartnerId, RoleName
from portcullis.schema import Strict
from portcullis.settings import setting


class PartnerKnownError(ConflictError):
    """The partner is registered with another key, role or floor."""

    code = "partner-known"
    title = "This partner is registered otherwise. A registration is not changed by repeating it."


class PartnerKeyRefusedError(InvalidError):
    """The key is not a public P-256 JWK."""

    code = "partner-key-refused"
    title = "The key must be a public P-256 JWK without private members."


class OperatorKnownError(ConflictError):
    """The operator is registered with another key."""

    code = "operator-known"
    title = "This operator is registered with another key. A registration is never changed."


class OperatorKeyRefusedError(InvalidError):
    """The key is not a public P-256 JWK."""

    code = "operator-key-refused"
    title = "The key must be a public P-256 JWK without private members."


class Registration(Strict):
    """A partner to be registered. *floor* is how much its house may owe, per currency."""

    partner: PartnerId
    role: RoleName
    key: dict[str, str]
    floor: dict[Currency, DecimalText]

    def to_partner(self) -> Partner:
        """Return the partner to store.

        Raises:
            PartnerKeyRefusedError: its key is not one to trust.
        """
        try:
            jwk = PublicKey.from_jwk(self.key).to_jwk()
        except EvidenceError as error:
            raise PartnerKeyRefusedError from error
        return Partner(
            partner=self.partner, role=self.role, jwk=jwk, floor_minor=self._floor_minor()
        )

    def _floor_minor(self) -> dict[Currency, int]:
        return {
            currency: -Amount(amount=text, currency=currency).minor
            for currency, text in self.floor.items()
        }

    @model_validator(mode="after")
    def _floor_fits_its_currency(self) -> Self:
        try:
            self._floor_minor()
        except ValidationError:
            raise ValueError("a floor does not fit its currency") from None
        return self


class OperatorRegistration(Strict):
    """An operator to be registered."""

    operator: OperatorId
    key: dict[str, str]

    def to_operator(self) -> Operator:
        """Return the operator to store.

        Raises:
            OperatorKeyRefusedError: the key is not one to trust.
        """
        try:
            jwk = PublicKey.from_jwk(self.key).to_jwk()
        except EvidenceError as error:
            raise OperatorKeyRefusedError from error
        return Operator(operator=self.operator, jwk=jwk)


def register(registration: Registration) -> dict[str, Any]:
    """Register a partner; registering the same one again changes nothing.

    Raises:
        PartnerKeyRefusedError: its key is not one to trust.
        PartnerKnownError: it is registered otherwise.
        InfrastructureError: the registry did not answer.
    """
    partner = registration.to_partner()
    item = {"pk": f"PARTNER#{partner.partner}", **partner.model_dump()}
    if not _is_stored(item):
        raise PartnerKnownError
    return {"partner": partner.partner, "kid": PublicKey.from_jwk(partner.jwk).thumbprint}


def register_operator(registration: OperatorRegistration) -> dict[str, Any]:
    """Register an operator; registering the same one again changes nothing.

    Raises:
        OperatorKeyRefusedError: the key is not one to trust.
        OperatorKnownError: the operator is registered with another key.
        InfrastructureError: the registry did not answer.
    """
    operator = registration.to_operator()
    item = {"pk": f"OPERATOR#{operator.operator}", **operator.model_dump()}
    if not _is_stored(item):
        raise OperatorKnownError
    return {"operator": operator.operator, "kid": PublicKey.from_jwk(operator.jwk).thumbprint}


def _is_stored(item: Mapping[str, Any]) -> bool:
    """Store a new item; return whether the registry holds just this one under its key."""
    table = setting("REGISTRY_TABLE")
    try:
        # Inserted, never put: the role that registers cannot replace anybody's key.
        dynamodb.execute(dynamodb.insert(table, item))
    except ConditionFailedError:
        return dynamodb.get(table, {"pk": item["pk"]}) == item
    return True
