"""Approvals by a code: where there is no passkey, for little, and each code once."""

import functools
from collections.abc import Callable
from dataclasses import replace

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import RefusedError, TooManyRequestsError
from portcullis.evidence import approvals as evidence
from portcullis.evidence.approvals import Act
from portcullis.identity import approvals, backoff, sign_out, tables
from portcullis.identity.approvable import Approvable
from portcullis.identity.approving import Answer, NoApproverError
from portcullis.identity.challenges import LIFETIME_S, ChallengeRefusedError
from portcullis.identity.factors import EnrolledPasskey
from portcullis.identity.gate import SessionEndedError, SessionTerminatedError
from portcullis.identity.standing import AccountRestrictedError
from portcullis.identity.totp_enrolment import CodeRefusedError
from portcullis.refusals import ApprovalRefusedError
from tests.contract.identity import records
from tests.contract.identity.coders import Coder
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Family, Person, caller_of, now
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled
from tests.support import jws
from tests.support.faults import TRANSACTION, Loss, Proxy

pytestmark = pytest.mark.contract

MINT = Act(kind="mint-recovery-codes", fields=[])


def transfer(amount: str, currency: str = "EUR") -> Act:
    """Return the act of a transfer, as the route reads it."""
    asked = {
        "kind": "transfer",
        "to_account": "b" * 26,
        "amount": {"amount": amount, "currency": currency},
        "key": "key-1",
    }
    return Approvable.model_validate(asked).act


PAY = transfer("1.00")


@pytest.fixture
def coder(person: Person, family: Family) -> Coder:
    """Somebody without a passkey, signed in by a code."""
    return Coder.of(person, family)


def wrong(code: str) -> str:
    """Return another code than *code*."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


def failures(coder: Coder) -> int:
    """Return how many attempts in a row stand as failures of the session's own key."""
    key = tables.backoff_key(coder.person.account, coder.family.key.jkt)
    item = dynamodb.get(tables.once(), key)
    return int(item["failures"]) if item else 0


def test_a_code_approves_a_small_transfer(coder: Coder) -> None:
    """What it gives names the ledger, the order and the code, and embeds nothing."""
    assert set(coder.options(PAY)) == {"challenge", "factor"}
    approval = coder.approve(PAY)
    assert approval is not None
    claims = jws.claims_of(approval)
    assert claims["act"] == {"kind": "transfer", "fields": ["b" * 26, "1.00", "EUR", "key-1"]}
    assert (claims["aud"], claims["by"]) == ("ledger", "totp")
    assert (claims["sid"], claims["exp"]) == (coder.family.sid, coder.at_s + evidence.LIFETIME_S)
    assert not {"assertion", "enrolment"} & claims.keys()
    assert failures(coder) == 0


@pytest.mark.parametrize(
    "act",
    [
        MINT,
        Act(kind="remove-totp", fields=[]),
        Act(kind="set-password", fields=[]),
        Act(kind="add-passkey", fields=["AAAA"]),
        transfer("100.01"),
        transfer("101", "JPY"),
    ],
    ids=lambda act: act.kind,
)
def test_a_code_is_not_asked_for_more(product: Product, coder: Coder, act: Act) -> None:
    """Neither for a change of factors nor for a larger sum."""
    with only_throttled(product[0]), pytest.raises(NoApproverError):
        coder.options(act)


def test_a_hundred_is_little(coder: Coder) -> None:
    """The limit itself is within it."""
    for act in (transfer("100.00"), transfer("100", "JPY")):
        assert coder.options(act)["factor"] == "totp"


def test_a_provisional_totp_approves_nothing(product: Product, coder: Coder) -> None:
    """Whoever enrolled it within a day may be the thief."""
    enrolled(coder, established_at=coder.at_s + 1)
    with only_throttled(product[0]), pytest.raises(NoApproverError):
        coder.options(PAY)


def enrolled(coder: Coder, *, established_at: int) -> None:
    """Change from when the account's TOTP is a full factor."""
    held = coder.person.factors
    assert held.totp is not None
    totp = replace(held.totp, established_at=established_at)
    dynamodb.execute(held.next(totp=totp).written_after(held))


def test_where_there_is_a_passkey_it_is_asked(coder: Coder) -> None:
    """An established passkey is asked; a provisional one changes nothing."""
    give_passkey(coder, established_at=coder.at_s + 1)
    assert "factor" in coder.options(PAY)
    give_passkey(coder, established_at=coder.at_s)
    assert set(coder.options(PAY)) == {"publicKey"}


def give_passkey(coder: Coder, *, established_at: int) -> None:
    """Write a passkey into the factors, as an addition beside the session does."""
    held = coder.person.factors
    passkey = EnrolledPasskey("p" * 26, b"credential", added_at=0, established_at=established_at)
    dynamodb.execute(held.next(passkeys=(passkey,)).written_after(held))


def test_a_passkey_that_is_there_by_now_takes_over(coder: Coder) -> None:
    """A challenge that was given for a code is worth nothing once a passkey is established."""
    challenge = coder.options(PAY)["challenge"]
    give_passkey(coder, established_at=0)
    before = failures(coder)
    with pytest.raises(ChallengeRefusedError):
        coder.answer(challenge, coder.code())
    assert (failures(coder), unused(challenge)) == (before + 1, True)


def test_a_passkey_that_comes_between_read_and_write_takes_over(coder: Coder, proxy: Proxy) -> None:
    """The write demands the factors that were seen."""
    challenge = coder.options(PAY)["challenge"]
    between = proxy.meanwhile(TRANSACTION, lambda: give_passkey(coder, established_at=0))
    with pytest.raises(ChallengeRefusedError):
        coder.answer(challenge, coder.code())
    assert (between.hits, unused(challenge)) == (1, True)


def unused(challenge: str) -> bool:
    """Whether a challenge is still to be answered."""
    item = dynamodb.get(tables.once(), tables.challenge_key(jws.b64url_decode(challenge)))
    return item is not None and item["used_by"] == ""


# Each once


def test_a_challenge_is_answered_once(product: Product, coder: Coder) -> None:
    """Not even with the next code."""
    challenge = coder.options(PAY)["challenge"]
    assert coder.answer(challenge, coder.code())
    coder.wait()
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        coder.answer(challenge, coder.code())


def test_a_code_approves_once(coder: Coder) -> None:
    """Neither the code of an approval nor that of the sign-in approves anything more."""
    challenge = coder.options(PAY)["challenge"]
    before = coder.at_s - 30
    spent = [coder.code()]
    assert coder.approve(transfer("2.00"))
    for code in (*spent, code_of(coder, before)):
        with pytest.raises(CodeRefusedError):
            coder.answer(challenge, code)
    assert unused(challenge)


def code_of(coder: Coder, at_s: int) -> str:
    """Return the code of another moment."""
    return Coder(coder.person, coder.secret, at_s, coder.family).code()


def test_an_approvals_code_does_not_sign_in(coder: Coder) -> None:
    """A code that was watched while it approved something starts no session."""
    code = coder.code()
    assert coder.approve(PAY)
    with pytest.raises(RefusedError) as refused:
        coder.sign_in()
    assert (refused.value.code, coder.code()) == ("second-factor-refused", code)


def test_one_of_two_at_once_is_approved(coder: Coder) -> None:
    """One challenge with one code, twice at once, is one approval."""
    challenge, code = coder.options(PAY)["challenge"], coder.code()
    with Race[str | None](2) as duel:
        outcomes = duel.run(*[functools.partial(coder.answer, challenge, code)] * 2)
    granted, refused = split(
        outcomes, ChallengeRefusedError, CodeRefusedError, TooManyRequestsError
    )
    assert (len(granted), len(refused)) == (1, 1)


def test_one_code_answers_one_of_two_challenges_at_once(coder: Coder) -> None:
    """Two acts, one code: one of them is approved."""
    asked = [coder.options(transfer(amount))["challenge"] for amount in ("1.00", "2.00")]
    code = coder.code()
    with Race[str | None](2) as duel:
        outcomes = duel.run(*[functools.partial(coder.answer, one, code) for one in asked])
    granted, refused = split(outcomes, CodeRefusedError, TooManyRequestsError)
    assert (len(granted), len(refused)) == (1, 1)
    assert sorted(map(unused, asked)) == [False, True]


def test_a_lost_answer_is_an_approval(coder: Coder, proxy: Proxy) -> None:
    """What is repeated meets its own attempt."""
    challenge = coder.options(PAY)["challenge"]
    proxy.without_idempotency = True
    fault = proxy.lose_answer(TRANSACTION, by=Loss.DROPPED)
    assert coder.answer(challenge, coder.code())
    assert fault.hits == 1


# Guesses


def test_a_wrong_code_is_charged_and_told(coder: Coder) -> None:
    """Five in a row tell the owner, and then the next has to wait; the challenge stays good."""
    challenge, guess = coder.options(PAY)["challenge"], wrong(coder.code())
    told = min(backoff.FAILURES_TOLD)
    for number in range(1, told + 1):
        with pytest.raises(CodeRefusedError):
            coder.answer(challenge, guess)
        assert failures(coder) == number
    last = records.events(coder.person.account)[-1]
    assert (last["kind"], last["failures"]) == ("second-factor-failing", told)
    with pytest.raises(TooManyRequestsError):
        coder.answer(challenge, coder.code())
    coder.wait()
    assert coder.answer(challenge, coder.code())
    assert failures(coder) == 0


def test_a_wrong_code_uses_nothing_up(product: Product, coder: Coder) -> None:
    """It is charged, and that is all."""
    challenge, guess = coder.options(PAY)["challenge"], wrong(coder.code())
    before = records.everything(product[0], but={"BUCKET"})
    with pytest.raises(CodeRefusedError):
        coder.answer(challenge, guess)
    after = records.everything(product[0], but={"BUCKET"})
    changed = [one for table in after for one in after[table] if one not in before[table]]
    assert len(changed) == 1
    assert "BACKOFF#" in changed[0]


# Whose


def test_a_challenge_is_its_sessions_own(product: Product, coder: Coder) -> None:
    """Another session of the account does not answer it, and is not charged for trying."""
    challenge = coder.options(PAY)["challenge"]
    other = coder.sign_in()
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        coder.answer(challenge, coder.code(), other)


def test_a_passkeys_challenge_is_not_answered_by_a_code(product: Product, coder: Coder) -> None:
    """Nor is text that is no challenge."""
    give_passkey(coder, established_at=0)
    asked = coder.options(PAY)["publicKey"]["challenge"]
    for challenge in (asked, "A" * 43, "B" * 43, "!", ""):
        with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
            coder.answer(challenge, coder.code())


def test_an_old_challenge_is_not_answered(product: Product, coder: Coder) -> None:
    """It lives five minutes."""
    challenge = coder.options(PAY)["challenge"]
    coder.at_s += LIFETIME_S
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        coder.answer(challenge, coder.code())


def _revoke(_: Product, coder: Coder) -> None:
    principal = coder.family.principal("DELETE", "/sessions/{id}")
    sign_out.end_one(coder.family.sid, principal=principal, now_s=now())


def _kill(product: Product, coder: Coder) -> None:
    records.kill(product[0], coder.person.account)


def _restrict(product: Product, coder: Coder) -> None:
    records.restrict(product[0], coder.person.account)


@pytest.mark.parametrize(
    ("end", "refusal"),
    [
        (_revoke, SessionEndedError),
        (_kill, SessionTerminatedError),
        (_restrict, AccountRestrictedError),
    ],
    ids=["sign-out", "kill", "restriction"],
)
def test_a_session_that_is_over_gives_no_approval(
    product: Product,
    coder: Coder,
    end: Callable[[Product, Coder], None],
    refusal: type[RefusedError],
) -> None:
    """The right code in a session that has ended since approves nothing."""
    challenge = coder.options(PAY)["challenge"]
    end(product, coder)
    with pytest.raises(refusal):
        coder.answer(challenge, coder.code())
    assert unused(challenge)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"challenge": "A" * 43},
        {"code": "123456"},
        {"challenge": "A" * 43, "code": "12345"},
        {"challenge": "A" * 44, "code": "123456"},
        {"challenge": "A" * 43, "code": "123456", "credential": {}},
    ],
    ids=["nothing", "no code", "no challenge", "a short code", "a long challenge", "both"],
)
def test_half_an_answer_is_none(members: dict[str, object]) -> None:
    """An answer is a passkey's, or a challenge with a code."""
    with pytest.raises(ValueError, match="validation error"):
        Answer.model_validate(members)


# Worth


def test_identity_obeys_no_code(product: Product, coder: Coder) -> None:
    """Whoever can sign approvals changes no factor by claiming that a code was given."""
    approval = coder.approve(PAY)
    assert approval is not None
    key = product[1].signing_key("approval")
    token = caller_of(
        coder.family.key, coder.family.access_token, "POST", "/approvals", at_s=coder.at_s
    ).token
    for act in (PAY, MINT, Act(kind="remove-totp", fields=[]), Act(kind="lift-demand", fields=[])):
        for audience in ("identity", "ledger"):
            claims = {**jws.claims_of(approval), "aud": audience, "act": act.model_dump()}
            forged = jws.sign(jws.header_of(approval), claims, key)
            with pytest.raises(ApprovalRefusedError):
                approvals.verified(forged, act, token=token, now_s=coder.at_s)
