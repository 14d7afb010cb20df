"""The authority matrix: who may give which command; every other command changes nothing."""

import pytest

from portcullis.evidence.commands import CHARS_MAX
from portcullis.evidence.errors import EvidenceRefusedError, InvalidCommandError
from portcullis.operations import registry
from portcullis.operations.registry import OperatorRegistration
from tests.contract.ledger import orders
from tests.contract.ledger.bank import (
    INTERNAL_ORIGIN,
    NOW,
    PUBLIC_ORIGIN,
    Bank,
    Forgery,
    Partner,
    User,
)
from tests.support import jws
from tests.support.operator import Operator

pytestmark = pytest.mark.contract

ROLE = "money-order-transfer"

FORGERIES: dict[str, Forgery] = {
    "another key under our kid": {"signed_by": jws.new_key()},
    "an unknown kid": {"header": {"kid": "k" * 43}},
    "no kid": {"header": {"kid": jws.ABSENT}},
    "a kid that is no text": {"header": {"kid": 7}},
    "changed after signing": {"after_signing": {"jti": "j" * 32}},
    "alg none": {"header": {"alg": "none"}},
    "alg HS256": {"header": {"alg": "HS256"}},
    "no alg": {"header": {"alg": jws.ABSENT}},
    "an extension": {"header": {"crit": ["exp"]}},
    "typ JWT": {"header": {"typ": "JWT"}},
    "typ of an access token": {"header": {"typ": "at+jwt"}},
    "typ of a proof": {"header": {"typ": "dpop+jwt"}},
    "typ of a receipt": {"header": {"typ": "portcullis-receipt+jwt"}},
    "no typ": {"header": {"typ": jws.ABSENT}},
    "issuer partner": {"claims": {"iss": "partner:funds"}},
    "issuer operator": {"claims": {"iss": "operator:funds"}},
    "issuer ledger": {"claims": {"iss": "ledger"}},
    "issuer in capitals": {"claims": {"iss": "MONEY"}},
    "no issuer": {"claims": {"iss": jws.ABSENT}},
    "the public origin as audience": {"claims": {"aud": PUBLIC_ORIGIN}},
    "an audience with a slash": {"claims": {"aud": INTERNAL_ORIGIN + "/"}},
    "two audiences": {"claims": {"aud": [INTERNAL_ORIGIN]}},
    "no audience": {"claims": {"aud": jws.ABSENT}},
    "method PUT": {"claims": {"htm": "PUT"}},
    "method in small letters": {"claims": {"htm": "post"}},
    "the route of deposits": {"claims": {"htu": INTERNAL_ORIGIN + "/deposits"}},
    "the public route": {"claims": {"htu": PUBLIC_ORIGIN + "/transfers"}},
    "a route with a query": {"claims": {"htu": INTERNAL_ORIGIN + "/postings?a=b"}},
    "a route with a slash": {"claims": {"htu": INTERNAL_ORIGIN + "/postings/"}},
    "ended now": {"claims": {"iat": NOW - 30, "exp": NOW}},
    "ended long ago": {"claims": {"iat": NOW - 3600, "exp": NOW - 3570}},
    "from the future": {"claims": {"iat": NOW + 6, "exp": NOW + 36}},
    "a life of 31 s": {"claims": {"exp": NOW + 31}},
    "a life of an hour": {"claims": {"iat": NOW - 1800, "exp": NOW + 1800}},
    "no life": {"claims": {"exp": NOW}},
    "a life that ends before it begins": {"claims": {"iat": NOW + 3, "exp": NOW + 1}},
    "a time that is no integer": {"claims": {"iat": float(NOW)}},
    "a time as text": {"claims": {"exp": str(NOW + 30)}},
    "no issue time": {"claims": {"iat": jws.ABSENT}},
    "no end": {"claims": {"exp": jws.ABSENT}},
    "no id": {"claims": {"jti": jws.ABSENT}},
    "a short id": {"claims": {"jti": "j" * 15}},
    "a long id": {"claims": {"jti": "j" * 65}},
    "kind deposit": {"claims": {"kind": "deposit"}},
    "kind release-account": {"claims": {"kind": "release-account"}},
    "kind lock-down": {"claims": {"kind": "lock-down"}},
    "kind lift-lockdown": {"claims": {"kind": "lift-lockdown"}},
    "an unknown kind": {"claims": {"kind": "reverse"}},
    "no kind": {"claims": {"kind": jws.ABSENT}},
    "no body": {"claims": {"body": jws.ABSENT}},
    "an unknown claim": {"claims": {"account": "a" * 26}},
    "too long": {"header": {"filler": "f" * CHARS_MAX}},
}


@pytest.fixture
def couple(bank: Bank) -> tuple[User, User]:
    """A giver with a hundred euros and a taker with an open wallet."""
    return bank.holder("100.00"), bank.holder()


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_command_of_the_money_zone_is_refused(
    bank: Bank, couple: tuple[User, User], forgery: Forgery
) -> None:
    """A command that is wrong in any one thing posts nothing."""
    giver, taker = couple
    body = orders.transfer(taker.account, "1.00")
    command = bank.command("transfer", giver, body, **forgery)
    with bank.unchanged(InvalidCommandError):
        bank.obey(command, role=ROLE)


@pytest.mark.parametrize("key", ["access-token", "receipt"])
def test_no_other_key_of_ours_signs_commands(
    bank: Bank, couple: tuple[User, User], key: str
) -> None:
    """A key made for tokens or receipts gives no commands, whichever kid it names."""
    giver, taker = couple
    other = bank.keys.signing_key(key)
    for header in ({}, {"kid": jws.thumbprint(jws.public_jwk(other))}):
        command = bank.command(
            "transfer",
            giver,
            orders.transfer(taker.account, "1.00"),
            signed_by=other,
            header=header,
        )
        with bank.unchanged(InvalidCommandError):
            bank.obey(command, role=ROLE)


@pytest.mark.parametrize(
    "role",
    [
        None,
        "",
        "money",
        "money-list-wallets",
        "MONEY-ORDER-TRANSFER",
        "money-order-transfer ",
        "money-open-wallet,money-order-transfer",
        "partner-funds",
        "ledger-post",
    ],
    ids=repr,
)
def test_a_genuine_command_from_another_role_is_refused(
    bank: Bank, couple: tuple[User, User], role: str | None
) -> None:
    """Only the roles of ``MONEY_ROLES`` may bring the money zone's commands."""
    giver, taker = couple
    command = bank.command("transfer", giver, orders.transfer(taker.account, "1.00"))
    with bank.unchanged(InvalidCommandError):
        bank.obey(command, role=role)


def test_a_command_is_good_from_five_seconds_before_its_time_until_its_end(
    bank: Bank, couple: tuple[User, User]
) -> None:
    """At the edges of its time it is obeyed, one second beyond them it is not."""
    giver, taker = couple
    body = orders.transfer(taker.account, "1.00")
    for now in (NOW - 6, NOW + 30):
        with bank.unchanged(InvalidCommandError):
            bank.obey(bank.command("transfer", giver, body), role=ROLE, now=now)
    for now in (NOW - 5, NOW + 29):
        bank.obey(bank.command("transfer", giver, body), role=ROLE, now=now)
    assert bank.balance(taker) == 200


@pytest.mark.parametrize("missing", ["token", "proof"])
def test_a_command_without_the_users_evidence_is_refused(
    bank: Bank, couple: tuple[User, User], missing: str
) -> None:
    """The money zone's word alone moves nothing."""
    giver, taker = couple
    body = orders.transfer(taker.account, "1.00")
    command = bank.command("transfer", giver, body, claims={missing: jws.ABSENT})
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(command, role=ROLE)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "not a command", "\u00e9.\u00e9.\u00e9", "=.=.="]
)
def test_what_is_no_command_is_refused(bank: Bank, text: str) -> None:
    """Neither entrance takes garbage for a command."""
    with bank.unchanged(InvalidCommandError):
        bank.obey(text, role=ROLE)
    with bank.unchanged(InvalidCommandError):
        bank.obey_partner(text, role="partner-funds")


@pytest.fixture
def partner(bank: Bank) -> Partner:
    """A partner whose house may owe a hundred euros."""
    return bank.partner("sandbox", floor={"EUR": "100.00"})


PARTNER_FORGERIES = {
    name: forgery
    for name, forgery in FORGERIES.items()
    if name not in {"issuer partner", "kind deposit", "the route of deposits"}
} | {
    "issuer money": Forgery(claims={"iss": "money"}),
    "an issuer that is not registered": Forgery(claims={"iss": "partner:nobody"}),
    "an issuer without its prefix": Forgery(claims={"iss": "sandbox"}),
    "an issuer with two prefixes": Forgery(claims={"iss": "partner:partner:sandbox"}),
    "an empty partner": Forgery(claims={"iss": "partner:"}),
    "a long issuer": Forgery(claims={"iss": "partner:" + "s" * 64}),
    "the route of postings": Forgery(claims={"htu": INTERNAL_ORIGIN + "/postings"}),
    "kind transfer": Forgery(claims={"kind": "transfer"}),
    "kind open-wallet": Forgery(claims={"kind": "open-wallet"}),
}


@pytest.mark.parametrize("forgery", PARTNER_FORGERIES.values(), ids=PARTNER_FORGERIES.keys())
def test_a_forged_command_of_a_partner_is_refused(
    bank: Bank, partner: Partner, forgery: Forgery
) -> None:
    """A partner's command that is wrong in any one thing posts nothing."""
    user = bank.holder()
    command = partner.command(orders.deposit(user.account, "1.00", "ref-1"), **forgery)
    with bank.unchanged(InvalidCommandError):
        bank.obey_partner(command, role=partner.role)


@pytest.mark.parametrize(
    "role", [None, "", "partner-other", "money-order-transfer", "PARTNER-SANDBOX", "partner-"]
)
def test_a_partners_command_from_another_role_is_refused(
    bank: Bank, partner: Partner, role: str | None
) -> None:
    """A partner's key without the partner's role posts nothing."""
    bank.partner("other", floor={"EUR": "100.00"})
    user = bank.holder()
    command = partner.command(orders.deposit(user.account, "1.00", "ref-1"))
    with bank.unchanged(InvalidCommandError):
        bank.obey_partner(command, role=role)


def test_a_partner_does_not_speak_for_another(bank: Bank, partner: Partner) -> None:
    """Neither role nor key of one partner opens the house of another, alone or together."""
    other, user = bank.partner("other", floor={"EUR": "100.00"}), bank.holder()
    body = orders.deposit(user.account, "1.00", "ref-1")
    others_kid = {"kid": jws.thumbprint(jws.public_jwk(other.key))}
    for command in (
        partner.command(body, signed_by=other.key),
        partner.command(body, signed_by=other.key, header=others_kid),
        other.command(body, claims={"iss": partner.issuer}),
    ):
        for role in (partner.role, other.role):
            with bank.unchanged(InvalidCommandError):
                bank.obey_partner(command, role=role)


def test_the_money_zone_never_deposits(bank: Bank, partner: Partner) -> None:
    """The money zone's key and role post no deposit through either entrance."""
    user = bank.holder()
    body = orders.deposit(user.account, "1.00", "ref-1")
    command = bank.command("deposit", user, body, claims={"htu": INTERNAL_ORIGIN + "/deposits"})
    as_partner = partner.command(body, signed_by=bank.keys.signing_key("command"))
    for role in (ROLE, partner.role):
        for forged in (command, as_partner):
            with bank.unchanged(InvalidCommandError):
                bank.obey_partner(forged, role=role)
            with bank.unchanged(InvalidCommandError):
                bank.obey(forged, role=role)


def test_an_operators_key_posts_nothing(bank: Bank, partner: Partner) -> None:
    """Who may release an account moves no money, under whichever name, role and kind."""
    operator, user = Operator("alice"), bank.holder()
    key = jws.public_jwk(operator.key)
    registry.register_operator(OperatorRegistration(operator=operator.name, key=key))
    body = orders.deposit(user.account, "1.00", "ref-1")
    for issuer in ("operator:alice", "alice", "partner:alice", partner.issuer, "money"):
        for kind, path in (("deposit", "/deposits"), ("release-account", "/deposits")):
            command = operator.command(
                INTERNAL_ORIGIN, path, body, kind=kind, claims={"iss": issuer}, now=NOW
            )
            for role in (partner.role, ROLE, "operator"):
                with bank.unchanged(InvalidCommandError):
                    bank.obey_partner(command, role=role)
                with bank.unchanged(InvalidCommandError):
                    bank.obey(command, role=role)


def test_a_partner_never_posts_as_a_user(bank: Bank, partner: Partner) -> None:
    """A partner with a user's genuine token and proof still moves none of the user's money."""
    giver, taker = bank.holder("100.00"), bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)
    evidence = {"token": token, "proof": bank.proof(giver, "transfer", body, "key-1", token)}
    for claims in (
        {"kind": "transfer"},
        {"kind": "transfer", "iss": "money"},
        {"kind": "transfer", "htu": INTERNAL_ORIGIN + "/postings", "iss": "money"},
    ):
        command = partner.command(body, claims={**evidence, **claims})
        for role in (partner.role, ROLE):
            with bank.unchanged(InvalidCommandError):
                bank.obey(command, role=role)
            with bank.unchanged(InvalidCommandError):
                bank.obey_partner(command, role=role)
