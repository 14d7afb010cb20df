"""Approvals: a passkey's yes to one exact act, once, in one session, for two minutes."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import InfrastructureError, RefusedError
from portcullis.evidence import approvals as evidence
from portcullis.evidence.approvals import Act
from portcullis.identity import (
    approvals,
    approving,
    challenges,
    changes,
    recovery_codes,
    sign_in,
    sign_out,
    tables,
)
from portcullis.identity.approving import NoApproverError
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.factors import EnrolledPasskey
from portcullis.identity.gate import SessionEndedError, SessionTerminatedError
from portcullis.identity.passkeys import Assertion, PasskeyRefusedError
from portcullis.identity.standing import AccountRestrictedError
from portcullis.refusals import ApprovalRefusedError, ApprovalRequiredError
from portcullis.settings import setting
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    SIGN_IN,
    SOURCE,
    Family,
    Person,
    caller_of,
    now,
    proof_of,
)
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled, unchanged
from tests.support import jws
from tests.support.authenticator import Authenticator, Misbehaviour
from tests.support.dpop import ProofKey
from tests.support.faults import TRANSACTION, Proxy
from tests.support.key_service import KeyService

MINT = Act(kind="mint-recovery-codes", fields=[])
APPROVAL_KEY, ENROLMENT_KEY = "approval", "enrolment"

pytestmark = pytest.mark.contract


def _mint(family: Family, approval: str | None) -> list[str]:
    principal = family.principal("POST", "/recovery-codes", act=MINT, approval=approval)
    return recovery_codes.mint(principal, now_s=now())


def _check(
    approval: str, family: Family, *, act: Act = MINT, at_s: int | None = None
) -> approvals.Approved | None:
    """Verify an approval as each function does before it acts."""
    now_s = now() if at_s is None else at_s
    token = caller_of(family.key, family.access_token, "POST", "/approvals").token
    return approvals.verified(approval, act, token=token, now_s=now_s)


def _answer(person: Person, family: Family, act: Act = MINT, **wrong: Any) -> Assertion:
    """Answer the options of an approval, perhaps wrongly, with whichever passkey *person* has."""
    options = approving.options(
        act, principal=family.principal("POST", "/approvals/options"), now_s=now()
    )
    answer = person.authenticator.get(
        {**options["publicKey"], "allowCredentials": []},
        setting("PUBLIC_ORIGIN"),
        misbehaviour=Misbehaviour(**wrong),
    )
    return Assertion.model_validate(answer)


def _approve(answer: Assertion, family: Family, *, at_s: int | None = None) -> str:
    principal = family.principal("POST", "/approvals", at_s=at_s)
    approval = approving.by_passkey(
        answer, principal=principal, now_s=now() if at_s is None else at_s
    )
    assert approval is not None
    return approval


def test_an_approved_act_happens_once(product: Product, person: Person, family: Family) -> None:
    """The act happens with its approval, is reported, and the same approval is spent."""
    approval = person.approve(family, MINT)
    assert len(_mint(family, approval)) == recovery_codes.CODES_COUNT
    assert records.events(person.account)[-1]["kind"] == "recovery-codes-minted"
    with only_throttled(product[0]), pytest.raises(ApprovalRefusedError):
        _mint(family, approval)


def test_without_an_approval_it_does_not(product: Product, family: Family) -> None:
    """Where there is a passkey that could approve, the session alone is not enough."""
    with only_throttled(product[0]), pytest.raises(ApprovalRequiredError):
        _mint(family, None)


def test_one_approval_serves_one_of_two_at_once(person: Person, family: Family) -> None:
    """Two requests with one approval, each with a proof of its own: one act happens."""
    approval = person.approve(family, MINT)
    with Race[list[str]](2) as duel:
        outcomes = duel.run(*[functools.partial(_mint, family, approval)] * 2)
    granted, refused = split(outcomes, ApprovalRefusedError)
    assert (len(granted), len(refused)) == (1, 1)


# For what, for whom, how long


OTHER_ACTS = {
    "another kind": Act(kind="remove-totp", fields=[]),
    "more fields": Act(kind="remove-passkey", fields=["a" * 26, "b" * 26]),
    "other fields": Act(kind="remove-passkey", fields=["b" * 26]),
    "no fields": Act(kind="remove-passkey", fields=[]),
}


@pytest.mark.parametrize("act", OTHER_ACTS.values(), ids=OTHER_ACTS)
def test_an_approval_is_for_one_act(person: Person, family: Family, act: Act) -> None:
    """An approval for another kind of act, or for other fields, is none."""
    approved = Act(kind="remove-passkey", fields=["a" * 26])
    approval = person.approve(family, approved)
    with pytest.raises(ApprovalRefusedError):
        _check(approval, family, act=act)
    assert _check(approval, family, act=approved)


def test_an_approval_is_for_one_session(person: Person, family: Family) -> None:
    """Another session of the same account cannot use it, nor one of another account."""
    approval = person.approve(family, MINT)
    for other in (person.sign_in(), Person.with_account().sign_in()):
        with pytest.raises(ApprovalRefusedError):
            _check(approval, other)


def test_an_approval_dies_with_its_epoch(person: Person, family: Family) -> None:
    """After a kill, the session that was carried over it needs a new approval."""
    approval = person.approve(family, MINT)
    principal = family.principal("DELETE", "/sessions")
    sign_out.end_all(except_current=True, principal=principal, now_s=now())
    onward = family.renewed()
    with pytest.raises(ApprovalRefusedError):
        _check(approval, onward)
    assert _check(person.approve(onward, MINT), onward)


def test_an_approval_lives_two_minutes(person: Person, family: Family) -> None:
    """To the second; and not before it was given, but for clocks that differ by 5 s."""
    at_s = now()
    approval = person.approve(family, MINT, at_s=at_s)
    assert _check(approval, family, at_s=at_s + evidence.LIFETIME_S - 1)
    for late_s in (0, 1, 600):
        with pytest.raises(ApprovalRefusedError):
            _check(approval, family, at_s=at_s + evidence.LIFETIME_S + late_s)
    with pytest.raises(ApprovalRefusedError):
        _check(approval, family, at_s=at_s - 6)
    assert _check(approval, family, at_s=at_s - 5)


# Forgeries


def _signed(keys: KeyService, approval: str, by: str = APPROVAL_KEY, **claims: object) -> str:
    """Sign an approval's claims anew, some changed, as a thief of the signing role could."""
    key = keys.signing_key(by)
    header = {**jws.header_of(approval), "kid": jws.thumbprint(jws.public_jwk(key))}
    return jws.sign(header, {**jws.claims_of(approval), **claims}, key)


def _assertion_of(answer: Assertion) -> dict[str, str | None]:
    response = answer.response
    return {
        "authenticatorData": response.authenticatorData,
        "clientDataJSON": response.clientDataJSON,
        "signature": response.signature,
    }


def test_a_forged_approval_is_refused(product: Product, person: Person, family: Family) -> None:
    """Altered, of another key, of another type, or no JWS at all: nothing is approved by it."""
    approval = person.approve(family, MINT)
    other = Act(kind="remove-totp", fields=[])
    act: dict[str, object] = {"kind": other.kind, "fields": []}
    for forged in (
        jws.altered(approval, act=act),
        _signed(product[1], approval, ENROLMENT_KEY, act=act),
        jws.sign(jws.header_of(approval), {**jws.claims_of(approval), "act": act}, jws.new_key()),
        str(jws.claims_of(approval)["enrolment"]),
        family.access_token,
        "",
        "a.b.c",
        "A" * 20_000,
    ):
        with pytest.raises(ApprovalRefusedError):
            _check(forged, family, act=other)


def test_who_can_sign_approvals_can_still_not_approve(
    product: Product, person: Person, family: Family
) -> None:
    """Under the right key, every claim that the passkey did not sign is found out."""
    keys, now_s = product[1], now()
    approval = person.approve(family, MINT)
    stranger, other = Person.with_account(), person.sign_in()
    signed_in = person.assertion(ProofKey())
    theirs = stranger.approve(stranger.sign_in(), MINT)
    totp = Act(kind="remove-totp", fields=[])
    for forged, act in (
        (_signed(keys, approval, act=totp.model_dump()), totp),
        (_signed(keys, approval, jti="a" * 26), MINT),
        (_signed(keys, approval, sid=other.sid, jkt=other.key.jkt), MINT),
        (_signed(keys, approval, until=now_s + 3_600), MINT),
        (_signed(keys, approval, assertion=_assertion_of(signed_in)), MINT),
        (_signed(keys, approval, assertion=jws.claims_of(theirs)["assertion"]), MINT),
        (_signed(keys, approval, enrolment=jws.claims_of(theirs)["enrolment"]), MINT),
        (_signed(keys, theirs, sub=person.account, sid=family.sid, jkt=family.key.jkt), MINT),
        (_signed(keys, approval, exp=now_s + 3_600), MINT),
        (_signed(keys, approval, epoch=2), MINT),
        (_signed(keys, approval, iss="https://other.example.test"), MINT),
        (_signed(keys, approval, aud="ledger"), MINT),
    ):
        bearer = other if jws.claims_of(forged)["sid"] == other.sid else family
        with pytest.raises(ApprovalRefusedError):
            _check(forged, bearer, act=act)
    assert _check(_signed(keys, approval), family), "its own claims are well"


def test_an_old_answer_is_not_signed_again_later(
    product: Product, person: Person, family: Family
) -> None:
    """An approval that is dated anew is bound by when its challenge ended."""
    at_s = now()
    approval = person.approve(family, MINT, at_s=at_s)
    late_s = at_s + challenges.LIFETIME_S + 1
    dated = _signed(product[1], approval, iat=late_s, exp=late_s + evidence.LIFETIME_S)
    with pytest.raises(ApprovalRefusedError):
        _check(dated, family, at_s=late_s)


# Which passkey


def test_a_provisional_passkey_approves_nothing(
    product: Product, person: Person, family: Family
) -> None:
    """It is not asked, and its answer is refused all the same."""
    person.add_passkey(family, newcomer := Authenticator())
    options = approving.options(
        MINT, principal=family.principal("POST", "/approvals/options"), now_s=now()
    )
    allowed = [one["id"] for one in options["publicKey"]["allowCredentials"]]
    assert allowed == [jws.b64url(person.authenticator.credentials[-1].id)]
    answer = _answer(Person(person.account, newcomer), family)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _approve(answer, family)


def test_the_passkey_of_another_account_approves_nothing(
    product: Product, person: Person, family: Family
) -> None:
    """Who holds a session and a passkey of his own approves nothing with it."""
    thief = Person.with_account()
    answer = _answer(thief, family)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _approve(answer, family)
    assert thief.account != person.account


def test_an_account_without_an_established_passkey_has_no_approver(
    product: Product, person: Person, family: Family
) -> None:
    """Where nobody could approve, no challenge is given out."""
    _replace_passkeys(person, established_at=now() + 3_600)
    with only_throttled(product[0]), pytest.raises(NoApproverError):
        _answer(person, family)


def test_a_removed_passkey_approves_nothing(
    product: Product, person: Person, family: Family
) -> None:
    """Neither by an answer that it gives, nor by an approval that it had given."""
    approval, answer = person.approve(family, MINT), _answer(person, family)
    _replace_passkeys(person, id="b" * 26, credential_id=b"another")
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _approve(answer, family)
    with only_throttled(product[0]), pytest.raises(ApprovalRefusedError):
        _mint(family, approval)


def test_a_passkey_that_is_removed_during_the_act_approves_nothing(
    proxy: Proxy, person: Person, family: Family
) -> None:
    """Removed between the act's read and its write, it has approved nothing."""
    approval = person.approve(family, MINT)
    between = proxy.meanwhile(
        TRANSACTION, lambda: _replace_passkeys(person, id="b" * 26, credential_id=b"another")
    )
    with pytest.raises(ApprovalRefusedError):
        _mint(family, approval)
    assert between.hits == 1
    assert person.factors.codes == ""


def _replace_passkeys(person: Person, **members: Any) -> None:
    """Write other passkeys into the factors, as a removal beside a session would leave them."""
    held = person.factors
    now_s, old = now(), held.passkeys[0]
    new = EnrolledPasskey(
        **{
            "id": old.id,
            "credential_id": old.credential_id,
            "added_at": now_s,
            "established_at": now_s,
            **members,
        }
    )
    dynamodb.execute(held.next(passkeys=(new,)).written_after(held))


# The ceremony


WRONG = {
    "another origin": {"origin": "https://evil.test"},
    "a cross-origin frame": {"cross_origin": True},
    "another relying party": {"rp_id": "evil.test"},
    "no verified user": {"user_verified": False},
    "no present user": {"user_present": False},
    "another ceremony": {"ceremony": "webauthn.create"},
    "another key": {"signed_by": jws.new_key()},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_response_is_refused(
    product: Product, person: Person, family: Family, wrong: dict[str, Any]
) -> None:
    """A response that is wrong in one way approves nothing and uses nothing up."""
    answer = _answer(person, family, **wrong)
    with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
        _approve(answer, family)


def test_a_challenge_is_answered_once(product: Product, person: Person, family: Family) -> None:
    """An answer that gave an approval gives no second one."""
    answer = _answer(person, family)
    _approve(answer, family)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _approve(answer, family)


def test_two_who_answer_at_once_get_one_approval(person: Person, family: Family) -> None:
    """One answer presented twice at once gives one approval."""
    answer = _answer(person, family)
    with Race[str](2) as duel:
        outcomes = duel.run(*[functools.partial(_approve, answer, family)] * 2)
    # A loser may see the counter moved before it sees the challenge used.
    granted, refused = split(outcomes, ChallengeRefusedError, PasskeyRefusedError)
    assert (len(granted), len(refused)) == (1, 1)
    assert _check(granted[0], family)


def test_a_challenge_is_its_sessions_own(product: Product, person: Person, family: Family) -> None:
    """Another session of the account, or another account, does not answer it."""
    answer = _answer(person, family)
    for other in (person.sign_in(), Person.with_account().sign_in()):
        with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
            _approve(answer, other)


def test_an_approvals_challenge_does_not_sign_in(
    product: Product, person: Person, family: Family
) -> None:
    """What the user approved starts no session, under the session's own key either."""
    answer = _answer(person, family)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        sign_in.sign_in(answer, proof=proof_of(family.key, SIGN_IN), source=SOURCE, now_s=now())


def test_a_sign_ins_challenge_approves_nothing(
    product: Product, person: Person, family: Family
) -> None:
    """An answer to a sign-in's challenge, under the session's own key, is no approval."""
    answer = person.assertion(family.key)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        _approve(answer, family)


def test_an_old_challenge_approves_nothing(
    product: Product, person: Person, family: Family
) -> None:
    """A challenge lives five minutes, to the second."""
    at_s = now()
    answer = person.answer(family, MINT, at_s=at_s)
    who = caller_of(family.key, family.access_token, "POST", "/approvals")
    principal = changes.Principal(who.token, who.proof, ("POST", "/approvals"))
    late_s = at_s + challenges.LIFETIME_S
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        approving.by_passkey(answer, principal=principal, now_s=late_s)
    approving.by_passkey(answer, principal=principal, now_s=late_s - 1)


def test_a_failure_of_kms_spends_nothing(product: Product, person: Person, family: Family) -> None:
    """When an approval cannot be signed, challenge, counter and proof stay good."""
    answer, principal = _answer(person, family), family.principal("POST", "/approvals")
    product[1].failing.add("Sign")
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        approving.by_passkey(answer, principal=principal, now_s=now())
    product[1].failing.clear()
    assert approving.by_passkey(answer, principal=principal, now_s=now())


# The account


def _revoke(_: Product, family: Family) -> None:
    principal = family.principal("DELETE", "/sessions/{id}")
    sign_out.end_one(family.sid, principal=principal, now_s=now())


def _kill(product: Product, family: Family) -> None:
    records.kill(product[0], family.account)


def _restrict(product: Product, family: Family) -> None:
    records.restrict(product[0], family.account)


ENDINGS = [
    (_revoke, SessionEndedError),
    (_kill, SessionTerminatedError),
    (_restrict, AccountRestrictedError),
]


@pytest.mark.parametrize(("end", "refusal"), ENDINGS, ids=["sign-out", "kill", "restriction"])
def test_an_approval_does_not_outlive_its_session(
    product: Product,
    person: Person,
    family: Family,
    end: Callable[[Product, Family], None],
    refusal: type[RefusedError],
) -> None:
    """A good approval in a session that is over, or of a restricted account, does nothing."""
    approval = person.approve(family, MINT)
    end(product, family)
    with only_throttled(product[0]), pytest.raises(refusal):
        _mint(family, approval)


@pytest.mark.parametrize("end", [end for end, _ in ENDINGS], ids=["sign-out", "kill", "restrict"])
def test_a_session_that_is_over_gives_no_approval(
    product: Product, person: Person, family: Family, end: Callable[[Product, Family], None]
) -> None:
    """An answer in a session that has ended since its options approves nothing."""
    answer = _answer(person, family)
    end(product, family)
    with only_throttled(product[0]), pytest.raises((RefusedError, InfrastructureError)):
        _approve(answer, family)
    stored = dynamodb.get(tables.once(), tables.challenge_key(_value(answer)))
    assert stored is not None
    assert stored["used_by"] == challenges.UNUSED


def _value(answer: Assertion) -> bytes:
    members = jws.b64url_decode(answer.response.clientDataJSON)
    challenge = members.split(b'"challenge":"')[1].split(b'"')[0]
    return jws.b64url_decode(challenge.decode())
