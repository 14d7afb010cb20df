"""The factors of an account: every way to add, use and remove one, and what refuses."""

import pytest

from portcullis.evidence.approvals import Act
from portcullis.identity import (
    assurance,
    passkey_list,
    recovery_cancelling,
    session_list,
    sign_out,
    totp_enrolment,
)
from portcullis.identity.factors import PROVISIONAL_S, LastFactorError
from portcullis.identity.standing import AccountFrozenError
from tests.contract.identity import records
from tests.contract.identity.people import (
    Family,
    Person,
    begin,
    finish,
    is_admitted,
    now,
    recover,
    totp_code,
)
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey

pytestmark = pytest.mark.contract

LOGIN = "Alice@Example.test"
PASSWORD = "seven green otters hum"


def _acr(family: Family) -> object:
    return jws.claims_of(family.access_token)["acr"]


def test_smoke(person: Person) -> None:
    """Everything once."""
    family = person.sign_in()
    assert _acr(family) == assurance.PHR
    person.put_password(family, LOGIN, PASSWORD)
    secret = person.add_totp(family)
    key = ProofKey()
    pending = begin(" alice@example.test".strip(), PASSWORD, key)
    assert pending.second_factors == ("passkey", "totp")
    by_password = finish(pending.ticket, totp_code(secret, now()), key)
    assert _acr(by_password) == assurance.MFA
    other = Authenticator()
    added = person.add_passkey(family, other, approver=person, label="the blue one")
    assert added["label"] == "the blue one"
    token = family.principal("GET", "/passkeys").token
    assert [one["label"] for one in passkey_list.show(token)] == [None, "the blue one"]
    assert len(session_list.show(token, now_s=now())) == 2
    codes = person.mint_codes(family)
    spare = Authenticator()
    account, _ = recover(codes[0], spare)
    assert account == person.account
    assert not is_admitted(family.key, family.access_token)
    late = Person(person.account, spare).sign_in()
    assert _acr(late) == assurance.PROVISIONAL
    again = person.sign_in()
    recovery_cancelling.cancel(again.principal("DELETE", "/recovery"), now_s=now())
    again = again.renewed()
    act = Act(kind="remove-totp", fields=[])
    approval = person.approve(again, act)
    with pytest.raises(AccountFrozenError):
        totp_enrolment.remove(
            again.principal("DELETE", "/totp", act=act, approval=approval), now_s=now()
        )
    sign_out.end_all(except_current=True, principal=again.principal("DELETE", "/sessions"), now_s=now())
    again = again.renewed()
    sign_out.end_one(again.sid, principal=again.principal("DELETE", "/sessions/{id}"), now_s=now())
    print([e["kind"] for e in records.events(person.account)])
