"""Lockdown: one operator freezes, two lift, and the platform is told each of it once."""

import json
from collections.abc import Callable
from typing import Any, Unpack

import pytest

from functions.identity.lift_lockdown.handler import handler as lift_handler
from functions.identity.lock_down.handler import handler as lock_handler
from portcullis import clock, entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ContentionError
from portcullis.evidence.errors import InvalidCommandError
from portcullis.identity import lockdown, tables
from portcullis.identity.lockdown import AnotherLockdownError, Lockdown, NotLockedDownError
from portcullis.identity.operators import (
    ROUNDS_MAX,
    CommandReplayedError,
    TwoOperatorsRequiredError,
)
from portcullis.operations import registry
from portcullis.operations.registry import OperatorRegistration
from tests.contract.conftest import INTERNAL_ORIGIN, PUBLIC_ORIGIN
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import now
from tests.contract.identity.race import Race, split
from tests.support import jws
from tests.support.commands import Overrides
from tests.support.events import Context, Sent
from tests.support.faults import ALWAYS, TRANSACTION, Loss, Proxy
from tests.support.operator import LIFT, LOCKDOWN, Operator

pytestmark = pytest.mark.contract

NOW = 1_800_000_000
ROLE = "operator"

type Pair = tuple[Operator, Operator]


@pytest.fixture
def pair(product: Product) -> Pair:
    """Two operators, registered as an administrator does it."""
    assert product
    return registered(Operator("alice")), registered(Operator("bob"))


def registered(operator: Operator) -> Operator:
    """Register an operator."""
    key = jws.public_jwk(operator.key)
    registry.register_operator(OperatorRegistration(operator=operator.name, key=key))
    return operator


def freeze(
    by: Operator, *, reason: str = "intrusion", at_s: int = NOW, role: str | None = ROLE
) -> Lockdown:
    """Have an operator freeze, as the route does it."""
    command = by.lock_down(INTERNAL_ORIGIN, reason=reason, now=at_s)
    return lockdown.lock_down(command, caller_role=role, now_s=at_s)


def lifting(*by: Operator, since_s: int = NOW, **overrides: Unpack[Overrides]) -> list[str]:
    """Return the honest commands of operators to lift the lockdown that began at *since_s*."""
    since = clock.rfc3339(since_s)
    honest: Overrides = {"now": NOW}
    return [one.lift_lockdown(INTERNAL_ORIGIN, since=since, **(honest | overrides)) for one in by]


def lift(*by: Operator, since_s: int = NOW, at_s: int = NOW, role: str | None = ROLE) -> Lockdown:
    """Have operators lift, as the route does it."""
    commands = lifting(*by, since_s=since_s, now=at_s)
    return lockdown.lift(commands, caller_role=role, now_s=at_s)


def stored() -> dict[str, Any] | None:
    """Return the item that the ledger reads."""
    item = dynamodb.get(tables.standing(), tables.lockdown_key())
    return dict(item) if item else None


def told() -> list[dict[str, Any]]:
    """Return the platform's events, numbered without a gap, without what all events have."""
    common = {"pk", "sk", "ttl"}
    return [
        {name: value for name, value in event.items() if name not in common}
        for event in records.events(tables.LOCKDOWN)
    ]


def test_one_operator_freezes_a_platform_that_never_was_frozen(pair: Pair) -> None:
    """The first lockdown makes its item and opens its outbox."""
    assert stored() is None
    assert freeze(pair[0]) == Lockdown(locked=True, since=NOW, reason="intrusion")
    assert stored() == {"pk": "LOCKDOWN", "locked": True, "since": NOW, "reason": "intrusion"}
    assert told() == [
        {"kind": "locked-down", "at": NOW, "operator": "alice", "reason": "intrusion"}
    ]


def test_two_operators_lift_and_the_next_lockdown_is_told_again(pair: Pair) -> None:
    """Each change of the switch is one event, in order, whoever made it."""
    freeze(pair[0])
    lifted = lift(*pair, at_s=NOW + 60)
    assert lifted == Lockdown(locked=False, since=NOW + 60, reason="intrusion")
    assert stored() == {"pk": "LOCKDOWN", "locked": False, "since": NOW + 60, "reason": "intrusion"}
    freeze(pair[1], reason="drift", at_s=NOW + 120)
    assert stored() == {"pk": "LOCKDOWN", "locked": True, "since": NOW + 120, "reason": "drift"}
    lift(*pair, since_s=NOW + 120, at_s=NOW + 180)
    assert [(one["kind"], one["at"]) for one in told()] == [
        ("locked-down", NOW),
        ("lockdown-lifted", NOW + 60),
        ("locked-down", NOW + 120),
        ("lockdown-lifted", NOW + 180),
    ]
    assert told()[1]["operators"] == ["alice", "bob"]


def test_freezing_what_is_frozen_is_a_lockdown_of_its_own(pair: Pair) -> None:
    """Who freezes during a drill for a reason of their own is on record, and that reason stands."""
    freeze(pair[0], reason="drill")
    assert freeze(pair[1], at_s=NOW + 10) == Lockdown(
        locked=True, since=NOW + 10, reason="intrusion"
    )
    assert stored() == {"pk": "LOCKDOWN", "locked": True, "since": NOW + 10, "reason": "intrusion"}
    assert [(one["operator"], one["reason"], one["at"]) for one in told()] == [
        ("alice", "drill", NOW),
        ("bob", "intrusion", NOW + 10),
    ]


def test_a_lift_that_was_signed_before_a_freeze_does_not_end_it(
    product: Product, pair: Pair
) -> None:
    """The end of a drill is not the end of the intrusion that somebody froze for meanwhile."""
    freeze(pair[0], reason="drill")
    commands = lifting(*pair, now=NOW + 5)
    freeze(pair[1], at_s=NOW + 10)
    with records.unchanged(product[0]), pytest.raises(AnotherLockdownError):
        lockdown.lift(commands, caller_role=ROLE, now_s=NOW + 11)
    assert len(told()) == 2
    assert not lift(*pair, since_s=NOW + 10, at_s=NOW + 12).locked
    assert [one["kind"] for one in told()] == ["locked-down", "locked-down", "lockdown-lifted"]


def test_a_lift_that_was_overtaken_by_a_freeze_does_not_end_it(pair: Pair, proxy: Proxy) -> None:
    """The lockdown that ends is the one that was read."""
    freeze(pair[0], reason="drill")
    between = proxy.meanwhile(TRANSACTION, lambda: freeze(pair[1], at_s=NOW + 1))
    with pytest.raises(AnotherLockdownError):
        lift(*pair, at_s=NOW + 2)
    assert between.hits == 1
    item = stored()
    assert item is not None
    assert (item["locked"], item["reason"]) == (True, "intrusion")


@pytest.mark.parametrize("behind_s", [0, 3_600], ids=["same second", "clock behind"])
def test_no_two_lockdowns_have_one_name(product: Product, pair: Pair, behind_s: int) -> None:
    """The time that a lift names moves on with each freeze, whatever the clock says."""
    at_s = NOW - behind_s
    freeze(pair[0], reason="drill")
    assert freeze(pair[1], at_s=at_s).since == NOW + 1
    with records.unchanged(product[0]), pytest.raises(AnotherLockdownError):
        lift(*pair)
    assert lift(*pair, since_s=NOW + 1, at_s=at_s).since == NOW + 1
    assert freeze(pair[0], at_s=at_s).since == NOW + 2
    with records.unchanged(product[0]), pytest.raises(AnotherLockdownError):
        lift(*pair, since_s=NOW + 1, at_s=at_s)


def test_the_record_of_a_freeze_names_it(pair: Pair) -> None:
    """The time of the event is the one by which a lift names the lockdown."""
    freeze(pair[0], reason="drill")
    freeze(pair[1])
    assert told()[-1]["at"] == NOW + 1


def test_a_refused_lift_is_not_good_for_the_next_lockdown(product: Product, pair: Pair) -> None:
    """Commands that came when nothing was frozen name no lockdown that begins later."""
    commands = lifting(*pair)
    with records.unchanged(product[0]), pytest.raises(NotLockedDownError):
        lockdown.lift(commands, caller_role=ROLE, now_s=NOW)
    freeze(pair[0], at_s=NOW + 1)
    with records.unchanged(product[0]), pytest.raises(AnotherLockdownError):
        lockdown.lift(commands, caller_role=ROLE, now_s=NOW + 2)


def test_a_lockdown_touches_no_account(pair: Pair, product: Product) -> None:
    """Nobody's standing, session or factor changes: what is written is the switch and its event."""
    before = records.everything(product[0])
    freeze(pair[0])
    after = records.everything(product[0])
    written = [one for table in before for one in set(after[table]) - set(before[table])]
    assert all(set(before[table]) <= set(after[table]) for table in before)
    assert sorted(repr(one).count("LOCKDOWN") > 0 for one in written) == [False, *[True] * 4]


REASONS = {
    "no reason": b"{}",
    "a reason of one's own": b'{"reason":"because"}',
    "an empty one": b'{"reason":""}',
    "a number": b'{"reason":1}',
    "two": b'{"reason":"drill","reason":"fraud"}',
    "a property more": b'{"reason":"drill","note":"hello"}',
    "no JSON": b"drill",
}


@pytest.mark.parametrize("order", REASONS.values(), ids=REASONS.keys())
def test_a_lockdown_has_a_reason_of_the_list(product: Product, pair: Pair, order: bytes) -> None:
    """Nobody's own words come into an item or an event."""
    command = pair[0].command(INTERNAL_ORIGIN, LOCKDOWN, order, kind="lock-down", now=NOW)
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        lockdown.lock_down(command, caller_role=ROLE, now_s=NOW)


FORGERIES: dict[str, Overrides] = {
    "another key under the operator's name": {"signed_by": jws.new_key()},
    "nobody": {"claims": {"iss": "operator:nobody"}},
    "the money zone": {"claims": {"iss": "money"}},
    "the public origin as audience": {"claims": {"aud": PUBLIC_ORIGIN}},
    "another route": {"claims": {"htu": INTERNAL_ORIGIN + "/lockdown/"}},
    "the other route": {"claims": {"htu": INTERNAL_ORIGIN + "/postings"}},
    "method DELETE": {"claims": {"htm": "DELETE"}},
    "kind release-account": {"kind": "release-account"},
    "kind transfer": {"kind": "transfer"},
    "ended now": {"now": NOW - 30},
    "from the future": {"now": NOW + 6},
    "a life of 31 s": {"claims": {"exp": NOW + 31}},
    "no id": {"claims": {"jti": jws.ABSENT}},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_command_freezes_nothing(product: Product, pair: Pair, forgery: Overrides) -> None:
    """A stranger cannot stop the platform."""
    command = pair[0].lock_down(INTERNAL_ORIGIN, **({"now": NOW} | forgery))
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        lockdown.lock_down(command, caller_role=ROLE, now_s=NOW)


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
@pytest.mark.parametrize("forged_first", [True, False], ids=["first", "second"])
def test_one_forged_command_spoils_a_lift(
    product: Product, pair: Pair, forgery: Overrides, *, forged_first: bool
) -> None:
    """One honest operator and a forger do not make money go out."""
    freeze(pair[0])
    commands = [*lifting(pair[0]), *lifting(pair[1], **forgery)]
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        lockdown.lift(commands[::-1] if forged_first else commands, caller_role=ROLE, now_s=NOW)


def test_what_was_signed_to_freeze_lifts_nothing_and_the_reverse(
    product: Product, pair: Pair
) -> None:
    """A command is for one of the two routes."""
    freeze(pair[0])
    freezing = [one.lock_down(INTERNAL_ORIGIN, now=NOW) for one in pair]
    (ending,) = lifting(pair[0])
    with records.unchanged(product[0]):
        with pytest.raises(InvalidCommandError):
            lockdown.lift(freezing, caller_role=ROLE, now_s=NOW)
        with pytest.raises(InvalidCommandError):
            lockdown.lock_down(ending, caller_role=ROLE, now_s=NOW)


def _alone(pair: Pair) -> list[str]:
    return lifting(pair[0])


def _nobody(_: Pair) -> list[str]:
    return []


def _one_command_twice(pair: Pair) -> list[str]:
    return 2 * _alone(pair)


def _one_operator_twice(pair: Pair) -> list[str]:
    return _alone(pair) + _alone(pair)


def _one_key_under_two_names(pair: Pair) -> list[str]:
    other = registered(Operator("alices-other-name", pair[0].key))
    return lifting(pair[0], other)


def _two_orders(pair: Pair) -> list[str]:
    return [*_alone(pair), *lifting(pair[1], since_s=NOW + 1)]


def _two_spellings(pair: Pair) -> list[str]:
    order = jws.compact_json({"since": clock.rfc3339(NOW)}) + b" "
    other = pair[1].command(INTERNAL_ORIGIN, LIFT, order, kind="lift-lockdown", now=NOW)
    return [*_alone(pair), other]


def _three(pair: Pair) -> list[str]:
    return lifting(*pair, registered(Operator("carol")))


@pytest.mark.parametrize(
    "given",
    [
        _nobody,
        _alone,
        _one_command_twice,
        _one_operator_twice,
        _one_key_under_two_names,
        _two_orders,
        _two_spellings,
        _three,
    ],
)
def test_one_person_lifts_no_lockdown(
    product: Product, pair: Pair, given: Callable[[Pair], list[str]]
) -> None:
    """Lifting takes two names, two keys and one order, below the edge too."""
    freeze(pair[0])
    commands = given(pair)
    with records.unchanged(product[0]), pytest.raises(TwoOperatorsRequiredError):
        lockdown.lift(commands, caller_role=ROLE, now_s=NOW)


UNNAMED = {
    "no lockdown": b"{}",
    "a number": b'{"since":1800000000}',
    "another spelling of the time": b'{"since":"2027-01-15T08:00:00+00:00"}',
    "a property more": b'{"since":"2027-01-15T08:00:00Z","for":"alice"}',
}


@pytest.mark.parametrize("order", UNNAMED.values(), ids=UNNAMED.keys())
def test_an_order_that_does_not_name_a_lockdown_lifts_nothing(
    product: Product, pair: Pair, order: bytes
) -> None:
    """Two operators who sign less, or more, than which lockdown they end have signed nothing."""
    freeze(pair[0])
    commands = [
        one.command(INTERNAL_ORIGIN, LIFT, order, kind="lift-lockdown", now=NOW) for one in pair
    ]
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        lockdown.lift(commands, caller_role=ROLE, now_s=NOW)


@pytest.mark.parametrize("role", [None, "", "Operator", "partner-sandbox", "ledger-post"], ids=repr)
def test_another_role_neither_freezes_nor_lifts(
    product: Product, pair: Pair, role: str | None
) -> None:
    """Operators' keys without the operators' role move no switch."""
    freeze(pair[0])
    with records.unchanged(product[0]):
        with pytest.raises(InvalidCommandError):
            freeze(pair[0], role=role)
        with pytest.raises(InvalidCommandError):
            lift(*pair, role=role)


@pytest.mark.parametrize("was_frozen", [True, False], ids=["lifted", "never frozen"])
def test_there_is_nothing_to_lift(product: Product, pair: Pair, *, was_frozen: bool) -> None:
    """Who lifts what is not frozen is told so, and nothing is used up."""
    if was_frozen:
        freeze(pair[0])
        lift(*pair)
    with records.unchanged(product[0]), pytest.raises(NotLockedDownError):
        lift(*pair)


@pytest.mark.parametrize("is_lifted", [True, False], ids=["lifted", "still frozen"])
def test_a_command_to_freeze_serves_once(product: Product, pair: Pair, *, is_lifted: bool) -> None:
    """Who recorded it neither freezes again after the lift nor moves the lockdown's name before."""
    commands = [one.lock_down(INTERNAL_ORIGIN, now=NOW) for one in pair]
    for at_s, command in enumerate(commands, start=NOW):
        lockdown.lock_down(command, caller_role=ROLE, now_s=at_s)
    if is_lifted:
        lift(*pair, since_s=NOW + 1, at_s=NOW + 2)
    for used in commands:
        with records.unchanged(product[0]), pytest.raises(CommandReplayedError):
            lockdown.lock_down(used, caller_role=ROLE, now_s=NOW + 3)


@pytest.mark.parametrize("again", [(0, 1), (0,), (1,)], ids=["both", "first", "second"])
def test_commands_to_lift_serve_once(product: Product, pair: Pair, again: tuple[int, ...]) -> None:
    """A recorded lift does not lift the next lockdown."""
    freeze(pair[0])
    used = lifting(*pair)
    lockdown.lift(used, caller_role=ROLE, now_s=NOW)
    freeze(pair[0], at_s=NOW + 1)
    fresh = lifting(*pair)
    commands = [used[at] if at in again else fresh[at] for at in (0, 1)]
    with records.unchanged(product[0]), pytest.raises(CommandReplayedError):
        lockdown.lift(commands, caller_role=ROLE, now_s=NOW + 2)


def test_a_freeze_whose_answer_was_lost_is_a_freeze(pair: Pair, proxy: Proxy) -> None:
    """What the SDK repeats meets its own command used up, and is success."""
    proxy.without_idempotency = True
    fault = proxy.lose_answer(TRANSACTION, by=Loss.DROPPED)
    assert freeze(pair[0]).locked
    assert fault.hits == 1
    assert [one["kind"] for one in told()] == ["locked-down"]


def test_a_lift_whose_answer_was_lost_is_a_lift(pair: Pair, proxy: Proxy) -> None:
    """The repeated lift is success, though nothing is frozen any more."""
    freeze(pair[0])
    proxy.without_idempotency = True
    fault = proxy.lose_answer(TRANSACTION, by=Loss.DROPPED)
    assert not lift(*pair, at_s=NOW + 1).locked
    assert fault.hits == 1
    assert [one["kind"] for one in told()] == ["locked-down", "lockdown-lifted"]


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without pauses: how often is promised here, not how fast."""
    monkeypatch.setattr(entropy, "jitter_s", lambda _: 0.0)


@pytest.mark.usefixtures("_no_pauses")
def test_what_the_last_round_did_is_done(pair: Pair, proxy: Proxy) -> None:
    """A freeze that came through at the last try, and whose answer was lost, is no failure."""
    proxy.without_idempotency = True
    proxy.cancel(TRANSACTION, "ConditionalCheckFailed", times=ROUNDS_MAX - 1)
    fault = proxy.lose_answer(TRANSACTION, by=Loss.DROPPED)
    assert freeze(pair[0]).locked
    assert fault.hits == 1
    assert [one["kind"] for one in told()] == ["locked-down"]


@pytest.mark.usefixtures("_no_pauses")
def test_what_never_comes_through_is_given_up(product: Product, pair: Pair, proxy: Proxy) -> None:
    """An operator is not left waiting: after so many rounds there is a failure, and no freeze."""
    proxy.cancel(TRANSACTION, "ConditionalCheckFailed", times=ALWAYS)
    proxy.calls.clear()
    with records.unchanged(product[0]), pytest.raises(ContentionError):
        freeze(pair[0])
    assert proxy.count(TRANSACTION) == ROUNDS_MAX


def test_a_freeze_that_is_lifted_meanwhile_freezes(pair: Pair, proxy: Proxy) -> None:
    """Who found it frozen, and was overtaken by a lift, is not told that it is frozen: it is."""
    freeze(pair[0])
    between = proxy.meanwhile(TRANSACTION, lambda: lift(*pair, at_s=NOW + 1))
    assert freeze(pair[1], reason="fraud", at_s=NOW + 2).reason == "fraud"
    assert between.hits == 1
    item = stored()
    assert item is not None
    assert (item["locked"], item["since"]) == (True, NOW + 2)
    assert [one["kind"] for one in told()] == ["locked-down", "lockdown-lifted", "locked-down"]


def test_many_freeze_at_once_and_each_is_told(pair: Pair) -> None:
    """Four commands at once all succeed, each with a name and an event of its own."""
    commands = [pair[at % 2].lock_down(INTERNAL_ORIGIN, now=NOW) for at in range(4)]
    with Race[Lockdown](4) as race:
        outcomes = race.run(
            *(
                lambda one=one: lockdown.lock_down(one, caller_role=ROLE, now_s=NOW)
                for one in commands
            )
        )
    granted, _ = split(outcomes, CommandReplayedError)
    assert sorted(one.since for one in granted) == [NOW, NOW + 1, NOW + 2, NOW + 3]
    assert [one["at"] for one in told()] == [NOW, NOW + 1, NOW + 2, NOW + 3]


def test_of_one_command_at_once_one_serves(pair: Pair) -> None:
    """A command that arrives four times freezes once, and the others are replays."""
    command = pair[0].lock_down(INTERNAL_ORIGIN, now=NOW)
    with Race[Lockdown](4) as race:
        outcomes = race.run(
            *(4 * [lambda: lockdown.lock_down(command, caller_role=ROLE, now_s=NOW)])
        )
    granted, replayed = split(outcomes, CommandReplayedError)
    assert (len(granted), len(replayed)) == (1, 3)


def test_of_lifts_at_once_one_lifts(pair: Pair) -> None:
    """Four pairs of commands lift one lockdown once; the rest find nothing to lift."""
    freeze(pair[0])
    with Race[Lockdown](4) as race:
        outcomes = race.run(*(4 * [lambda: lift(*pair)]))
    granted, refused = split(outcomes, NotLockedDownError)
    assert (len(granted), len(refused)) == (1, 3)
    assert [one["kind"] for one in told()] == ["locked-down", "lockdown-lifted"]


def request(path: str, body: object, *, role: str | None = ROLE) -> dict[str, Any]:
    """Return the function's answer to a request of an IAM role."""
    sent = Sent(
        path=path,
        body=json.dumps(body),
        user_arn=f"arn:aws:sts::000000000000:assumed-role/{role}/test" if role else None,
    )
    handler = lift_handler if path == LIFT else lock_handler
    return handler(sent.to_function(), Context())


def test_the_routes_say_what_stands(pair: Pair) -> None:
    """An operator reads from the answer whether money is frozen, since when and why."""
    at_s = now()
    command = pair[0].lock_down(INTERNAL_ORIGIN, now=at_s)
    answer = request(LOCKDOWN, {"command": command})
    assert answer["statusCode"] == 200
    frozen = json.loads(answer["body"])
    assert set(frozen) == {"locked", "since", "reason"}
    assert (frozen["locked"], frozen["reason"]) == (True, "drill")
    commands = [one.lift_lockdown(INTERNAL_ORIGIN, since=frozen["since"], now=at_s) for one in pair]
    answer = request(LIFT, {"commands": commands})
    assert answer["statusCode"] == 200
    lifted = json.loads(answer["body"])
    assert set(lifted) == {"locked", "since"}
    assert lifted["locked"] is False


def test_the_routes_refuse_in_their_own_words(product: Product, pair: Pair) -> None:
    """Nothing to lift is 409, one operator is a malformed pair, and nobody is refused."""
    at_s = now()
    ending = lifting(*pair, now=at_s)
    freezing = {"command": pair[0].lock_down(INTERNAL_ORIGIN, now=at_s)}
    with records.unchanged(product[0]):
        answers = [
            request(LIFT, {"commands": ending}),
            request(LIFT, {"commands": ending[:1]}),
            request(LIFT, freezing),
            request(LOCKDOWN, {"commands": ending}),
            request(LOCKDOWN, freezing, role=None),
        ]
    assert [one["statusCode"] for one in answers] == [409, 400, 400, 400, 403]
