"""Quarantine, and its lift: by the owner's strongest factor, or by two operators together."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from functions.identity.approval_options.handler import handler as ask
from functions.identity.approve.handler import handler as approve
from functions.identity.lift_quarantine.handler import handler
from portcullis import clock
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Value
from portcullis.evidence.approvals import Act
from portcullis.evidence.errors import InvalidCommandError
from portcullis.identity import (
    approving,
    lifting,
    passkeys,
    recovery_codes,
    sign_in,
    standing,
    tables,
)
from portcullis.identity.approvable import Approvable
from portcullis.identity.challenges import LIFETIME_S, ChallengeRefusedError
from portcullis.identity.gate import SessionTerminatedError
from portcullis.identity.lifting import (
    DemandTooYoungError,
    NothingDemandedError,
    NotQuarantinedError,
)
from portcullis.identity.operators import CommandReplayedError, TwoOperatorsRequiredError
from portcullis.identity.passkeys import Assertion, PasskeyRefusedError
from portcullis.identity.second_factor import by_passkey
from portcullis.identity.standing import (
    ACTIVE,
    QUARANTINED,
    AccountQuarantinedError,
    AccountRestrictedError,
    NoSuchAccountError,
)
from portcullis.identity.tickets import TicketRefusedError
from portcullis.identity.totp_enrolment import CodeRefusedError
from portcullis.operations import registry
from portcullis.operations.registry import OperatorRegistration
from tests.contract.conftest import INTERNAL_ORIGIN, PUBLIC_ORIGIN
from tests.contract.identity import records
from tests.contract.identity.coders import Coder
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    SIGN_IN,
    SOURCE,
    Family,
    Person,
    admit,
    begin,
    family_of,
    finish,
    is_admitted,
    now,
    proof_of,
    totp_code,
)
from tests.contract.identity.race import Race, split
from tests.contract.identity.records import only_throttled
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.commands import Overrides
from tests.support.dpop import ProofKey
from tests.support.events import JSON, Context, Sent
from tests.support.faults import TRANSACTION, Loss, Proxy
from tests.support.operator import Operator, lift_path, release_order, release_path

pytestmark = pytest.mark.contract

NOW = 1_800_000_000
ROLE = "operator"
STRANGER = "a" * 26
LOGIN, PASSWORD = "alice@example.test", "seven green otters hum"
LIFT = Act(kind="lift-quarantine", fields=["unsaid"])
LIFT_DEMAND = Act(kind="lift-demand", fields=[])
MINT = Act(kind="mint-recovery-codes", fields=[])
RACES = 10
DAY_S = 86_400

type Pair = tuple[Operator, Operator]


@pytest.fixture
def quarantined(product: Product, person: Person, family: Family) -> Family:
    """The session of somebody who has signed in again since the account was quarantined."""
    assert family
    records.quarantine(product[0], person.account)
    return person.sign_in()


def lift(family: Family, answer: Assertion) -> None:
    """Answer the options of a lift with the passkey."""
    principal = family.principal("POST", "/approvals")
    assert approving.by_passkey(answer, principal=principal, now_s=now()) is None


def unasked(person: Person, family: Family, act: Act) -> Assertion:
    """Return the passkey's answer to what the role of the options could ask by itself."""
    principal = family.principal("POST", "/approvals/options")
    options = passkeys.request_options(approving._hashed(act, principal, now_s=now()), allow=[])
    return Assertion.model_validate(person.authenticator.get(options, PUBLIC_ORIGIN))


def present(answer: Assertion, key: ProofKey) -> Family:
    """Sign in by an answer."""
    proof = proof_of(key, SIGN_IN)
    return family_of(sign_in.sign_in(answer, proof=proof, source=SOURCE, now_s=now()), key)


def kinds(account: str) -> list[str]:
    """Return the kinds of an account's events."""
    return [event["kind"] for event in records.events(account)]


def mint(person: Person, family: Family) -> list[str]:
    """Do something for which an account must be free."""
    approval = person.approve(family, MINT)
    principal = family.principal("POST", "/recovery-codes", act=MINT, approval=approval)
    return recovery_codes.mint(principal, now_s=now())


# Signing in under quarantine


def test_an_established_passkey_signs_in(
    person: Person, family: Family, quarantined: Family
) -> None:
    """The session is of the new epoch; the quarantine stays, and the old session stays dead."""
    assert quarantined.stored.epoch == person.standing.epoch == 2
    assert person.standing.status == QUARANTINED
    assert not is_admitted(family.key, family.access_token)


def test_a_provisional_passkey_does_not(product: Product, person: Person, family: Family) -> None:
    """A passkey that a thief may have added a moment ago opens nothing now."""
    person.add_passkey(family, newcomer := Authenticator())
    records.quarantine(product[0], person.account)
    key = ProofKey()
    answer = Person(person.account, newcomer).assertion(key)
    with only_throttled(product[0]), pytest.raises(AccountRestrictedError):
        present(answer, key)


def test_a_code_does_not_where_there_is_a_passkey(
    product: Product, person: Person, family: Family
) -> None:
    """Password and TOTP are the weaker way in, and phishing gets them; the ticket stays good."""
    person.put_password(family, LOGIN, PASSWORD)
    secret, key = person.add_totp(family), ProofKey()
    records.quarantine(product[0], person.account)
    ticket = begin(LOGIN, PASSWORD, key).ticket
    with pytest.raises(AccountRestrictedError):
        finish(ticket, totp_code(secret, now()), key)
    proof = proof_of(key, "/sessions/second-factor")
    answer = person.assertion(key)
    started = by_passkey(ticket, answer, proof=proof, source=SOURCE, now_s=now())
    assert family_of(started, key).stored.epoch == person.standing.epoch


def test_a_provisional_passkey_does_not_after_a_password_either(
    product: Product, person: Person, family: Family
) -> None:
    """The right password lends it no strength."""
    person.put_password(family, LOGIN, PASSWORD)
    person.add_passkey(family, newcomer := Authenticator())
    records.quarantine(product[0], person.account)
    key = ProofKey()
    ticket, proof = person.pending(key), proof_of(key, "/sessions/second-factor")
    answer = Person(person.account, newcomer).assertion(key)
    with pytest.raises(AccountRestrictedError):
        by_passkey(ticket, answer, proof=proof, source=SOURCE, now_s=now())


def test_a_code_does_where_there_is_no_passkey(
    product: Product, person: Person, family: Family
) -> None:
    """Whoever has nothing stronger is let in by password and TOTP."""
    coder = Coder.of(person, family)
    records.quarantine(product[0], person.account)
    assert coder.sign_in().stored.epoch == person.standing.epoch


def test_a_ticket_from_before_the_quarantine_is_refused(
    product: Product, person: Person, family: Family
) -> None:
    """A pending sign-in dies with the sessions."""
    coder = Coder.of(person, family)
    key = ProofKey()
    ticket = person.pending(key, at_s=coder.at_s)
    records.quarantine(product[0], person.account)
    with pytest.raises(TicketRefusedError):
        finish(ticket, coder.code(), key, at_s=coder.at_s)


def test_a_quarantine_during_a_sign_in_lets_the_strongest_in(
    product: Product, proxy: Proxy, person: Person
) -> None:
    """A sign-in that straddles it belongs to the new epoch, wholly."""
    key = ProofKey()
    answer = person.assertion(key)
    between = proxy.meanwhile(TRANSACTION, lambda: records.quarantine(product[0], person.account))
    assert present(answer, key).stored.epoch == 2
    assert between.hits == 1


def test_a_quarantine_during_a_sign_in_keeps_the_weaker_out(
    product: Product, proxy: Proxy, person: Person, family: Family
) -> None:
    """What was enough when it was read is refused when it is written."""
    person.add_passkey(family, newcomer := Authenticator())
    key = ProofKey()
    answer = Person(person.account, newcomer).assertion(key)
    between = proxy.meanwhile(TRANSACTION, lambda: records.quarantine(product[0], person.account))
    with pytest.raises(AccountRestrictedError):
        present(answer, key)
    assert between.hits == 1


# What such a session may do


def test_a_quarantined_account_changes_nothing(
    product: Product, person: Person, quarantined: Family
) -> None:
    """Not even with a passkey's approval: there is no approval to be had for anything else."""
    principal = quarantined.principal("POST", "/recovery-codes", act=MINT)
    with only_throttled(product[0]), pytest.raises(AccountQuarantinedError):
        person.answer(quarantined, MINT)
    with only_throttled(product[0]), pytest.raises(AccountQuarantinedError):
        recovery_codes.mint(principal, now_s=now())


# The owner's lift


@pytest.mark.parametrize(
    ("said", "told"), [({}, "unsaid"), ({"was_you": True}, "yes"), ({"was_you": False}, "no")]
)
def test_a_passkey_lifts_a_quarantine(
    person: Person, quarantined: Family, said: dict[str, bool], told: str
) -> None:
    """At once, in its own epoch; the session goes on, and the event says by what."""
    act = Approvable.model_validate({"kind": "lift-quarantine", **said}).act
    lift(quarantined, person.answer(quarantined, act))
    assert (person.standing.status, person.standing.epoch) == (ACTIVE, 2)
    event = records.events(person.account)[-1]
    assert (event["kind"], event["by"], event["was_you"]) == ("quarantine-lifted", "passkey", told)
    assert is_admitted(quarantined.key, quarantined.access_token)
    assert mint(person, quarantined)


def test_what_the_quarantine_killed_stays_dead(
    person: Person, family: Family, quarantined: Family
) -> None:
    """The lift brings no session back, whoever holds it."""
    lift(quarantined, person.answer(quarantined, LIFT))
    assert not is_admitted(family.key, family.access_token)


def test_a_lift_keeps_the_demand_of_approvals(
    product: Product, person: Person, quarantined: Family
) -> None:
    """Money that waited for an approval before the quarantine waits for one after it."""
    records.demand_approval(product[0], person.account, since=7)
    lift(quarantined, person.answer(quarantined, LIFT))
    assert person.standing.approval_required_since == 7


def test_a_code_lifts_where_there_is_no_passkey(
    product: Product, person: Person, family: Family
) -> None:
    """And only a good one does."""
    coder = Coder.of(person, family)
    records.quarantine(product[0], person.account)
    coder.family = coder.sign_in()
    challenge = coder.options(LIFT)["challenge"]
    with pytest.raises(CodeRefusedError):
        coder.answer(challenge, "000000" if coder.code() != "000000" else "000001")
    assert person.standing.status == QUARANTINED
    assert coder.answer(challenge, coder.code()) is None
    assert person.standing.status == ACTIVE
    assert records.events(person.account)[-1]["by"] == "totp"
    assert person.standing.approval_required_since == coder.at_s, "money waits for approvals"


def test_where_nothing_is_quarantined_nothing_is_lifted(
    product: Product, person: Person, family: Family
) -> None:
    """Nobody is asked to; and whoever was is refused in words of its own, and uses nothing up."""
    with only_throttled(product[0]), pytest.raises(NotQuarantinedError):
        person.answer(family, LIFT)
    answer = unasked(person, family, LIFT)
    with only_throttled(product[0]), pytest.raises(NotQuarantinedError):
        lift(family, answer)


def test_an_answer_lifts_once(product: Product, person: Person, quarantined: Family) -> None:
    """Recorded and sent again it lifts nothing, whatever happened meanwhile."""
    answer = person.answer(quarantined, LIFT)
    lift(quarantined, answer)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        lift(quarantined, answer)
    records.restrict(product[0], person.account, status=QUARANTINED)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        lift(quarantined, answer)


def test_a_challenge_is_its_sessions_own(
    product: Product, person: Person, quarantined: Family
) -> None:
    """Another session of the account, and another account, do not lift by it."""
    answer = person.answer(quarantined, LIFT)
    other = Person.with_account()
    records.quarantine(product[0], other.account)
    for family in (person.sign_in(), other.sign_in()):
        with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
            lift(family, answer)


def test_a_provisional_passkey_lifts_nothing(
    product: Product, person: Person, family: Family
) -> None:
    """Nor does a passkey of another account."""
    person.add_passkey(family, newcomer := Authenticator())
    records.quarantine(product[0], person.account)
    session, thief = person.sign_in(), Person.with_account()
    for holder in (newcomer, thief.authenticator):
        answer = Person(person.account, holder)
        options = approving.options(
            LIFT, principal=session.principal("POST", "/approvals/options"), now_s=now()
        )["publicKey"]
        given = answer.authenticator.get({**options, "allowCredentials": []}, PUBLIC_ORIGIN)
        with only_throttled(product[0]), pytest.raises(PasskeyRefusedError):
            lift(session, Assertion.model_validate(given))


def test_a_lift_of_an_older_epoch_is_refused(
    product: Product, person: Person, quarantined: Family
) -> None:
    """A second anomaly ends the session that was about to lift the first."""
    answer = person.answer(quarantined, LIFT)
    records.quarantine(product[0], person.account)
    with only_throttled(product[0]), pytest.raises(SessionTerminatedError):
        lift(quarantined, answer)


def test_a_kill_between_read_and_write_stays(
    product: Product, proxy: Proxy, person: Person, quarantined: Family
) -> None:
    """The lift is of the quarantine that was seen, and of no later one."""
    answer = person.answer(quarantined, LIFT)
    between = proxy.meanwhile(TRANSACTION, lambda: records.quarantine(product[0], person.account))
    with pytest.raises(SessionTerminatedError):
        lift(quarantined, answer)
    assert between.hits == 1
    assert (person.standing.status, person.standing.epoch) == (QUARANTINED, 3)
    assert "quarantine-lifted" not in kinds(person.account)


def test_of_two_lifts_at_once_one_is_done(person: Person, quarantined: Family) -> None:
    """Two sessions, each with its own answer: one lift, one event."""
    sessions = (quarantined, person.sign_in())
    answers = [(one, person.answer(one, LIFT)) for one in sessions]
    with Race[None](2) as duel:
        outcomes = duel.run(*(partial(lift, one, answer) for one, answer in answers))
    # A loser may see the counter moved before it sees the quarantine lifted.
    granted, refused = split(outcomes, NotQuarantinedError, PasskeyRefusedError)
    assert (len(granted), len(refused)) == (1, 1)
    assert kinds(person.account).count("quarantine-lifted") == 1
    assert person.standing.status == ACTIVE


def test_kills_lifts_and_sign_ins_at_once_leave_one_truth(
    product: Product, person: Person, quarantined: Family
) -> None:
    """Whatever comes first, no session outlives a kill, and no lift undoes a later one."""

    def kill(epoch: int) -> None:
        seen = standing.Standing(person.account, ACTIVE, epoch)
        dynamodb.execute(standing.quarantined(seen, at_s=now()))

    session = quarantined
    with Race[object](3) as race:
        for _ in range(RACES):
            key, epoch = ProofKey(), person.standing.epoch
            lifting_, entering = person.answer(session, LIFT), person.assertion(key)
            outcomes = race.run(
                partial(lift, session, lifting_),
                partial(kill, epoch),
                partial(present, entering, key),
            )
            lifted, killed, entered = outcomes
            stands = person.standing
            assert isinstance(entered, Family | PasskeyRefusedError)
            assert killed is None or isinstance(killed, ConditionFailedError)
            assert stands.epoch == epoch + (killed is None)
            assert lifted is None or isinstance(lifted, PasskeyRefusedError)
            free = lifted is None and killed is not None
            assert stands.status == (ACTIVE if free else QUARANTINED)
            if not free:
                with pytest.raises((SessionTerminatedError, AccountQuarantinedError)):
                    admit(session.key, session.access_token)
            else:
                records.quarantine(product[0], person.account)
            session = person.sign_in()


def test_a_lift_whose_answer_was_lost_is_a_lift(
    person: Person, quarantined: Family, proxy: Proxy
) -> None:
    """What is repeated meets its own attempt, and there is one event."""
    answer = person.answer(quarantined, LIFT)
    proxy.without_idempotency = True
    fault = proxy.lose_answer(TRANSACTION, by=Loss.DROPPED)
    lift(quarantined, answer)
    assert fault.hits == 1
    assert kinds(person.account).count("quarantine-lifted") == 1


def posted(family: Family, path: str, body: object) -> tuple[int, dict[str, Any]]:
    """Return status and body of a function's answer to a request behind the gate."""
    serve = {"/approvals/options": ask, "/approvals": approve}[path]
    token = family.access_token
    proof = family.key.proof("POST", PUBLIC_ORIGIN + path, access_token=token, now=now())
    headers = (*JSON, ("Authorization", f"DPoP {token}"), ("DPoP", proof))
    sent = Sent(path=path, headers=headers, body=json.dumps(body))
    answer = serve(sent.to_function(), Context())
    return answer["statusCode"], json.loads(answer["body"])


def test_the_routes_give_approvals_and_do_lifts(person: Person, quarantined: Family) -> None:
    """A lift is 200 and done; an approval is 201, to be shown elsewhere; half an answer is 400."""
    for kind, status, member in (
        ("lift-quarantine", 200, "lifted"),
        ("mint-recovery-codes", 201, "approval"),
    ):
        asked, options = posted(quarantined, "/approvals/options", {"kind": kind})
        assert asked == 200
        answer = person.authenticator.get(options["publicKey"], PUBLIC_ORIGIN)
        given, told = posted(quarantined, "/approvals", {"credential": answer})
        assert (given, member in told) == (status, True)
    assert posted(quarantined, "/approvals", {"code": "123456"})[0] == 400


# The end of a demand


def test_a_passkey_ends_the_demand_of_approvals(
    product: Product, person: Person, family: Family
) -> None:
    """Afterwards transfers need none, and the event says by what."""
    records.demand_approval(product[0], person.account, since=now() - 60)
    lift(family, person.answer(family, LIFT_DEMAND))
    assert person.standing.approval_required_since == 0
    event = records.events(person.account)[-1]
    assert (event["kind"], event["by"]) == ("approval-demand-lifted", "passkey")


def test_where_nothing_is_demanded_nothing_ends(
    product: Product, person: Person, family: Family
) -> None:
    """Nobody is asked to; and whoever was is refused in words of its own, and uses nothing up."""
    with only_throttled(product[0]), pytest.raises(NothingDemandedError):
        person.answer(family, LIFT_DEMAND)
    answer = unasked(person, family, LIFT_DEMAND)
    with only_throttled(product[0]), pytest.raises(NothingDemandedError):
        lift(family, answer)


def test_a_quarantined_account_ends_no_demand(
    product: Product, person: Person, quarantined: Family
) -> None:
    """Nor does it approve anything else: first things first."""
    records.demand_approval(product[0], person.account, since=now() - 60)
    for act in (LIFT_DEMAND, MINT):
        with only_throttled(product[0]), pytest.raises(AccountQuarantinedError):
            person.answer(quarantined, act)
        answer = unasked(person, quarantined, act)
        with only_throttled(product[0]), pytest.raises(AccountQuarantinedError):
            lift(quarantined, answer)


def test_a_yes_to_one_act_is_none_to_another(
    product: Product, person: Person, family: Family
) -> None:
    """Whatever is stored beside a challenge, the passkey has approved what it signed alone."""
    records.demand_approval(product[0], person.account, since=now() - 60)
    asked = person.answer(family, MINT)
    value = passkeys.answered_challenge(asked.response.clientDataJSON)
    retold: dict[str, Value] = {"kind": "lift-demand", "fields": []}
    item = dynamodb.get(tables.once(), tables.challenge_key(value))
    assert item is not None
    dynamodb.execute(
        dynamodb.change(
            tables.once(),
            tables.challenge_key(value),
            {"facts": {**item["facts"], **retold}},
            where='"used_by" = ?',
            given=("",),
        )
    )
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        lift(family, asked)


@pytest.mark.parametrize("early_s", [1, 600])
def test_a_code_ends_no_demand_of_the_day(
    product: Product, person: Person, family: Family, early_s: int
) -> None:
    """A phished code must not free what was held back; a day later the owner has been told."""
    coder = Coder.of(person, family)
    records.demand_approval(product[0], person.account, since=coder.at_s - DAY_S + early_s)
    with only_throttled(product[0]), pytest.raises(DemandTooYoungError):
        coder.options(LIFT_DEMAND)
    coder.at_s += early_s
    assert coder.approve(LIFT_DEMAND) is None
    assert person.standing.approval_required_since == 0


def test_a_codes_old_question_ends_no_younger_demand(
    product: Product, person: Person, family: Family
) -> None:
    """A demand that was made after the question is as young as it is."""
    coder = Coder.of(person, family)
    records.demand_approval(product[0], person.account, since=coder.at_s - DAY_S)
    challenge = coder.options(LIFT_DEMAND)["challenge"]
    records.demand_approval(product[0], person.account, since=coder.at_s + 1)
    with pytest.raises(DemandTooYoungError):
        coder.answer(challenge, coder.code())
    assert person.standing.approval_required_since == coder.at_s + 1


def test_a_later_demand_is_not_ended_by_an_earlier_answer(
    product: Product, person: Person, family: Family
) -> None:
    """Who asked before an anomaly was seen has not approved what came after."""
    at_s = now()
    records.demand_approval(product[0], person.account, since=at_s - 60)
    answer = person.answer(family, LIFT_DEMAND, at_s=at_s)
    records.demand_approval(product[0], person.account, since=at_s + 1)
    with only_throttled(product[0]), pytest.raises(ChallengeRefusedError):
        approving.by_passkey(
            answer,
            principal=family.principal("POST", "/approvals", at_s=at_s + 2),
            now_s=at_s + 2,
        )


def test_a_demand_between_read_and_write_stays(
    product: Product, proxy: Proxy, person: Person, family: Family
) -> None:
    """The demand that ends is the one that was seen."""
    records.demand_approval(product[0], person.account, since=now() - 60)
    answer, later = person.answer(family, LIFT_DEMAND), now() + LIFETIME_S
    between = proxy.meanwhile(
        TRANSACTION, lambda: records.demand_approval(product[0], person.account, since=later)
    )
    with pytest.raises(ChallengeRefusedError):
        lift(family, answer)
    assert between.hits == 1
    assert person.standing.approval_required_since == later


# The operators' lift


@pytest.fixture
def pair(product: Product) -> Pair:
    """Two operators, registered as an administrator does it."""
    assert product
    return registered(Operator("alice")), registered(Operator("bob"))


@pytest.fixture
def held(product: Product, person: Person) -> Person:
    """Somebody whose account is quarantined."""
    records.quarantine(product[0], person.account)
    return person


def registered(operator: Operator) -> Operator:
    """Register an operator."""
    key = jws.public_jwk(operator.key)
    registry.register_operator(OperatorRegistration(operator=operator.name, key=key))
    return operator


def signed(account: str, *by: Operator, at_s: int = NOW) -> list[str]:
    """Return the honest commands of operators to lift an account's quarantine."""
    return [one.lift_quarantine(INTERNAL_ORIGIN, account, now=at_s) for one in by]


def obey(account: str, commands: list[str], *, role: str | None = ROLE, at_s: int = NOW) -> int:
    """Do with commands what the route does."""
    return lifting.by_operators(account, commands, caller_role=role, now_s=at_s)


def test_two_operators_lift_and_money_waits_for_the_owner(held: Person, pair: Pair) -> None:
    """The account acts again; what it pays wants its owner's own approval from now on."""
    assert obey(held.account, signed(held.account, *pair)) == NOW
    seen = held.standing
    assert (seen.status, seen.epoch, seen.approval_required_since) == (ACTIVE, 2, NOW)
    event = records.events(held.account)[-1]
    facts = {name: event[name] for name in ("kind", "by", "was_you", "operators", "at")}
    assert facts == {
        "kind": "quarantine-lifted",
        "by": "operators",
        "was_you": "unsaid",
        "operators": ["alice", "bob"],
        "at": NOW,
    }


def test_operators_lift_nothing_that_is_not_quarantined(
    product: Product, person: Person, pair: Pair
) -> None:
    """An active account and a restricted one are refused; the commands stay good."""
    commands = signed(person.account, *pair)
    with records.unchanged(product[0]), pytest.raises(NotQuarantinedError):
        obey(person.account, commands)
    records.restrict(product[0], person.account)
    with records.unchanged(product[0]), pytest.raises(NotQuarantinedError):
        obey(person.account, commands)
    records.quarantine(product[0], person.account)
    obey(person.account, commands)


def test_operators_lift_no_account_that_is_not_there(product: Product, pair: Pair) -> None:
    """Nothing is written for an account that nobody opened."""
    with records.unchanged(product[0]), pytest.raises(NoSuchAccountError):
        obey(STRANGER, signed(STRANGER, *pair))


FORGERIES: dict[str, Overrides] = {
    "another key": {"signed_by": jws.new_key()},
    "nobody": {"claims": {"iss": "operator:nobody"}},
    "a partner": {"claims": {"iss": "partner:bob"}},
    "another account's route": {"claims": {"htu": INTERNAL_ORIGIN + lift_path("b" * 26)}},
    "the route of releases": {"claims": {"htu": INTERNAL_ORIGIN + release_path(STRANGER)}},
    "kind release-account": {"kind": "release-account"},
    "kind lift-lockdown": {"kind": "lift-lockdown"},
    "ended": {"now": NOW - 31},
    "from the future": {"now": NOW + 6},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_one_forged_command_spoils_a_lift(
    product: Product, held: Person, pair: Pair, forgery: Overrides
) -> None:
    """One honest operator is not enough, and a forged command beside it changes nothing."""
    alice, bob = pair
    overrides: Overrides = {"now": NOW}
    forged = bob.lift_quarantine(INTERNAL_ORIGIN, held.account, **(overrides | forgery))
    commands = [*signed(held.account, alice), forged]
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        obey(held.account, commands)


def test_commands_to_release_lift_nothing(product: Product, held: Person, pair: Pair) -> None:
    """A way back for a lost owner is another order than the end of a quarantine."""
    commands = [one.release(INTERNAL_ORIGIN, held.account, now=NOW) for one in pair]
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        obey(held.account, commands)


def test_an_order_that_names_another_account_lifts_nothing(
    product: Product, held: Person, pair: Pair
) -> None:
    """Route and order must agree."""
    kind: Overrides = {"kind": "lift-quarantine", "now": NOW}
    for order in (release_order(STRANGER), b"{}", b"account"):
        path = lift_path(held.account)
        commands = [one.command(INTERNAL_ORIGIN, path, order, **kind) for one in pair]
        with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
            obey(held.account, commands)


@pytest.mark.parametrize(
    "by", [lambda pair: [pair[0]], lambda pair: [pair[0], pair[0]]], ids=["one", "one twice"]
)
def test_one_operator_lifts_nothing(
    product: Product, held: Person, pair: Pair, by: Callable[[Pair], list[Operator]]
) -> None:
    """A freeze takes one, its end takes two."""
    commands = signed(held.account, *by(pair))
    with records.unchanged(product[0]), pytest.raises(TwoOperatorsRequiredError):
        obey(held.account, commands)


@pytest.mark.parametrize("role", [None, "", "partner-sandbox", "identity-approve"], ids=repr)
def test_another_role_lifts_nothing(
    product: Product, held: Person, pair: Pair, role: str | None
) -> None:
    """Two operators' keys without the operators' role lift nothing."""
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        obey(held.account, signed(held.account, *pair), role=role)


def test_a_command_lifts_once(product: Product, held: Person, pair: Pair) -> None:
    """Whoever recorded the commands lifts no later quarantine with them, nor with one of them."""
    used = signed(held.account, *pair)
    obey(held.account, used)
    records.quarantine(product[0], held.account)
    for commands in (used, [used[0], *signed(held.account, pair[1])]):
        with records.unchanged(product[0]), pytest.raises(CommandReplayedError):
            obey(held.account, commands, at_s=NOW + 1)


def test_operators_do_not_undo_a_kill_that_they_did_not_see(
    product: Product, proxy: Proxy, held: Person, pair: Pair
) -> None:
    """A kill between read and write raises the epoch again; the lift is then of that one."""
    between = proxy.meanwhile(
        TRANSACTION, lambda: records.kill(product[0], held.account, status=records.RESTRICTED)
    )
    with pytest.raises(NotQuarantinedError):
        obey(held.account, signed(held.account, *pair))
    assert between.hits == 1
    assert held.standing.status == records.RESTRICTED


def test_a_lost_answer_of_operators_is_a_lift(held: Person, pair: Pair, proxy: Proxy) -> None:
    """What the SDK repeats meets its own commands used up."""
    proxy.without_idempotency = True
    fault = proxy.lose_answer(TRANSACTION, by=Loss.DROPPED)
    obey(held.account, signed(held.account, *pair))
    assert fault.hits == 1
    assert kinds(held.account).count("quarantine-lifted") == 1


def test_of_four_lifts_with_the_same_commands_one_is_done(held: Person, pair: Pair) -> None:
    """However often the same two commands come at once, they lift once."""
    commands = signed(held.account, *pair)
    with Race[int](4) as race:
        outcomes = race.run(*(4 * [partial(obey, held.account, commands)]))
    granted, _ = split(outcomes, CommandReplayedError)
    assert len(granted) == 1
    assert kinds(held.account).count("quarantine-lifted") == 1


def request(account: str, body: object, role: str | None = ROLE) -> dict[str, Any]:
    """Return the function's answer to a request of an IAM role."""
    sent = Sent(
        path=lift_path(account),
        resource="/accounts/{account}/lift",
        path_parameters={"account": account},
        body=json.dumps(body),
        user_arn=f"arn:aws:sts::000000000000:assumed-role/{role}/test" if role else None,
    )
    return handler(sent.to_function(), Context())


def test_the_route_says_since_when_money_waits(held: Person, pair: Pair) -> None:
    """The answer names the account and the time."""
    at_s = now()
    answer = request(held.account, {"commands": signed(held.account, *pair, at_s=at_s)})
    told = json.loads(answer["body"])
    assert answer["statusCode"] == 200
    since = held.standing.approval_required_since
    assert told == {"account": held.account, "approval_required_since": clock.rfc3339(since)}
    assert at_s <= since <= at_s + 60


def test_the_route_refuses_what_is_not_quarantined(person: Person, pair: Pair) -> None:
    """As a conflict with the present state."""
    commands = signed(person.account, *pair, at_s=now())
    answer = request(person.account, {"commands": commands})
    assert answer["statusCode"] == 409
    assert json.loads(answer["body"])["type"].endswith(":not-quarantined")
