"""Keys roll over under live things: what was made under an older key works while it is listed.

Each list of keys goes [old] -> [old, new] -> [new, old] -> [new], each step a deployment: new
environments, with nothing cached (docs/runbooks/key-roll-over.md).
"""

import json
from collections.abc import Callable, Iterator

import pytest

from functions.identity.jwks.handler import handler as jwks
from portcullis.aws import dynamodb, kms, secret
from portcullis.evidence.approvals import Act
from portcullis.evidence.errors import InvalidTokenError
from portcullis.identity import logins, recovery_codes, sessions, tables, verifiers
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.logins import LoginTakenError
from portcullis.identity.passkeys import PasskeyRefusedError
from portcullis.identity.recovery_codes import RecoveryRefusedError
from portcullis.identity.starting import SignInRefusedError
from portcullis.refusals import ApprovalRefusedError
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Family, Person, admit, begin, now
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey
from tests.support.events import Context, Sent
from tests.support.faults import TRANSACTION, Proxy

pytestmark = pytest.mark.contract

LOGIN, PASSWORD, ANOTHER = "alice", "seven green otters hum", "nine grey herons wait"

type Roll = Callable[..., None]


@pytest.fixture
def roll(product: Product, monkeypatch: pytest.MonkeyPatch) -> Iterator[Roll]:
    """Deploy with another list of keys."""
    assert product

    def deploy(setting: str, *keys: str) -> None:
        monkeypatch.setenv(setting, ",".join(keys))
        _forget()

    yield deploy
    _forget()


def _forget() -> None:
    for cached in (kms._public_key, secret.secret, verifiers._decoy):
        cached.cache_clear()


def kid_of(product: Product, key: str) -> str:
    """Return what a signing key is called."""
    return jws.thumbprint(jws.public_jwk(product[1].signing_key(key)))


def published() -> list[str]:
    """Return the names of the keys that clients are told."""
    reply = jwks(Sent(method="GET", path="/.well-known/jwks.json").to_function(), Context())
    return [key["kid"] for key in json.loads(reply["body"])["keys"]]


def test_a_session_lives_through_a_new_access_token_key(
    product: Product, roll: Roll, person: Person
) -> None:
    """It passes the gate and refreshes at every step; each new token is the first key's."""
    old, new = "access-token", "access-token-2"
    family = person.sign_in()
    for listed in ([old], [old, new], [new, old], [new]):
        roll("ACCESS_TOKEN_KEYS", *listed)
        family = family.renewed()
        admit(family.key, family.access_token)
        assert jws.header_of(family.access_token)["kid"] == kid_of(product, listed[0])
        assert published() == [kid_of(product, key) for key in listed]


def test_an_old_access_token_is_refused_only_when_its_key_is_gone(
    roll: Roll, person: Person
) -> None:
    """As long as its key is listed it passes, whichever key signs by then."""
    old, new = "access-token", "access-token-2"
    family = person.sign_in()
    for listed in ([old, new], [new, old]):
        roll("ACCESS_TOKEN_KEYS", *listed)
        admit(family.key, family.access_token)
    roll("ACCESS_TOKEN_KEYS", new)
    with pytest.raises(InvalidTokenError):
        admit(family.key, family.access_token)
    family.refresh()


def test_a_passkey_signs_in_while_its_enrolment_key_is_listed(roll: Roll, person: Person) -> None:
    """Its certificate is as old as it is: without the key it opens nothing; a newer one does."""
    old, new = "enrolment", "enrolment-2"
    for listed in ([old, new], [new, old]):
        roll("ENROLMENT_KEYS", *listed)
        family = person.sign_in()
    newer = Person(person.account, Authenticator())
    person.add_passkey(family, newer.authenticator, approver=person)
    newer.sign_in()
    roll("ENROLMENT_KEYS", new)
    newer.sign_in()
    with pytest.raises(PasskeyRefusedError):
        person.sign_in()


def test_a_passkey_approves_while_its_enrolment_key_is_listed(roll: Roll, person: Person) -> None:
    """An approval has its passkey's certificate in it: both were good, or neither is."""
    act = Act(kind="mint-recovery-codes", fields=[])
    family = person.sign_in()
    roll("ENROLMENT_KEYS", "enrolment-2", "enrolment")
    approval = person.approve(family, act)
    family.principal("POST", "/recovery-codes", act=act, approval=approval)
    roll("ENROLMENT_KEYS", "enrolment-2")
    with pytest.raises(ApprovalRefusedError):
        family.principal("POST", "/recovery-codes", act=act, approval=approval)
    with pytest.raises(PasskeyRefusedError):
        person.approve(family, act)


def test_an_approval_counts_while_its_key_is_listed(
    product: Product, roll: Roll, person: Person
) -> None:
    """It lives two minutes: only a key that is taken away sooner takes it along."""
    old, new = "approval", "approval-2"
    act = Act(kind="mint-recovery-codes", fields=[])
    family = person.sign_in()
    approval = person.approve(family, act)
    for listed in ([old, new], [new, old]):
        roll("APPROVAL_KEYS", *listed)
        family.principal("POST", "/recovery-codes", act=act, approval=approval)
    newer = person.approve(family, act)
    assert jws.header_of(newer)["kid"] == kid_of(product, new)
    roll("APPROVAL_KEYS", new)
    with pytest.raises(ApprovalRefusedError):
        family.principal("POST", "/recovery-codes", act=act, approval=approval)
    principal = family.principal("POST", "/recovery-codes", act=act, approval=newer)
    recovery_codes.mint(principal, now_s=now())


@pytest.fixture
def named(person: Person) -> Family:
    """A session of the person, who has a login name and a password under the old keys."""
    family = person.sign_in()
    person.put_password(family, LOGIN, PASSWORD)
    return family


def is_let_in(password: str = PASSWORD) -> bool:
    """Whether login name and password are worth a ticket."""
    try:
        return bool(begin(LOGIN, password, ProofKey()).ticket)
    except SignInRefusedError:
        return False


@pytest.mark.usefixtures("named")
def test_a_login_name_is_found_while_its_index_key_is_listed(roll: Roll) -> None:
    """A name that was not given anew is lost with its key: so the key stays."""
    old, new = "index", "index-2"
    for listed in ([old, new], [new, old]):
        roll("INDEX_KEYS", *listed)
        assert is_let_in()
    roll("INDEX_KEYS", new)
    assert not is_let_in()


@pytest.mark.parametrize(
    ("set_under", "found_under"),
    [
        (["index-2", "index"], [["index", "index-2"], ["index-2", "index"], ["index-2"]]),
        (["index", "index-2"], [["index", "index-2"], ["index-2", "index"], ["index"]]),
    ],
    ids=["new first", "old first"],
)
def test_a_name_that_is_given_anew_stands_under_the_first_key(
    roll: Roll,
    person: Person,
    named: Family,
    set_under: list[str],
    found_under: list[list[str]],
) -> None:
    """From then on it is found while that key is listed, at whichever place."""
    roll("INDEX_KEYS", *set_under)
    person.put_password(named, LOGIN, ANOTHER)
    for listed in found_under:
        roll("INDEX_KEYS", *listed)
        assert (is_let_in(ANOTHER), is_let_in(PASSWORD)) == (True, False)


@pytest.mark.parametrize(
    ("held_under", "asked_under"),
    [
        (["index"], ["index-2", "index"]),
        (["index"], ["index", "index-2"]),
        (["index", "index-2"], ["index-2", "index"]),
        (["index-2", "index"], ["index", "index-2"]),
        (["index-2", "index"], ["index-2"]),
        (["index-2", "index"], ["index"]),
    ],
    ids="+".join,
)
def test_a_name_is_one_accounts_under_all_keys(
    roll: Roll, person: Person, held_under: list[str], asked_under: list[str]
) -> None:
    """Whichever step of the roll-over a function is at, it gives no name to a second account."""
    roll("INDEX_KEYS", *held_under)
    person.put_password(person.sign_in(), LOGIN, PASSWORD)
    other = Person.with_account()
    family = other.sign_in()
    roll("INDEX_KEYS", *asked_under)
    with pytest.raises(LoginTakenError):
        other.put_password(family, LOGIN, ANOTHER)


def test_a_name_that_a_function_of_another_step_takes_meanwhile_is_taken(
    roll: Roll, person: Person, proxy: Proxy
) -> None:
    """While a deployment is under way both lists are in use: the write itself sees the other's."""
    other, family = Person.with_account(), person.sign_in()
    roll("INDEX_KEYS", "index")
    (index,) = logins.indexes(LOGIN)
    taken = logins.taken(index, None, account=other.account, verifier="v", sealed=b"")
    roll("INDEX_KEYS", "index-2", "index")
    fault = proxy.meanwhile(
        TRANSACTION,
        lambda: dynamodb.execute(taken),
        matching=lambda body: "password-set" in json.dumps(body),
    )
    with pytest.raises(LoginTakenError):
        person.put_password(family, LOGIN, PASSWORD)
    assert fault.hits == 1


def test_a_recovery_code_is_found_while_its_index_key_is_listed(roll: Roll, person: Person) -> None:
    """Codes that are minted anew stand under the new key; the others go with the old one."""
    old, new = "index", "index-2"
    family = person.sign_in()
    codes = person.mint_codes(family)
    for listed in ([old, new], [new, old]):
        roll("INDEX_KEYS", *listed)
        assert recovery_codes.find(codes[0], now_s=now()).account == person.account
    roll("INDEX_KEYS", new)
    with pytest.raises(RecoveryRefusedError):
        recovery_codes.find(codes[0], now_s=now())
    roll("INDEX_KEYS", new, old)
    newer = person.mint_codes(family)
    roll("INDEX_KEYS", new)
    assert recovery_codes.find(newer[0], now_s=now()).account == person.account


@pytest.mark.usefixtures("named")
def test_a_password_is_checked_while_its_pepper_is_listed(roll: Roll) -> None:
    """It is stale as soon as another pepper is the first, and right all the same."""
    old, new = "pepper", "pepper-2"
    for listed, is_stale in (([old], False), ([old, new], False), ([new, old], True)):
        roll("PEPPER_KEYS", *listed)
        assert begin(LOGIN, PASSWORD, ProofKey()).is_stale is is_stale
        assert not is_let_in(ANOTHER)


@pytest.mark.usefixtures("named")
def test_a_password_whose_pepper_is_gone_is_unusable(roll: Roll) -> None:
    """Nobody gets in by it, right or wrong, and the refusal is the one of an unknown name."""
    roll("PEPPER_KEYS", "pepper-2")
    for login, password in ((LOGIN, PASSWORD), (LOGIN, ANOTHER), ("nobody", PASSWORD)):
        with pytest.raises(SignInRefusedError):
            begin(login, password, ProofKey())


def test_a_password_that_is_set_anew_has_the_new_pepper(
    roll: Roll, person: Person, named: Family
) -> None:
    """From then on the old one is not needed for it."""
    roll("PEPPER_KEYS", "pepper-2", "pepper")
    person.put_password(named, LOGIN, PASSWORD)
    roll("PEPPER_KEYS", "pepper-2")
    assert not begin(LOGIN, PASSWORD, ProofKey()).is_stale


def test_a_session_lives_through_a_new_refresh_secret(roll: Roll, person: Person) -> None:
    """It rotates at every step, and by its own rotation comes under the new secret."""
    family = person.sign_in()
    for listed in (["1"], ["1", "2"], ["2", "1"], ["2"]):
        roll("REFRESH_SECRETS", *listed)
        family = family.renewed()
    assert (family.stored.status, family.stored.generation) == (sessions.LIVE, 5)


def test_a_refresh_token_is_refused_only_when_its_secret_is_gone(
    product: Product, roll: Roll, person: Person
) -> None:
    """It is then nobody's token: the session is not ended by it, and its key is asked nothing."""
    tables_, _ = product
    family, other = person.sign_in(), person.sign_in()
    roll("REFRESH_SECRETS", "2", "1")
    family = family.renewed()
    other_before = other.stored
    roll("REFRESH_SECRETS", "2")
    with records.unchanged(tables_), pytest.raises(InvalidGrantError):
        other.refresh()
    assert other.stored == other_before
    family.refresh()


@pytest.mark.parametrize("listed", [["1", "2"], ["2", "1"]], ids="+".join)
def test_a_lost_answer_is_given_again_under_another_secret(
    roll: Roll, person: Person, listed: list[str]
) -> None:
    """What was sealed under the old secret is unsealed after a deployment: the same successor."""
    family = person.sign_in()
    lost = family.refresh()
    roll("REFRESH_SECRETS", *listed)
    again = family.refresh()
    without_tag = [one.refresh_token.rpartition(".")[0] for one in (lost, again)]
    assert without_tag[0] == without_tag[1]
    family.refresh(again.refresh_token)
    assert (family.stored.status, family.stored.generation) == (sessions.LIVE, 3)


def test_a_spent_token_of_an_older_secret_still_ends_its_session(
    roll: Roll, person: Person
) -> None:
    """A roll-over does not make anybody forget what was stolen before it."""
    family = person.sign_in()
    second = family.refresh()
    family.refresh(second.refresh_token)
    roll("REFRESH_SECRETS", "2", "1")
    with pytest.raises(InvalidGrantError):
        family.refresh()
    assert family.stored.status == sessions.ENDED


JUNK = [f"{number:043d}" for number in range(20)]


def test_junk_kids_cost_no_call_of_kms(
    product: Product, roll: Roll, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are asked for by what is configured, never by what a token names."""
    monkeypatch.setattr(kms, "PUBLIC_KEY_TTL_S", 10**9)
    roll("ACCESS_TOKEN_KEYS", "access-token", "access-token-2")
    _, keys = product
    family, stranger = person.sign_in(), jws.new_key()
    admit(family.key, family.access_token)
    keys.calls.clear()
    for kid in [*JUNK, kid_of(product, "receipt"), "arn:aws:kms:us-east-1:000000000000:key/1"]:
        header = jws.header_of(family.access_token) | {"kid": kid}
        forged = jws.sign(header, jws.claims_of(family.access_token), stranger)
        with pytest.raises(InvalidTokenError):
            admit(family.key, forged)
    assert not keys.calls


def test_junk_kids_of_approvals_cost_no_call_of_kms(
    product: Product, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an approval's name of its key, nor that of the certificate in it, is looked up."""
    monkeypatch.setattr(kms, "PUBLIC_KEY_TTL_S", 10**9)
    _, keys = product
    act = Act(kind="mint-recovery-codes", fields=[])
    family = person.sign_in()
    approval = person.approve(family, act)
    family.principal("POST", "/recovery-codes", act=act, approval=approval)
    claims = jws.claims_of(approval)
    enrolment = str(claims["enrolment"])
    own, strangers = keys.signing_key("approval"), jws.new_key()
    keys.calls.clear()
    for kid in JUNK:
        junk = jws.sign(
            jws.header_of(enrolment) | {"kid": kid}, jws.claims_of(enrolment), strangers
        )
        for forged in (
            jws.sign(jws.header_of(approval) | {"kid": kid}, claims, strangers),
            jws.sign(jws.header_of(approval), claims | {"enrolment": junk}, own),
        ):
            with pytest.raises(ApprovalRefusedError):
                family.principal("POST", "/recovery-codes", act=act, approval=forged)
    assert not keys.calls


def test_each_listed_key_is_asked_for_once_in_five_minutes(
    product: Product, roll: Roll, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tokens come, an environment fetches each public key once a window."""
    monkeypatch.setattr(kms, "PUBLIC_KEY_TTL_S", 10**9)
    family = person.sign_in()
    roll("ACCESS_TOKEN_KEYS", "access-token-2", "access-token")
    _, keys = product
    keys.calls.clear()
    for _ in range(5):
        admit(family.key, family.access_token)
    assert keys.calls["GetPublicKey"] == 2


def test_a_login_name_stands_in_the_table_by_its_indexes_alone(
    product: Product, roll: Roll, person: Person
) -> None:
    """Under every listed key there is an item of it, and in none of them the name."""
    roll("INDEX_KEYS", "index-2", "index")
    person.put_password(person.sign_in(), "alice.somebody@example.test", PASSWORD)
    found = [
        dynamodb.get(tables.identity(), tables.login_key(index))
        for index in logins.indexes("alice.somebody@example.test")
    ]
    assert [one and one["account"] for one in found] == [person.account, person.account]
    assert b"alice.somebody" not in b"\n".join(records.blobs(product[0]))
