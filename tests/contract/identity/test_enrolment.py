"""Enrolment certificates: no row of the table opens an account that the certifier did not name.

Whoever can write the identity table adds a passkey of his own to somebody's factors and makes its
row say whatever he likes; only the certifier's signature is not his to make.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Value
from portcullis.evidence.approvals import Act
from portcullis.identity import approving, factors, sign_in, tables
from portcullis.identity.factors import EnrolledPasskey
from portcullis.identity.passkeys import Assertion, PasskeyRefusedError
from portcullis.identity.tokens import Tokens
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    SIGN_IN,
    SOURCE,
    Family,
    Person,
    family_of,
    now,
    proof_of,
)
from tests.contract.identity.records import only_throttled
from tests.support import jws
from tests.support.authenticator import Authenticator, Misbehaviour
from tests.support.dpop import ProofKey
from tests.support.key_service import KeyService

pytestmark = pytest.mark.contract

ENROLMENT_KEY, ACCESS_TOKEN_KEY = "enrolment", "access-token"


def _certificate(person: Person) -> str:
    item = dynamodb.get(tables.identity(), _key(person))
    assert item is not None
    return str(item["certificate"])


def _key(person: Person) -> Mapping[str, str]:
    return tables.credential_key(person.authenticator.credentials[-1].id)


@dataclass(frozen=True)
class Theft:
    """A thief with a passkey of his own, and whose account he wants."""

    thief: Person
    victim: Person
    keys: KeyService

    def plant(self, **row: Value) -> None:
        """Make the thief's passkey one of the victim's factors, its row as given."""
        held = self.victim.factors
        factor = EnrolledPasskey(
            id=self.thief.passkey,
            credential_id=self.thief.authenticator.credentials[-1].id,
            added_at=now(),
            established_at=now(),
        )
        dynamodb.execute(held.plus(factor).written_after(held))
        records.forge(_key(self.thief), account=self.victim.account, **row)

    def assertion(self, key: ProofKey) -> Assertion:
        """Answer a sign-in with the thief's passkey and the victim's user handle."""
        return self.thief.assertion(key, misbehaviour=Misbehaviour(user_handle=self.victim.handle))

    def signed(
        self, by: str, *, header: Mapping[str, object] | None = None, **claims: object
    ) -> str:
        """Sign the thief's certificate anew, in the victim's name, with one of KMS's keys."""
        compact = _certificate(self.thief)
        kid = jws.thumbprint(jws.public_jwk(self.keys.signing_key(by)))
        return jws.sign(
            {**jws.header_of(compact), "kid": kid, **(header or {})},
            {**jws.claims_of(compact), "sub": self.victim.account, **claims},
            self.keys.signing_key(by),
        )


@pytest.fixture
def theft(product: Product, person: Person) -> Theft:
    """Two people with an account each, of whom one is a thief."""
    return Theft(Person.with_account(), person, product[1])


def _claims_kid_of_the_certifier(theft: Theft) -> str:
    kid = jws.header_of(_certificate(theft.thief))["kid"]
    return theft.signed(ACCESS_TOKEN_KEY, header={"kid": kid})


FORGERIES: dict[str, Callable[[Theft], str]] = {
    "none": lambda _: "",
    "the thief's own": lambda theft: _certificate(theft.thief),
    "the victim's own": lambda theft: _certificate(theft.victim),
    "one renamed after it was signed": lambda theft: jws.altered(
        _certificate(theft.thief), sub=theft.victim.account
    ),
    "one of another key": lambda theft: theft.signed(ACCESS_TOKEN_KEY),
    "one of another key under the certifier's name": _claims_kid_of_the_certifier,
    "one of another type": lambda theft: theft.signed(ENROLMENT_KEY, header={"typ": "at+jwt"}),
    "one of another origin": lambda theft: theft.signed(
        ENROLMENT_KEY, iss="https://other.example.test"
    ),
    "one of another passkey": lambda theft: theft.signed(ENROLMENT_KEY, cid=jws.b64url(bytes(32))),
    "one of another public key": lambda theft: theft.signed(
        ENROLMENT_KEY, jwk=jws.claims_of(_certificate(theft.victim))["jwk"]
    ),
    "one that says less": lambda theft: theft.signed(ENROLMENT_KEY, est=jws.ABSENT),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_planted_passkey_never_signs_in(
    product: Product, theft: Theft, forgery: Callable[[Theft], str]
) -> None:
    """A passkey that was written into somebody's factors opens nothing without a certificate."""
    theft.plant(certificate=forgery(theft))
    key = ProofKey()
    answer = theft.assertion(key)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(answer, key)


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_planted_passkey_approves_nothing(
    product: Product, theft: Theft, forgery: Callable[[Theft], str]
) -> None:
    """Nor does it approve anything, in the victim's own session."""
    theft.plant(certificate=forgery(theft))
    stolen = theft.victim.sign_in()
    answer = Person(theft.victim.account, theft.thief.authenticator).answer(
        stolen, Act(kind="mint-recovery-codes", fields=[])
    )
    principal = stolen.principal("POST", "/approvals")
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        approving.by_passkey(answer, principal=principal, now_s=now())


def test_only_the_certifiers_signature_is_missing(theft: Theft) -> None:
    """With a certificate under the certifier's key the same row signs in: all hangs on the key."""
    theft.plant(certificate=theft.signed(ENROLMENT_KEY))
    key = ProofKey()
    assert family_of(_present(theft.assertion(key), key), key).account == theft.victim.account


def test_a_passkeys_key_cannot_be_replaced(product: Product, theft: Theft) -> None:
    """A row whose public key was exchanged does not bear out its certificate."""
    thiefs = theft.thief.authenticator.credentials[-1]
    records.forge(_key(theft.victim), public_key=thiefs.cose_key)
    key = ProofKey()
    answer = theft.victim.assertion(key, misbehaviour=Misbehaviour(signed_by=thiefs.private))
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(answer, key)


@pytest.mark.parametrize("fact", ["attested", "backup_eligible"])
def test_a_row_cannot_claim_more_than_its_certificate(
    product: Product, person: Person, fact: str
) -> None:
    """A passkey that the table calls attested, or synced, and its certificate does not, is out."""
    records.forge(_key(person), **{fact: True})
    person.authenticator.backup_eligible = fact == "backup_eligible"
    key = ProofKey()
    answer = person.assertion(key)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(answer, key)


def test_when_a_passkey_is_established_is_the_certificates_word(
    product: Product, person: Person, family: Family
) -> None:
    """No row makes a provisional passkey a full one: the level is the certificate's."""
    newcomer = Person(person.account, Authenticator())
    person.add_passkey(family, newcomer.authenticator)
    held = person.factors
    early = tuple(
        EnrolledPasskey(one.id, one.credential_id, one.added_at, established_at=one.added_at)
        for one in held.passkeys
    )
    dynamodb.execute(held.next(passkeys=early).written_after(held))
    assert jws.claims_of(newcomer.sign_in().access_token)["acr"] == "provisional"
    forged = jws.altered(_certificate(newcomer), est=now() - factors.PROVISIONAL_S)
    records.forge(_key(newcomer), certificate=forged)
    key = ProofKey()
    answer = newcomer.assertion(key)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _present(answer, key)


def _present(answer: Assertion, key: ProofKey) -> Tokens:
    return sign_in.sign_in(answer, proof=proof_of(key, SIGN_IN), source=SOURCE, now_s=now())
