"""The certifier: it signs on evidence that it verifies itself, and on nobody's word."""

from typing import Any

import pytest

from portcullis.aws import kms
from portcullis.evidence import enrolments
from portcullis.evidence.approvals import Act
from portcullis.evidence.enrolments import Certificate
from portcullis.identity import (
    accounts,
    certifier,
    passkey_adding,
    recovery,
    tables,
)
from portcullis.identity.certifier import EnrolmentRefusedError, Evidence
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.factors import PROVISIONAL_S
from portcullis.identity.passkeys import PasskeyRefusedError, Registration
from portcullis.identity.recovery_codes import RecoveryRefusedError
from portcullis.settings import setting, settings_list
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    OPEN,
    OPEN_OPTIONS,
    SOURCE,
    Family,
    Person,
    caller_of,
    now,
    proof_and_compact,
    proof_of,
    registered,
)
from tests.contract.identity.records import unchanged
from tests.support import jws
from tests.support.authenticator import Authenticator, Misbehaviour
from tests.support.dpop import ProofKey

pytestmark = pytest.mark.contract


def _certify(**shown: Any) -> Certificate:
    """Return the certificate that the evidence is worth, verified as its users do."""
    answer = certifier.certify(Evidence(**shown), now_s=now())
    account = str(jws.claims_of(answer["certificate"])["sub"])
    return enrolments.verify(
        answer["certificate"],
        keys=kms.trusted_keys(*settings_list("ENROLMENT_KEYS")),
        expected_issuer=setting("PUBLIC_ORIGIN"),
        expected_account=account,
        expected_credential_id=None,
    )


def _refuses(product: Product, refusal: type[Exception], **shown: Any) -> None:
    signed = product[1].calls["Sign"]
    with unchanged(product[0]), pytest.raises(refusal):
        certifier.certify(Evidence(**shown), now_s=now())
    assert product[1].calls["Sign"] == signed


def _created(options: dict[str, Any]) -> Registration:
    answer = Authenticator().create(options, setting("PUBLIC_ORIGIN"))
    return Registration.model_validate(answer)


def _proof(key: ProofKey, path: str) -> str:
    return proof_and_compact(key, path)[1]


# Opening an account


def test_an_opening_is_certified_for_the_account_of_its_challenge(product: Product) -> None:
    """The certificate names account, key and passkey; nothing is used up or written."""
    key, holder = ProofKey(), Authenticator()
    registration = registered(holder, key)
    with unchanged(product[0]):
        certificate = _certify(kind="open", credential=registration, proof=_proof(key, OPEN))
    passkey = holder.credentials[-1]
    assert certificate.credential_id == passkey.id
    assert certificate.jwk == jws.public_jwk(passkey.private)
    assert certificate.est == certificate.iat
    assert not certificate.att


def test_an_opening_needs_the_users_own_proof(product: Product) -> None:
    """Of the key that asked, for this very route, fresh: not what the caller says of it."""
    key = ProofKey()
    registration = registered(Authenticator(), key)
    for proof in (
        _proof(key, "/recovery"),
        key.proof("GET", setting("PUBLIC_ORIGIN") + OPEN),
        key.proof("POST", "https://other.example.test" + OPEN),
        key.proof("POST", setting("PUBLIC_ORIGIN") + OPEN, now=now() - 3_600),
        jws.altered(_proof(key, OPEN), jti="another"),
        "",
    ):
        _refuses(product, EnrolmentRefusedError, kind="open", credential=registration, proof=proof)
    _refuses(
        product,
        ChallengeRefusedError,
        kind="open",
        credential=registration,
        proof=_proof(ProofKey(), OPEN),
    )


def test_no_second_passkey_comes_by_an_opening(product: Product, person: Person) -> None:
    """A challenge that was forged to name an account that exists certifies nothing for it."""
    key = ProofKey()
    options = accounts.options(proof=proof_of(key, OPEN_OPTIONS), source=SOURCE, now_s=now())
    challenge = tables.challenge_key(jws.b64url_decode(options["challenge"]))
    product[0].call(
        "update_item",
        TableName=product[0].once,
        Key={"pk": {"S": challenge["pk"]}},
        UpdateExpression="SET account = :account",
        ExpressionAttributeValues={":account": {"S": person.account}},
    )
    _refuses(
        product,
        EnrolmentRefusedError,
        kind="open",
        credential=_created(options),
        proof=_proof(key, OPEN),
    )


@pytest.mark.parametrize(
    "wrong",
    [{"origin": "https://evil.test"}, {"user_verified": False}, {"rp_id": "evil.test"}],
    ids=["origin", "verification", "relying party"],
)
def test_a_wrong_response_is_not_certified(product: Product, wrong: dict[str, Any]) -> None:
    """The certifier verifies the ceremony itself."""
    key = ProofKey()
    registration = registered(Authenticator(), key, misbehaviour=Misbehaviour(**wrong))
    _refuses(
        product,
        PasskeyRefusedError,
        kind="open",
        credential=registration,
        proof=_proof(key, OPEN),
    )


# One more passkey


def _adding(family: Family) -> tuple[Registration, dict[str, Any]]:
    """An answered addition, and the evidence for it but an approval."""
    options = passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now())
    registration = _created(options)
    who = caller_of(family.key, family.access_token, "POST", "/passkeys")
    shown = {"kind": "add", "credential": registration, "proof": who.compact_proof}
    return registration, {**shown, "token": who.compact_token}


def test_an_addition_is_provisional_without_an_approval(person: Person, family: Family) -> None:
    """From the token alone the certifier makes a passkey that has to wait a day."""
    _, shown = _adding(family)
    certificate = _certify(**shown)
    assert certificate.sub == person.account
    assert certificate.est == certificate.iat + PROVISIONAL_S


def test_an_addition_is_established_by_an_approval_of_this_passkey(
    product: Product, person: Person, family: Family
) -> None:
    """An approval of another passkey, of another act, session or account makes none."""
    registration, shown = _adding(family)
    act = Act(kind="add-passkey", fields=[registration.rawId])
    other, stranger = person.sign_in(), Person.with_account()
    theirs = stranger.sign_in()
    for approval in (
        person.approve(family, Act(kind="add-passkey", fields=["another"])),
        person.approve(family, Act(kind="set-password", fields=[])),
        person.approve(other, act),
        stranger.approve(theirs, act),
        jws.altered(person.approve(family, act), jti="a" * 26),
        "",
    ):
        _refuses(product, EnrolmentRefusedError, **shown, approval=approval)
    certificate = _certify(**shown, approval=person.approve(family, act))
    assert certificate.est == certificate.iat


def test_an_addition_needs_the_accounts_own_token(product: Product, family: Family) -> None:
    """No token, one that is not the proof's, or one of another account: nothing is certified."""
    _, shown = _adding(family)
    theirs = Person.with_account().sign_in()
    strange = caller_of(theirs.key, theirs.access_token, "POST", "/passkeys")
    elsewhere = caller_of(family.key, family.access_token, "POST", "/totp")
    for wrong in (
        {"token": None},
        {"token": ""},
        {"token": theirs.access_token},
        {"token": jws.altered(family.access_token, sub="a" * 26)},
        {"proof": strange.compact_proof},
        {"proof": elsewhere.compact_proof},
    ):
        _refuses(product, EnrolmentRefusedError, **{**shown, **wrong})
    stranger = {"token": strange.compact_token, "proof": strange.compact_proof}
    _refuses(product, ChallengeRefusedError, **{**shown, **stranger})


def test_a_challenge_of_another_account_adds_nothing(product: Product, family: Family) -> None:
    """A challenge that was forged to be this key's stays the account's that asked for it."""
    _, shown = _adding(family)
    options = passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now())
    challenge = tables.challenge_key(jws.b64url_decode(options["challenge"]))
    product[0].call(
        "update_item",
        TableName=product[0].once,
        Key={"pk": {"S": challenge["pk"]}},
        UpdateExpression="SET account = :account",
        ExpressionAttributeValues={":account": {"S": Person.with_account().account}},
    )
    _refuses(product, ChallengeRefusedError, **{**shown, "credential": _created(options)})


# Recovery


def test_a_recovery_is_certified_by_a_code_and_is_provisional(
    product: Product, person: Person, family: Family
) -> None:
    """Only a good code of the challenge's account does it; the code stays good."""
    code = person.mint_codes(family)[0]
    other = Person.with_account()
    theirs = other.mint_codes(other.sign_in())[0]
    key = ProofKey()
    options = recovery.options(
        code, proof=proof_of(key, "/recovery/options"), source=SOURCE, now_s=now()
    )
    shown = {
        "kind": "recover",
        "credential": _created(options),
        "proof": _proof(key, "/recovery"),
    }
    _refuses(product, RecoveryRefusedError, **shown)
    _refuses(product, RecoveryRefusedError, **shown, code="A" * 26)
    _refuses(product, ChallengeRefusedError, **shown, code=theirs)
    certificate = _certify(**shown, code=code)
    assert certificate.sub == person.account
    assert certificate.est == certificate.iat + PROVISIONAL_S
    person.mint_codes(family)
    _refuses(product, RecoveryRefusedError, **shown, code=code)


@pytest.mark.parametrize("kind", ["open", "add", "recover"])
def test_a_challenge_is_of_one_kind(
    product: Product, person: Person, family: Family, kind: str
) -> None:
    """A challenge of one ceremony, under the right key, certifies nothing of another."""
    code = person.mint_codes(family)[0]
    key = family.key
    made = {
        "open": accounts.options(proof=proof_of(key, OPEN_OPTIONS), source=SOURCE, now_s=now()),
        "add": passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now()),
        "recover": recovery.options(
            code, proof=proof_of(key, "/recovery/options"), source=SOURCE, now_s=now()
        ),
    }
    proofs = {
        "open": _proof(key, OPEN),
        "add": caller_of(key, family.access_token, "POST", "/passkeys").compact_proof,
        "recover": _proof(key, "/recovery"),
    }
    for other in made.keys() - {kind}:
        _refuses(
            product,
            ChallengeRefusedError,
            kind=kind,
            credential=_created(made[other]),
            proof=proofs[kind],
            token=family.access_token,
            code=code,
        )
