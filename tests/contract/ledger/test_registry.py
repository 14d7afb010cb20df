"""Registrations: once, with a public key, and never changed by repeating them."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from portcullis.aws.dynamodb import StoreError
from portcullis.operations import registry
from portcullis.operations.registry import (
    OperatorKeyRefusedError,
    OperatorKnownError,
    OperatorRegistration,
    PartnerKeyRefusedError,
    PartnerKnownError,
    Registration,
)
from tests.contract.ledger import orders
from tests.contract.ledger.bank import Bank, Partner
from tests.contract.ledger.books import items
from tests.support import jws
from tests.support.faults import TRANSACTION, Loss, Proxy

pytestmark = pytest.mark.contract

KEY = jws.new_key()
JWK = jws.public_jwk(KEY)
SANDBOX: dict[str, object] = {
    "partner": "sandbox",
    "role": "partner-sandbox",
    "key": JWK,
    "floor": {"EUR": "1000000.00"},
}


def register(**changes: object) -> dict[str, object]:
    """Register the sandbox partner, with *changes*."""
    return registry.register(Registration.model_validate(SANDBOX | changes))


def test_a_partner_is_registered(bank: Bank) -> None:
    """What the ledger reads is what was registered: minor units, and the public key alone."""
    assert register() == {"partner": "sandbox", "kid": jws.thumbprint(JWK)}
    assert items(bank.tables, "registry") == [
        {
            "pk": "PARTNER#sandbox",
            "partner": "sandbox",
            "role": "partner-sandbox",
            "jwk": JWK,
            "floor_minor": {"EUR": -100_000_000},
        }
    ]


def test_registering_twice_changes_nothing(bank: Bank) -> None:
    """The same registration again has the same answer."""
    first = register()
    before = items(bank.tables, "registry")
    assert register() == first
    assert items(bank.tables, "registry") == before


def test_members_that_say_nothing_of_the_key_are_dropped(bank: Bank) -> None:
    """A JWK with its name and use is the same key, and registers as the same partner."""
    register()
    before = items(bank.tables, "registry")
    register(key=JWK | {"kid": "mine", "use": "sig", "alg": "ES256"})
    assert items(bank.tables, "registry") == before


@pytest.mark.parametrize(
    "change",
    [
        {"key": jws.public_jwk(jws.new_key())},
        {"role": "partner-other"},
        {"floor": {"EUR": "1000000.01"}},
        {"floor": {"EUR": "1000000.00", "USD": "1.00"}},
        {"floor": {"USD": "1000000.00"}},
        {"floor": {}},
    ],
    ids=["key", "role", "more", "one more currency", "another currency", "none"],
)
def test_a_known_partner_is_not_registered_otherwise(
    bank: Bank, change: Mapping[str, object]
) -> None:
    """A stolen right to register does not change who may deposit, from where, and how much."""
    register()
    with bank.unchanged(PartnerKnownError):
        register(**change)


def test_of_two_registrations_at_once_one_wins(bank: Bank) -> None:
    """However many operators register one name with different keys, one key is trusted."""
    start = threading.Barrier(8)
    keys = [jws.public_jwk(jws.new_key()) for _ in range(8)]

    def attempt(key: Mapping[str, str]) -> str | None:
        start.wait()
        try:
            return str(register(key=key)["kid"])
        except PartnerKnownError:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [kid for kid in pool.map(attempt, keys) if kid is not None]
    (stored,) = items(bank.tables, "registry")
    assert won == [jws.thumbprint(stored["jwk"])]


@pytest.mark.parametrize("by", [Loss.DROPPED, Loss.ERROR], ids=lambda by: by.name.lower())
@pytest.mark.parametrize("stripped", [False, True], ids=["token kept", "token stripped"])
def test_a_registration_whose_answer_is_lost_is_a_success(
    bank: Bank, proxy: Proxy, by: Loss, *, stripped: bool
) -> None:
    """The repetition finds its own item and takes it for what it is."""
    proxy.without_idempotency = stripped
    fault = proxy.lose_answer(TRANSACTION, by=by)
    assert register()["kid"] == jws.thumbprint(JWK)
    assert fault.hits == 1
    assert len(items(bank.tables, "registry")) == 1


def test_a_registration_that_failed_registers_nobody(bank: Bank, proxy: Proxy) -> None:
    """A failure before the write leaves the name free, and the same registration then succeeds."""
    proxy.fail_before(TRANSACTION, times=2)
    with bank.unchanged(StoreError):
        register()
    assert register()["partner"] == "sandbox"


def _off_the_curve() -> dict[str, str]:
    return JWK | {"y": JWK["x"]}


NO_PUBLIC_KEYS = pytest.mark.parametrize(
    "jwk",
    [
        jws.private_jwk(KEY),
        JWK | {"d": ""},
        {name: value for name, value in JWK.items() if name != "y"},
        {name: value for name, value in JWK.items() if name != "kty"},
        JWK | {"kty": "oct", "k": "c2VjcmV0"},
        JWK | {"kty": "RSA"},
        JWK | {"crv": "P-384"},
        JWK | {"crv": "secp256k1"},
        _off_the_curve(),
        JWK | {"x": JWK["x"] + "="},
        JWK | {"x": JWK["x"][:-4]},
        JWK | {"x": "AA" + JWK["x"]},
        JWK | {"x": jws.b64url(bytes(32)), "y": jws.b64url(bytes(32))},
        {},
    ],
    ids=[
        "private",
        "an empty private member",
        "no y",
        "no kty",
        "symmetric",
        "RSA",
        "P-384",
        "secp256k1",
        "off the curve",
        "padded",
        "short",
        "long",
        "the origin",
        "empty",
    ],
)


@NO_PUBLIC_KEYS
def test_a_key_that_is_no_public_p256_key_is_refused(bank: Bank, jwk: dict[str, str]) -> None:
    """Above all a private key: whoever sends it has shown it to us and to our logs."""
    with bank.unchanged(PartnerKeyRefusedError):
        register(key=jwk)


def test_a_key_of_a_longer_curve_is_refused(bank: Bank) -> None:
    """A P-384 key is not taken for a P-256 key, whatever it calls itself."""
    numbers = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    jwk = JWK | {"x": jws.b64url(numbers.x.to_bytes(48)), "y": jws.b64url(numbers.y.to_bytes(48))}
    with bank.unchanged(PartnerKeyRefusedError):
        register(key=jwk)


@pytest.mark.parametrize(
    "floor",
    [
        {"EUR": "1000000"},
        {"EUR": "1000000.0"},
        {"EUR": "1000000.000"},
        {"EUR": "-1000000.00"},
        {"EUR": "+1.00"},
        {"EUR": "0.00"},
        {"EUR": "01.00"},
        {"EUR": "1e6"},
        {"EUR": "1,000.00"},
        {"EUR": " 1.00"},
        {"EUR": "1.00\n"},
        {"EUR": ""},
        {"EUR": "NaN"},
        {"EUR": "Infinity"},
        {"EUR": "10000000000000.01"},
        {"EUR": 1_000_000},
        {"EUR": 1.5},
        {"EUR": None},
        {"EUR": {"amount": "1.00", "currency": "EUR"}},
        {"JPY": "1.00"},
        {"XXX": "1.00"},
        {"eur": "1.00"},
        {"": "1.00"},
        {"EUR": "1.00", "XXX": "1.00"},
        [["EUR", "1.00"]],
        "1.00",
        None,
    ],
)
def test_a_malformed_floor_is_refused(bank: Bank, floor: object) -> None:
    """A floor is exact positive decimal text in known currencies, or nobody is registered."""
    with bank.unchanged(ValidationError):
        register(floor=floor)


@pytest.mark.parametrize(
    "change",
    [
        {"partner": ""},
        {"partner": "Sandbox"},
        {"partner": "1sandbox"},
        {"partner": "s" * 33},
        {"partner": "sand box"},
        {"partner": "sandbox\n"},
        {"partner": "sandbox#EUR"},
        {"partner": "partner:sandbox"},
        {"partner": None},
        {"role": ""},
        {"role": "r" * 65},
        {"role": "role/partner"},
        {"role": "arn:aws:iam::000000000000:role/partner"},
        {"role": "*"},
        {"role": None},
        {"key": "a key"},
        {"key": {"kty": 1}},
        {"unknown": "member"},
    ],
)
def test_a_malformed_registration_is_refused(bank: Bank, change: Mapping[str, object]) -> None:
    """A name that could be read as another key, a role that names many, or an unknown member."""
    with bank.unchanged(ValidationError):
        register(**change)


def test_a_partner_that_registered_can_deposit_at_once(bank: Bank) -> None:
    """What registration writes is what the ledger reads."""
    register()
    user, partner = bank.holder(), Partner("sandbox", KEY)
    bank.obey_partner(
        partner.command(orders.deposit(user.account, "1000000.00", "ref-1")), role=partner.role
    )
    assert bank.balance(partner) == -100_000_000


ALICE: dict[str, object] = {"operator": "alice", "key": JWK}


def register_operator(**changes: object) -> dict[str, object]:
    """Register an operator, with *changes*."""
    return registry.register_operator(OperatorRegistration.model_validate(ALICE | changes))


def test_an_operator_is_registered(bank: Bank) -> None:
    """Its name and its public key alone; the same again changes nothing."""
    stored = [{"pk": "OPERATOR#alice", "operator": "alice", "jwk": JWK}]
    for key in (JWK, JWK | {"kid": "mine", "use": "sig", "alg": "ES256"}):
        assert register_operator(key=key) == {"operator": "alice", "kid": jws.thumbprint(JWK)}
        assert items(bank.tables, "registry") == stored


def test_a_known_operator_gets_no_other_key(bank: Bank) -> None:
    """A stolen right to register does not speak for an operator who is there."""
    register_operator()
    with bank.unchanged(OperatorKnownError):
        register_operator(key=jws.public_jwk(jws.new_key()))


def test_an_operator_and_a_partner_of_one_name_are_two(bank: Bank) -> None:
    """Neither registration stands in the other's way, nor for it."""
    register(partner="alice")
    register_operator(key=jws.public_jwk(jws.new_key()))
    assert [item["pk"] for item in items(bank.tables, "registry")] == [
        "OPERATOR#alice",
        "PARTNER#alice",
    ]


@NO_PUBLIC_KEYS
def test_an_operators_key_that_is_no_public_p256_key_is_refused(
    bank: Bank, jwk: dict[str, str]
) -> None:
    """What is no key for a partner is none for an operator."""
    with bank.unchanged(OperatorKeyRefusedError):
        register_operator(key=jwk)


@pytest.mark.parametrize(
    "change",
    [
        {"operator": ""},
        {"operator": "Alice"},
        {"operator": "1alice"},
        {"operator": "a" * 33},
        {"operator": "al ice"},
        {"operator": "alice\n"},
        {"operator": "alice#1"},
        {"operator": "operator:alice"},
        {"operator": None},
        {"key": "a key"},
        {"key": {"kty": 1}},
        {"role": "operator"},
    ],
)
def test_a_malformed_operator_is_refused(bank: Bank, change: Mapping[str, object]) -> None:
    """A name that could be read as another key or issuer, or an unknown member."""
    with bank.unchanged(ValidationError):
        register_operator(**change)
