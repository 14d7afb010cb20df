"""The user's own evidence: what the money zone brings without it, or beyond it, is refused."""

from typing import Any

import pytest

from portcullis.evidence.errors import EvidenceRefusedError
from tests.contract.ledger import orders
from tests.contract.ledger.bank import NOW, PUBLIC_ORIGIN, ROLES, Bank, Forgery, User
from tests.support import dpop, jws
from tests.support.dpop import ProofKey

pytestmark = pytest.mark.contract

ROLE = ROLES["transfer"]

TOKENS: dict[str, Forgery] = {
    "another key under our kid": {"signed_by": jws.new_key()},
    "an unknown kid": {"header": {"kid": "k" * 43}},
    "changed after signing": {"after_signing": {"sub": "a" * 26}},
    "typ JWT": {"header": {"typ": "JWT"}},
    "typ of a command": {"header": {"typ": "portcullis-command+jwt"}},
    "another issuer": {"claims": {"iss": "https://other.example.test"}},
    "another audience": {"claims": {"aud": "https://internal.example.test"}},
    "another client": {"claims": {"client_id": "other"}},
    "ended at the command's time": {"claims": {"iat": NOW - 900, "exp": NOW}},
    "ended before the command's time": {"claims": {"iat": NOW - 600, "exp": NOW - 1}},
    "issued after the command's time": {"claims": {"iat": NOW + 11, "exp": NOW + 900}},
    "a life beyond 15 minutes": {"claims": {"exp": NOW + 901}},
    "another key confirmed": {"claims": {"cnf": {"jkt": "j" * 43}}},
    "no key confirmed": {"claims": {"cnf": jws.ABSENT}},
    "no epoch": {"claims": {"epoch": jws.ABSENT}},
    "epoch zero": {"claims": {"epoch": 0}},
    "an unknown claim": {"claims": {"admin": True}},
}

PROOFS: dict[str, dict[str, Any]] = {
    "for another route": {"htu": PUBLIC_ORIGIN + "/wallets"},
    "for another origin": {"htu": "https://internal.example.test/transfers"},
    "for another method": {"htm": "GET"},
    "too old at the command's time": {"now": NOW - 61},
    "too new at the command's time": {"now": NOW + 11},
    "for another token": {"access_token": "another"},
    "for no token": {"ath": jws.ABSENT},
    "over another body": {"body": orders.transfer("b" * 26, "1.00")},
    "over a body with one more space": {"body": orders.transfer("a" * 26, "1.00") + b" "},
    "over no body": {"body": None},
    "under no idempotency key": {"idempotency_key": None},
    "changed to another key": {"forgery": dpop.Forgery(after_signing={"idk": "other"})},
    "changed to another body": {"forgery": dpop.Forgery(after_signing={"bd": "b" * 43})},
    "signed by another key": {"forgery": dpop.Forgery(signed_by=jws.new_key())},
    "unsigned": {"forgery": dpop.Forgery(unsigned=True)},
    "with the private key": {"forgery": dpop.Forgery(private_jwk=True)},
    "of another typ": {"forgery": dpop.Forgery(header={"typ": "JWT"})},
    "without an id": {"jti": "", "forgery": dpop.Forgery(after_signing={"jti": ""})},
}


@pytest.fixture
def giver(bank: Bank) -> User:
    """Somebody with a hundred euros."""
    return bank.holder("100.00")


@pytest.mark.parametrize("forgery", TOKENS.values(), ids=TOKENS.keys())
def test_a_command_with_a_bad_token_is_refused(bank: Bank, giver: User, forgery: Forgery) -> None:
    """The ledger verifies the user's token itself, at the command's own time."""
    taker = bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver, **forgery)
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", giver, body, token=token), role=ROLE)


@pytest.mark.parametrize("overrides", PROOFS.values(), ids=PROOFS.keys())
def test_a_command_with_a_bad_proof_is_refused(
    bank: Bank, giver: User, overrides: dict[str, Any]
) -> None:
    """The ledger verifies that the user signed this order: body, key, route, token and time."""
    taker = bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)
    proof = bank.proof(giver, "transfer", body, "key-1", token, **overrides)
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", giver, body, token=token, proof=proof), role=ROLE)


def test_a_proof_by_another_key_is_refused(bank: Bank, giver: User) -> None:
    """A token without the key that it is bound to orders nothing."""
    taker, thief = bank.holder(), User(giver.account, ProofKey())
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)
    proof = bank.proof(thief, "transfer", body, "key-1", token)
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", giver, body, token=token, proof=proof), role=ROLE)


def test_one_users_proof_with_anothers_token_is_refused(bank: Bank, giver: User) -> None:
    """Whose proof it is decides nothing; whose token it is decides nothing: they must agree."""
    taker = bank.holder("5.00")
    body = orders.transfer(giver.account, "1.00")
    token = bank.token(taker)
    proof = bank.proof(giver, "transfer", body, "key-1", token)
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", taker, body, token=token, proof=proof), role=ROLE)


@pytest.mark.parametrize(
    ("written", "forged_to"),
    [(b"1.00", b"9.00"), (b"EUR", b"USD"), (b"}}", b"}}\n"), (b'{"to', b'{ "to')],
    ids=["amount", "currency", "a line more", "a space more"],
)
def test_a_captured_money_zone_cannot_change_an_order(
    bank: Bank, giver: User, written: bytes, forged_to: bytes
) -> None:
    """With its genuine key, around the user's genuine proof, another body is refused."""
    taker = bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)
    proof = bank.proof(giver, "transfer", body, "key-1", token)
    forged = body.replace(written, forged_to)
    assert forged != body
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", giver, forged, token=token, proof=proof), role=ROLE)


def test_a_captured_money_zone_cannot_send_the_money_elsewhere(bank: Bank, giver: User) -> None:
    """The destination is what the user signed."""
    taker, thief = bank.holder(), bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)
    proof = bank.proof(giver, "transfer", body, "key-1", token)
    forged = orders.transfer(thief.account, "1.00")
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", giver, forged, token=token, proof=proof), role=ROLE)


def test_a_captured_money_zone_cannot_make_one_order_another_kind(bank: Bank, giver: User) -> None:
    """A proof made for one route does not serve the order of another."""
    taker = bank.holder()
    for kind, other, body in (
        ("transfer", "open-wallet", orders.transfer(taker.account, "1.00")),
        ("open-wallet", "transfer", orders.open_wallet("USD")),
    ):
        token = bank.token(giver)
        proof = bank.proof(giver, kind, body, "key-1", token)
        command = bank.command(other, giver, body, token=token, proof=proof)
        with bank.unchanged(EvidenceRefusedError):
            bank.obey(command, role=ROLE)


def test_a_used_proof_serves_no_second_order(bank: Bank, giver: User) -> None:
    """A proof id that one posting consumed is refused under a new key, in any new command."""
    taker = bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)
    first = bank.proof(giver, "transfer", body, "key-1", token, jti="the-same-proof")
    bank.obey(bank.command("transfer", giver, body, token=token, proof=first), role=ROLE)
    again = bank.proof(giver, "transfer", body, "key-2", token, jti="the-same-proof")
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", giver, body, token=token, proof=again), role=ROLE)


def test_a_used_proof_serves_no_order_on_another_route(bank: Bank, giver: User) -> None:
    """Proof ids are one set for all routes of one key."""
    taker, token = bank.holder(), bank.token(giver)
    body, opening = orders.transfer(taker.account, "1.00"), orders.open_wallet("USD")
    first = bank.proof(giver, "transfer", body, "key-1", token, jti="the-same-proof")
    bank.obey(bank.command("transfer", giver, body, token=token, proof=first), role=ROLE)
    again = bank.proof(giver, "open-wallet", opening, "key-1", token, jti="the-same-proof")
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(
            bank.command("open-wallet", giver, opening, token=token, proof=again),
            role=ROLES["open-wallet"],
        )


def test_nobody_burns_anothers_proof(bank: Bank, giver: User) -> None:
    """The same proof id by another key is another proof."""
    other = bank.holder("5.00")
    for one, to in ((giver, other), (other, giver)):
        body, token = orders.transfer(to.account, "1.00"), bank.token(one)
        proof = bank.proof(one, "transfer", body, "key-1", token, jti="the-same-proof")
        bank.obey(bank.command("transfer", one, body, token=token, proof=proof), role=ROLE)
    assert (bank.balance(giver), bank.balance(other)) == (10_000, 500)


def test_a_used_command_serves_no_second_order(bank: Bank, giver: User) -> None:
    """A command id that one posting consumed is refused with any other order inside."""
    taker = bank.holder()
    body = orders.transfer(taker.account, "1.00")
    same = Forgery(claims={"jti": "one-command-only"})
    bank.obey(bank.command("transfer", giver, body, key="key-1", **same), role=ROLE)
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", giver, body, key="key-2", **same), role=ROLE)


def test_a_partners_used_command_serves_no_second_deposit(bank: Bank) -> None:
    """A partner's command id is used once, too, whatever the reference."""
    partner, user = bank.funds, bank.holder()
    same = Forgery(claims={"jti": "one-command-only"})
    first = partner.command(orders.deposit(user.account, "1.00", "ref-1"), **same)
    bank.obey_partner(first, role=partner.role)
    again = partner.command(orders.deposit(user.account, "1.00", "ref-2"), **same)
    with bank.unchanged(EvidenceRefusedError):
        bank.obey_partner(again, role=partner.role)


A = "a" * 26

NO_TRANSFERS = {
    "nothing": b"",
    "no object": b"[]",
    "no members": b"{}",
    "an opening": orders.open_wallet(),
    "a deposit": orders.deposit(A, "1.00", "ref-1"),
    "a number for the amount": b'{"to_account":"%s","amount":{"amount":1.00,"currency":"EUR"}}'
    % A.encode(),
    "two amounts": b'{"to_account":"%s","amount":{"amount":"1.00","currency":"EUR"},'
    b'"amount":{"amount":"9.00","currency":"EUR"}}' % A.encode(),
    "an unknown member": b'{"to_account":"%s","amount":{"amount":"1.00","currency":"EUR"},"x":1}'
    % A.encode(),
    "a negative amount": orders.transfer(A, "-1.00"),
    "zero": orders.transfer(A, "0.00"),
    "too few decimals": orders.transfer(A, "1.0"),
    "too many decimals": orders.transfer(A, "1.000"),
    "too much": orders.transfer(A, "10000000000000.01"),
    "an unknown currency": orders.transfer(A, "1.00", "XXX"),
    "an account in capitals": orders.transfer("A" * 26, "1.00"),
    "a short account": orders.transfer("a" * 25, "1.00"),
    "an account with a line after it": orders.transfer(A + "\n", "1.00"),
    "a house": orders.transfer("house:funds", "1.00"),
    "a byte order mark": b"\xef\xbb\xbf" + orders.transfer(A, "1.00"),
    "no UTF-8": b"\xff" + orders.transfer(A, "1.00"),
    "something after it": orders.transfer(A, "1.00") + b"{}",
}


@pytest.mark.parametrize("body", NO_TRANSFERS.values(), ids=NO_TRANSFERS.keys())
def test_what_is_signed_but_no_transfer_is_refused(bank: Bank, giver: User, body: bytes) -> None:
    """The ledger reads the order itself, as strictly as the edge does."""
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(bank.command("transfer", giver, body), role=ROLE)


NO_DEPOSITS = {
    "a transfer": orders.transfer(A, "1.00"),
    "an empty reference": orders.deposit(A, "1.00", ""),
    "a long reference": orders.deposit(A, "1.00", "r" * 65),
    "a reference with a space": orders.deposit(A, "1.00", "ref 1"),
    "a reference beyond ASCII": orders.deposit(A, "1.00", "r\u00e9f"),
    "a reference with a line after it": orders.deposit(A, "1.00", "ref\n"),
    "a negative amount": orders.deposit(A, "-1.00", "ref-1"),
    "a house": orders.deposit("house:sandbox", "1.00", "ref-1"),
}


@pytest.mark.parametrize("body", NO_DEPOSITS.values(), ids=NO_DEPOSITS.keys())
def test_what_is_signed_but_no_deposit_is_refused(bank: Bank, body: bytes) -> None:
    """A partner's order is read as strictly as a user's."""
    partner = bank.funds
    with bank.unchanged(EvidenceRefusedError):
        bank.obey_partner(partner.command(body), role=partner.role)


@pytest.mark.parametrize("body", ["ey", "e=", "!!", "e30=", "\u00e9"])
def test_a_body_in_another_spelling_is_refused(bank: Bank, giver: User, body: str) -> None:
    """The order travels as canonical base64url or not at all."""
    command = bank.command("transfer", giver, b"{}", claims={"body": body})
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(command, role=ROLE)


@pytest.mark.parametrize(
    "key",
    ["", " ", "k" * 65, "k" * 1_100, "key 1", "key\n", "k\u00e9y", "\x7f"],
    ids=["empty", "space", "65", "1100", "inner space", "line", "beyond ASCII", "delete"],
)
def test_an_idempotency_key_of_another_shape_is_refused(bank: Bank, giver: User, key: str) -> None:
    """Between 1 and 64 visible characters, at the ledger as at the edge: never a failure."""
    taker = bank.holder()
    body, token = orders.transfer(taker.account, "1.00"), bank.token(giver)
    proof = bank.proof(giver, "transfer", body, key, token)
    command = bank.command("transfer", giver, body, token=token, proof=proof)
    with bank.unchanged(EvidenceRefusedError):
        bank.obey(command, role=ROLE)
