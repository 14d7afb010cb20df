"""The operators' release: two persons, one code, three days in which any factor says no."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.identity.release_account.handler import handler
from portcullis.aws import dynamodb
from portcullis.evidence.errors import InvalidCommandError
from portcullis.evidence.orders import BYTES_MAX
from portcullis.identity import recovery_cancelling, recovery_codes, release, tables
from portcullis.identity.operators import CommandReplayedError, TwoOperatorsRequiredError
from portcullis.identity.recovery_codes import RecoveryRefusedError
from portcullis.identity.release import WAIT_S, Released
from portcullis.identity.standing import NoSuchAccountError, Standing
from portcullis.operations import registry
from portcullis.operations.registry import OperatorRegistration, Registration
from tests.contract.conftest import INTERNAL_ORIGIN, PUBLIC_ORIGIN
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import Family, Person, now, recover
from tests.contract.identity.race import Race, split
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.commands import Overrides
from tests.support.events import Context, Sent
from tests.support.faults import TRANSACTION, Loss, Proxy
from tests.support.operator import Operator, release_order, release_path

pytestmark = pytest.mark.contract

NOW = 1_800_000_000
ROLE = "operator"
STRANGER = "a" * 26

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


def signed(account: str, *by: Operator, at_s: int = NOW) -> list[str]:
    """Return the honest commands of operators to release an account."""
    return [one.release(INTERNAL_ORIGIN, account, now=at_s) for one in by]


def obey(
    account: str, commands: list[str], *, role: str | None = ROLE, at_s: int = NOW
) -> Released:
    """Do with commands what the route does."""
    return release.release(account, commands, caller_role=role, now_s=at_s)


def standing_of(account: str) -> Standing:
    """Return an account's standing."""
    item = dynamodb.get(tables.standing(), tables.standing_key(account))
    assert item is not None
    return Standing.from_item(item)


def test_two_operators_grant_a_code_that_is_good_after_three_days(
    person: Person, pair: Pair
) -> None:
    """Not a second earlier does the code recover the account; from then on it does."""
    granted = obey(person.account, signed(person.account, *pair))
    assert granted.good_from == NOW + WAIT_S == NOW + 3 * 86_400
    for at_s in (NOW, granted.good_from - 1):
        with pytest.raises(RecoveryRefusedError):
            recovery_codes.find(granted.code, now_s=at_s)
    found = recovery_codes.find(granted.code, now_s=granted.good_from)
    assert found.account == person.account


def test_a_released_account_is_recovered_as_any_other(person: Person, pair: Pair) -> None:
    """The code brings a provisional passkey and a freeze, once, and its event says whose it was."""
    ago = now() - WAIT_S
    granted = obey(person.account, signed(person.account, *pair, at_s=ago), at_s=ago)
    spare = Authenticator()
    account, frozen_until = recover(granted.code, spare)
    assert (account, standing_of(account).frozen_until) == (person.account, frozen_until)
    family = Person(account, spare).sign_in()
    assert jws.claims_of(family.access_token)["acr"] == "provisional"
    with pytest.raises(RecoveryRefusedError):
        recover(granted.code, Authenticator())
    started = [one for one in records.events(account) if one["kind"] == "recovery-started"]
    assert [one["by"] for one in started] == ["operators"]


def test_the_owner_hears_of_a_release_at_once(person: Person, pair: Pair) -> None:
    """Its event says who granted it and when it becomes good, and nothing else."""
    obey(person.account, signed(person.account, *pair))
    event = records.events(person.account)[-1]
    assert {name: event[name] for name in ("kind", "at", "operators", "good_from")} == {
        "kind": "account-released",
        "at": NOW,
        "operators": ["alice", "bob"],
        "good_from": NOW + WAIT_S,
    }
    assert set(event) == {"pk", "sk", "kind", "at", "ttl", "operators", "good_from"}


def test_a_release_changes_neither_standing_nor_sessions(person: Person, pair: Pair) -> None:
    """Nobody is thrown out, nothing is frozen: that is for the recovery to do."""
    family = person.sign_in()
    before = standing_of(person.account)
    obey(person.account, signed(person.account, *pair))
    assert standing_of(person.account) == before
    family.refresh()


def test_a_release_lifts_no_quarantine(product: Product, person: Person, pair: Pair) -> None:
    """A restricted account can be released and recovered, and stays restricted."""
    records.restrict(product[0], person.account)
    ago = now() - WAIT_S
    granted = obey(person.account, signed(person.account, *pair, at_s=ago), at_s=ago)
    assert standing_of(person.account).status == records.RESTRICTED
    recover(granted.code, Authenticator())
    assert standing_of(person.account).status == records.RESTRICTED


def test_any_factor_cancels_a_release(person: Person, pair: Pair) -> None:
    """Whoever still holds a passkey burns the code, before it was ever good."""
    granted = obey(person.account, signed(person.account, *pair))
    family = person.sign_in()
    recovery_cancelling.cancel(family.principal("DELETE", "/recovery"), now_s=now())
    with pytest.raises(RecoveryRefusedError):
        recovery_codes.find(granted.code, now_s=granted.good_from)


def test_a_second_release_replaces_a_pending_one(person: Person, pair: Pair) -> None:
    """One release is good at a time: the last one, three days after it."""
    first = obey(person.account, signed(person.account, *pair))
    later = NOW + 60
    second = obey(person.account, signed(person.account, *pair, at_s=later), at_s=later)
    assert second.good_from == first.good_from + 60
    with pytest.raises(RecoveryRefusedError):
        recovery_codes.find(first.code, now_s=second.good_from)
    assert recovery_codes.find(second.code, now_s=second.good_from).account == person.account


def test_a_release_leaves_the_owners_own_codes_good(person: Person, pair: Pair) -> None:
    """The owner who finds a code after all need not wait for the operators'."""
    codes = person.mint_codes(person.sign_in())
    obey(person.account, signed(person.account, *pair))
    assert recovery_codes.find(codes[0], now_s=NOW).account == person.account


def test_the_code_is_stored_nowhere(product: Product, person: Person, pair: Pair) -> None:
    """Whoever reads every table finds a MAC of the code, and the code in no spelling."""
    code = obey(person.account, signed(person.account, *pair)).code
    spellings = {code, code.replace("-", ""), code.lower()}
    stored = b"\n".join(records.blobs(product[0]))
    assert not [one for one in spellings if one.encode() in stored]


FORGERIES: dict[str, Overrides] = {
    "another key under the operator's name": {"signed_by": jws.new_key()},
    "an unknown kid": {"header": {"kid": "k" * 43}},
    "no kid": {"header": {"kid": jws.ABSENT}},
    "typ JWT": {"header": {"typ": "JWT"}},
    "alg none": {"header": {"alg": "none"}},
    "nobody": {"claims": {"iss": "operator:nobody"}},
    "an issuer without its prefix": {"claims": {"iss": "bob"}},
    "an issuer with two prefixes": {"claims": {"iss": "operator:operator:bob"}},
    "an issuer without a name": {"claims": {"iss": "operator:"}},
    "the money zone": {"claims": {"iss": "money"}},
    "a partner": {"claims": {"iss": "partner:bob"}},
    "no issuer": {"claims": {"iss": jws.ABSENT}},
    "the public origin as audience": {"claims": {"aud": PUBLIC_ORIGIN}},
    "no audience": {"claims": {"aud": jws.ABSENT}},
    "the public origin's route": {"claims": {"htu": PUBLIC_ORIGIN + release_path("b" * 26)}},
    "the route of deposits": {"claims": {"htu": INTERNAL_ORIGIN + "/deposits"}},
    "another account's route": {"claims": {"htu": INTERNAL_ORIGIN + release_path("b" * 26)}},
    "method PUT": {"claims": {"htm": "PUT"}},
    "ended now": {"claims": {"iat": NOW - 30, "exp": NOW}},
    "of yesterday": {"now": NOW - 86_400},
    "from the future": {"now": NOW + 6},
    "a life of 31 s": {"claims": {"exp": NOW + 31}},
    "no end": {"claims": {"exp": jws.ABSENT}},
    "no id": {"claims": {"jti": jws.ABSENT}},
    "kind deposit": {"kind": "deposit"},
    "kind transfer": {"kind": "transfer"},
    "an unknown kind": {"kind": "reverse"},
    "no kind": {"claims": {"kind": jws.ABSENT}},
    "no body": {"claims": {"body": jws.ABSENT}},
    "an unknown claim": {"claims": {"account": "b" * 26}},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
@pytest.mark.parametrize("forged_first", [True, False], ids=["first", "second"])
def test_one_forged_command_spoils_a_release(
    product: Product, person: Person, pair: Pair, forgery: Overrides, *, forged_first: bool
) -> None:
    """One honest operator is not enough, and a forged command beside it changes nothing."""
    alice, bob = pair
    forged = bob.release(INTERNAL_ORIGIN, person.account, **({"now": NOW} | forgery))
    commands = [*signed(person.account, alice), forged]
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        obey(person.account, commands[::-1] if forged_first else commands)


ORDERS = {
    "another account": release_order("b" * 26),
    "no account": b"{}",
    "no JSON": b"account",
    "a second property": b'{"account":"' + b"a" * 26 + b'","money":true}',
    "a name twice": b'{"account":"' + b"a" * 26 + b'","account":"' + b"a" * 26 + b'"}',
    "padded": release_order("a" * 26).ljust(BYTES_MAX + 1),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_an_order_that_does_not_name_the_account_releases_nobody(
    product: Product, pair: Pair, order: bytes
) -> None:
    """Two operators who sign the same nonsense, or another account, have signed nothing."""
    path = release_path(STRANGER)
    commands = [one.command(INTERNAL_ORIGIN, path, order, now=NOW) for one in pair]
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        obey(STRANGER, commands)


def test_commands_for_one_account_release_no_other(
    product: Product, person: Person, pair: Pair
) -> None:
    """What was signed for one account is refused on another's route."""
    other = Person.with_account()
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        obey(other.account, signed(person.account, *pair))


def _twice_one_command(person: Person, pair: Pair) -> list[str]:
    return 2 * signed(person.account, pair[0])


def _one_operator_twice(person: Person, pair: Pair) -> list[str]:
    return signed(person.account, pair[0], pair[0])


def _one_key_under_two_names(person: Person, pair: Pair) -> list[str]:
    return signed(person.account, pair[0], registered(Operator("alices-other-name", pair[0].key)))


def _two_orders(person: Person, pair: Pair) -> list[str]:
    alice, bob = pair
    spaced = release_order(person.account) + b" "
    path = release_path(person.account)
    return [*signed(person.account, alice), bob.command(INTERNAL_ORIGIN, path, spaced, now=NOW)]


@pytest.mark.parametrize(
    "given", [_twice_one_command, _one_operator_twice, _one_key_under_two_names, _two_orders]
)
def test_one_person_is_not_two(
    product: Product,
    person: Person,
    pair: Pair,
    given: Callable[[Person, Pair], list[str]],
) -> None:
    """A name, a key or an order that is not shared by two different persons is refused."""
    commands = given(person, pair)
    with records.unchanged(product[0]), pytest.raises(TwoOperatorsRequiredError):
        obey(person.account, commands)


def test_a_partners_key_is_no_operators(product: Product, person: Person, pair: Pair) -> None:
    """A registered partner signs nothing here, under whichever name it comes."""
    alice, partner = pair[0], Operator("sandbox")
    registration = {
        "partner": partner.name,
        "role": ROLE,
        "key": jws.public_jwk(partner.key),
        "floor": {},
    }
    registry.register(Registration.model_validate(registration))
    for issuer in ("partner:sandbox", "operator:sandbox", "operator:bob", "sandbox"):
        forged = partner.release(INTERNAL_ORIGIN, person.account, now=NOW, claims={"iss": issuer})
        with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
            obey(person.account, [*signed(person.account, alice), forged])


@pytest.mark.parametrize(
    "role", [None, "", "OPERATOR", "operator ", "partner-sandbox", "money-order-transfer"], ids=repr
)
def test_another_role_releases_nobody(
    product: Product, person: Person, pair: Pair, role: str | None
) -> None:
    """Two operators' keys without the operators' role release nobody."""
    with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
        obey(person.account, signed(person.account, *pair), role=role)


def test_commands_are_good_from_five_seconds_before_their_time_until_their_end(
    product: Product, person: Person, pair: Pair
) -> None:
    """Two signatures of one half minute are two persons who agree now, not once."""
    for at_s in (NOW - 6, NOW + 30):
        with records.unchanged(product[0]), pytest.raises(InvalidCommandError):
            obey(person.account, signed(person.account, *pair), at_s=at_s)
    for at_s in (NOW - 5, NOW + 29):
        obey(person.account, signed(person.account, *pair), at_s=at_s)


@pytest.mark.parametrize("again", [(0, 1), (0,), (1,)], ids=["both", "first", "second"])
def test_a_command_serves_once(
    product: Product, person: Person, pair: Pair, again: tuple[int, ...]
) -> None:
    """Whoever recorded the commands grants nothing with them, nor with one and a new one."""
    used = signed(person.account, *pair)
    obey(person.account, used)
    fresh = signed(person.account, *pair)
    commands = [used[at] if at in again else fresh[at] for at in (0, 1)]
    with records.unchanged(product[0]), pytest.raises(CommandReplayedError):
        obey(person.account, commands, at_s=NOW + 1)


def test_an_account_that_is_not_there_is_not_released(product: Product, pair: Pair) -> None:
    """Nothing is written for an account that nobody opened."""
    with records.unchanged(product[0]), pytest.raises(NoSuchAccountError):
        obey(STRANGER, signed(STRANGER, *pair))


def test_a_release_whose_answer_was_lost_is_a_release(
    person: Person, pair: Pair, proxy: Proxy
) -> None:
    """What the SDK repeats meets its own commands used up, and answers with the code it stored."""
    proxy.without_idempotency = True
    fault = proxy.lose_answer(TRANSACTION, by=Loss.DROPPED)
    granted = obey(person.account, signed(person.account, *pair))
    assert fault.hits == 1
    assert recovery_codes.find(granted.code, now_s=granted.good_from).account == person.account
    kinds = [one["kind"] for one in records.events(person.account)]
    assert kinds.count("account-released") == 1


def test_a_change_between_read_and_write_is_kept(person: Person, pair: Pair, proxy: Proxy) -> None:
    """A factor that is added meanwhile is not lost to the release."""
    family: Family = person.sign_in()
    other = Authenticator()
    proxy.meanwhile(
        TRANSACTION,
        lambda: person.add_passkey(family, other),
        matching=lambda body: "account-released" in json.dumps(body),
    )
    granted = obey(person.account, signed(person.account, *pair))
    found = recovery_codes.find(granted.code, now_s=granted.good_from)
    assert len(found.factors.passkeys) == 2


def test_of_two_releases_with_the_same_commands_one_wins(person: Person, pair: Pair) -> None:
    """However often the same two commands come at once, they grant one code."""
    commands = signed(person.account, *pair)
    with Race[Released](4) as race:
        outcomes = race.run(*(4 * [lambda: obey(person.account, commands)]))
    granted, _ = split(outcomes, CommandReplayedError)
    (one,) = granted
    assert recovery_codes.find(one.code, now_s=one.good_from).account == person.account


def request(account: str, body: object, role: str | None = ROLE) -> dict[str, Any]:
    """Return the function's answer to a request of an IAM role."""
    sent = Sent(
        path=release_path(account),
        resource="/accounts/{account}/release",
        path_parameters={"account": account},
        body=json.dumps(body),
        user_arn=f"arn:aws:sts::000000000000:assumed-role/{role}/test" if role else None,
    )
    return handler(sent.to_function(), Context())


def test_the_route_answers_with_the_code_and_its_time(person: Person, pair: Pair) -> None:
    """The code is in the answer to the two operators, once, and is not to be stored."""
    at_s = now()
    answer = request(person.account, {"commands": signed(person.account, *pair, at_s=at_s)})
    told = json.loads(answer["body"])
    assert answer["statusCode"] == 201
    assert answer["headers"]["Cache-Control"] == "no-store"
    assert set(told) == {"account", "code", "good_from"}
    found = recovery_codes.find(told["code"], now_s=at_s + WAIT_S + 60)
    assert found.account == told["account"] == person.account


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_route_takes_two_commands(
    product: Product, person: Person, pair: Pair, count: int
) -> None:
    """Neither one operator nor three are two."""
    commands = signed(person.account, *(2 * pair)[:count], at_s=now())
    with records.unchanged(product[0]):
        answer = request(person.account, {"commands": commands})
    assert answer["statusCode"] == 400


def test_the_route_refuses_a_caller_without_a_role(
    product: Product, person: Person, pair: Pair
) -> None:
    """What API Gateway did not authenticate is nobody."""
    with records.unchanged(product[0]):
        answer = request(
            person.account, {"commands": signed(person.account, *pair, at_s=now())}, role=None
        )
    assert answer["statusCode"] == 403
