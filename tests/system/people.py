"""People of the system tests: with an account, signed in, with a wallet, with money."""

import uuid

from tests.support.client import Client
from tests.support.owner import Owner
from tests.support.partner import Partner
from tests.support.stack import Stack


def signed_in(stack: Stack) -> Client:
    """Return somebody with an account and a live session."""
    person = Client(stack.public_origin)
    assert person.open_account().status == 201
    assert person.sign_in().status == 200
    return person


def owner(stack: Stack) -> Owner:
    """Return somebody signed in who looks after the account."""
    person = Owner(stack.public_origin)
    assert person.open_account().status == 201
    assert person.sign_in().status == 200
    return person


def with_money(stack: Stack, amount: str) -> Client:
    """Return somebody signed in whose EUR wallet holds *amount*."""
    person = signed_in(stack)
    assert person.open_wallet("EUR").status == 201
    paid = Partner(stack).deposit(person.account, amount, "EUR", uuid.uuid4().hex)
    assert paid.status == 201
    return person


def euros(person: Client) -> str:
    """Return what the person's EUR wallet holds."""
    (wallet,) = [one for one in person.wallets().json["wallets"] if one["currency"] == "EUR"]
    held: str = wallet["balance"]["amount"]
    return held
