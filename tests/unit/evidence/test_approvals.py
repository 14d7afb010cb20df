"""Approvals: one exact act, one factor, and what a factor that signs nothing is good for."""

from hashlib import sha256
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from portcullis.amounts import AMOUNT_MINOR_MAX, EXPONENTS, Amount, wire
from portcullis.evidence import approvals
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.approvals import TOTP_MAJOR_MAX, Act, Approval
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.orders import Transfer
from portcullis.identity.approvable import Approvable
from tests.support import jws
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import (
    ACCOUNT,
    NOW,
    ORIGIN,
    OTHER_ACCOUNT,
    STRANGER,
    TRUSTED,
    approval_claims,
)

PAY = Act(kind="transfer", fields=[OTHER_ACCOUNT, "1.00", "EUR", "key-1"])
ASSERTION = {"authenticatorData": "AA", "clientDataJSON": "AA", "signature": "AA"}


def verify(compact: str, *, act: Act = PAY, now: int = NOW, audience: Any = "ledger") -> Approval:
    """Return an approval by a code that verifies for a payment."""
    approval, certificate = approvals.verify(
        compact,
        keys=TRUSTED,
        enrolment_keys=TRUSTED,
        expected_audience=audience,
        expected_origin=ORIGIN,
        expected_rp_id="api.example.test",
        expected_token=AccessToken.model_validate(genuine.token_claims()),
        expected_act=act,
        now_s=now,
    )
    assert certificate is None
    return approval


def refuse(compact: str, why: str, **asked: Any) -> None:
    """Demand that an approval is refused for one reason and no other."""
    with pytest.raises(EvidenceError, match=why):
        verify(compact, **asked)


def test_an_approval_by_a_code_says_so_and_no_more() -> None:
    """It comes with neither assertion nor enrolment."""
    approval = verify(genuine.approval())
    assert (approval.by, approval.assertion, approval.enrolment) == ("totp", None, None)


@pytest.mark.parametrize(
    "members",
    [
        {"by": "passkey"},
        {"by": "passkey", "assertion": ASSERTION},
        {"by": "passkey", "enrolment": "a.b.c"},
        {"by": "totp", "assertion": ASSERTION},
        {"by": "totp", "enrolment": "a.b.c"},
        {"by": "totp", "assertion": ASSERTION, "enrolment": "a.b.c"},
        {"by": "operators"},
        {"by": jws.ABSENT},
    ],
    ids=str,
)
def test_a_factor_shows_what_is_its_own(members: dict[str, object]) -> None:
    """A passkey's approval without its evidence, or a code's with some, is no approval."""
    refuse(genuine.approval(**members), "claims")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://other.example.test"}, "issuer"),
        ({"sub": OTHER_ACCOUNT}, "another session's"),
        ({"sid": "session-2"}, "another session's"),
        ({"jkt": "j" * 43}, "another session's"),
        ({"epoch": 2}, "another session's"),
        ({"aud": "identity"}, "audience"),
        ({"aud": "money"}, "claims"),
        ({"act": {"kind": "transfer", "fields": []}}, "another act"),
        ({"act": {"kind": "pay", "fields": []}}, "claims"),
        ({"exp": NOW + 121}, "lifetime"),
        ({"exp": NOW}, "lifetime"),
        ({"iat": NOW + 6, "exp": NOW + 126}, "time"),
        ({"until": NOW - 1}, "time"),
        ({"jti": jws.ABSENT}, "claims"),
        ({"more": 1}, "claims"),
    ],
    ids=str,
)
def test_each_claim_is_checked(changes: dict[str, object], why: str) -> None:
    """One claim that is not as expected is enough."""
    refuse(genuine.approval(**changes), why)


def test_it_ends_after_two_minutes() -> None:
    """To the second."""
    assert verify(genuine.approval(), now=NOW + 119)
    refuse(genuine.approval(), "time", now=NOW + 120)


def test_a_strangers_signature_is_none() -> None:
    """Whatever it says."""
    refuse(
        genuine.signed("portcullis-approval+jwt", approval_claims(), key=STRANGER), "JWS signature"
    )


def test_a_code_is_for_the_kinds_that_are_named() -> None:
    """Every other kind is refused, although the approval says that it is for that."""
    for kind in ("add-passkey", "remove-passkey", "add-totp", "remove-totp", "set-password"):
        act = Act.model_validate({"kind": kind, "fields": []})
        claims = {"act": act.model_dump(), "aud": "identity"}
        refuse(genuine.approval(**claims), "does not approve this", act=act, audience="identity")


@pytest.mark.parametrize("currency", EXPONENTS)
@given(st.data())
def test_a_code_approves_up_to_the_limit_in_every_currency(
    currency: str, data: st.DataObject
) -> None:
    """The limit is whole units, whatever the currency's decimals."""
    limit = TOTP_MAJOR_MAX * 10 ** EXPONENTS[currency]
    near = st.sampled_from([1, limit - 1, limit, limit + 1, AMOUNT_MINOR_MAX])
    minor = data.draw(st.one_of(st.integers(1, AMOUNT_MINOR_MAX), near))
    amount = wire(minor, currency)
    act = approvals.of_transfer(
        Transfer(to_account=OTHER_ACCOUNT, amount=Amount.model_validate(amount)), key="key-1"
    )
    if minor <= limit:
        approvals.demand_code_suffices(act)
    else:
        with pytest.raises(EvidenceError, match="so much"):
            approvals.demand_code_suffices(act)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [OTHER_ACCOUNT, "1.00", "EUR"],
        [OTHER_ACCOUNT, "1.00", "EUR", "key-1", "more"],
        [OTHER_ACCOUNT, "1.0", "EUR", "key-1"],
        [OTHER_ACCOUNT, "-1.00", "EUR", "key-1"],
        [OTHER_ACCOUNT, "0.00", "EUR", "key-1"],
        [OTHER_ACCOUNT, "1.00", "XXX", "key-1"],
        [OTHER_ACCOUNT, "1e9", "EUR", "key-1"],
    ],
    ids=str,
)
def test_fields_that_are_no_transfer_are_approved_by_no_code(fields: list[str]) -> None:
    """What cannot be read cannot be small."""
    with pytest.raises(EvidenceError, match="no transfer"):
        approvals.demand_code_suffices(Act(kind="transfer", fields=fields))


ASKED = {
    "kind": "transfer",
    "to_account": OTHER_ACCOUNT,
    "amount": {"amount": "1.00", "currency": "EUR"},
    "key": "key-1",
}


def test_route_and_ledger_mean_the_same_act() -> None:
    """What is asked for at one door is what the order at the other derives."""
    order = {"to_account": OTHER_ACCOUNT, "amount": {"amount": "1.00", "currency": "EUR"}}
    derived = approvals.of_transfer(Transfer.model_validate(order), key="key-1")
    assert Approvable.model_validate(ASKED).act == derived == PAY
    assert derived.audience == "ledger"
    for kind in ("set-password", "lift-quarantine", "lift-demand"):
        assert Approvable.model_validate({"kind": kind}).act.audience == "identity"


@pytest.mark.parametrize(
    "changes",
    [
        {"to_account": "A" * 26},
        {"amount": {"amount": "1.0", "currency": "EUR"}},
        {"amount": "1.00"},
        {"key": ""},
        {"key": "k" * 65},
        {"key": "key 1"},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_no_transfer_is_not_asked_for(changes: dict[str, object]) -> None:
    """It is read as strictly as the order itself."""
    with pytest.raises(ValidationError):
        Approvable.model_validate(ASKED | changes)


def test_every_field_makes_another_challenge() -> None:
    """Origin, approval, account, session, time, kind and each field: none can be swapped."""
    base: dict[str, Any] = {
        "origin": ORIGIN,
        "approval": "a" * 26,
        "account": ACCOUNT,
        "sid": "s" * 26,
        "until_s": NOW,
    }
    acts = [
        PAY,
        *(
            Act(kind="transfer", fields=[*PAY.fields[:at], "b" * 26, *PAY.fields[at + 1 :]])
            for at in range(4)
        ),
        Act(kind="transfer", fields=[PAY.fields[0] + PAY.fields[1], *PAY.fields[2:]]),
        Act(kind="lift-demand", fields=[]),
        Act(kind="lift-quarantine", fields=["yes"]),
        Act(kind="lift-quarantine", fields=["no"]),
    ]
    others = [
        base | {name: value + 1 if isinstance(value, int) else value + "x"}
        for name, value in base.items()
    ]
    made = [approvals.challenge(act, **base) for act in acts]
    made += [approvals.challenge(PAY, **other) for other in others]
    assert all(one != other for one, other in combinations(made, 2))
    assert {len(one) for one in made} == {sha256().digest_size}
