"""The story of Portcullis, told against the running stack: `python -m tests.support.demo`.

Exits 0 when every step went as promised, 1 at the first that did not, 2 when there is no stack.
"""

import argparse
import os
import sys
import uuid
from collections.abc import Sequence
from decimal import Decimal

from botocore.exceptions import ClientError

from tests.support import demo_owner, http, iam, jws
from tests.support.client import Client
from tests.support.dpop import digest
from tests.support.iam import Role
from tests.support.stack import Stack, StackNotRunningError
from tests.support.story import Acts, BrokenPromiseError, Cast, check, expect, refused, tell

CURRENCY = "EUR"
DEPOSIT = "100.00"
TRANSFER = "12.34"
SMALL = "1.00"
TOO_MUCH = "1000000.00"

NOT_RUNNING = "No stack called {name!r} is running here: start it with `make run` first."


def order_to(account: str | None, amount: str) -> dict[str, object]:
    """Return a transfer order's meaning."""
    return {"to_account": account, "amount": {"amount": amount, "currency": CURRENCY}}


def balance(person: Client) -> Decimal:
    """Return what the person has in the story's currency."""
    wallets = expect(person.wallets(), 200).json["wallets"]
    amounts = [wallet["balance"]["amount"] for wallet in wallets if wallet["currency"] == CURRENCY]
    check(f"one {CURRENCY} wallet", kept=len(amounts) == 1)
    return Decimal(amounts[0])


def alice_opens_an_account(cast: Cast) -> str:
    """Alice opens an account with a passkey."""
    opened = expect(cast.alice.open_account(), 201).json
    check("no token for an account just opened", kept=set(opened) == {"account"})
    return f"201 {cast.alice.account}"


def bob_opens_an_account(cast: Cast) -> str:
    """Bob opens an account with a passkey."""
    expect(cast.bob.open_account(), 201)
    return f"201 {cast.bob.account}"


def both_sign_in(cast: Cast) -> str:
    """Both sign in; each token is bound to a key of their own."""
    for person in (cast.alice, cast.bob):
        session = expect(person.sign_in(), 200).json
        bound = jws.claims_of(session["access_token"])["cnf"] == {"jkt": person.proof_key.jkt}
        check("a token bound to the proof key", kept=bound and session["token_type"] == "DPoP")
    return "200 twice"


def both_open_wallets(cast: Cast) -> str:
    """Both open a wallet."""
    for person in (cast.alice, cast.bob):
        expect(person.open_wallet(CURRENCY), 201)
    return "201 twice"


def partner_deposits(cast: Cast) -> str:
    """A partner pays in for Alice, with a command it signs itself."""
    reference = f"demo-{uuid.uuid4().hex}"
    reply = cast.partner.deposit(cast.alice.account, DEPOSIT, CURRENCY, reference)
    check("a receipt", kept="receipt" in expect(reply, 201).json)
    return f"201 {DEPOSIT} {CURRENCY}"


def alice_transfers(cast: Cast) -> str:
    """Alice transfers to Bob; her own key signs the order."""
    cast.key = uuid.uuid4().hex
    reply = cast.alice.transfer(cast.bob.account, TRANSFER, CURRENCY, cast.key)
    cast.posting = expect(reply, 201).json["posting"]
    check("a receipt", kept="receipt" in reply.json)
    return f"201 {TRANSFER} {CURRENCY}"


def both_read_statements(cast: Cast) -> str:
    """Both find the posting on their statements."""
    entries = [
        expect(person.statement(CURRENCY), 200).json["entries"][0]
        for person in (cast.alice, cast.bob)
    ]
    same = all(entry["posting"] == cast.posting for entry in entries)
    amounts = [entry["amount"]["amount"] for entry in entries]
    check("one posting, two signs", kept=same and amounts == [f"-{TRANSFER}", TRANSFER])
    return f"200 {amounts[0]} and {amounts[1]}"


def alice_refreshes(cast: Cast) -> str:
    """Alice trades her refresh token for the next, and goes on."""
    cast.spent = cast.alice.refresh_token
    expect(cast.alice.refresh(), 200)
    check("another refresh token", kept=cast.alice.refresh_token != cast.spent)
    expect(cast.alice.wallets(), 200)
    return "200"


def tampered_token(cast: Cast) -> str:
    """Alice's access token, rewritten to name Bob."""
    rewritten = jws.altered(cast.alice.access_token or "", sub=cast.bob.account)
    return refused(cast.alice.wallets(token=rewritten), 401, "invalid-token")


def replayed_proof(cast: Cast) -> str:
    """An accepted transfer, sent once more byte for byte."""
    key, to = uuid.uuid4().hex, cast.bob.account
    body = jws.compact_json(order_to(to, SMALL))
    proof = cast.alice.proof("POST", "/transfers", body=body, idempotency_key=key)
    expect(cast.alice.transfer(to, SMALL, CURRENCY, key, body=body, proof=proof), 201)
    again = cast.alice.transfer(to, SMALL, CURRENCY, key, body=body, proof=proof)
    return refused(again, 401, "proof-replayed")


def proof_over_another_body(cast: Cast) -> str:
    """A transfer whose amount was changed after Alice signed."""
    signed = digest(jws.compact_json(order_to(cast.bob.account, SMALL)))
    changed = cast.alice.transfer(cast.bob.account, TRANSFER, CURRENCY, claims={"bd": signed})
    return refused(changed, 400, "order-not-signed")


def unknown_property(cast: Cast) -> str:
    """A transfer with a property that nobody knows."""
    order = order_to(cast.bob.account, SMALL) | {"priority": "high"}
    reply = cast.alice.order("/transfers", order)
    seen = refused(reply, 400, "invalid-body")
    pointers = [error["pointer"] for error in reply.json["errors"]]
    check("a pointer to the property", kept=pointers == ["/priority"])
    return f"{seen} {pointers[0]}"


def overdraft(cast: Cast) -> str:
    """A transfer of more than Alice has."""
    reply = cast.alice.transfer(cast.bob.account, TOO_MUCH, CURRENCY)
    return refused(reply, 409, "insufficient-funds")


def same_key_twice(cast: Cast) -> str:
    """The first transfer again, under the same idempotency key."""
    reply = cast.alice.transfer(cast.bob.account, TRANSFER, CURRENCY, cast.key)
    check("the same posting", kept=expect(reply, 201).json["posting"] == cast.posting)
    check("Idempotent-Replayed", kept=reply.header("Idempotent-Replayed") == "true")
    return "201 replayed, not posted again"


def same_key_another_body(cast: Cast) -> str:
    """Another transfer under the same idempotency key."""
    reply = cast.alice.transfer(cast.bob.account, SMALL, CURRENCY, cast.key)
    return refused(reply, 422, "idempotency-key-reused")


def partner_calls_the_money_door(cast: Cast) -> str:
    """The partner's role at the door of the money zone."""
    order = jws.compact_json(order_to(cast.bob.account, SMALL))
    expect(cast.partner.send("/postings", order, kind="transfer"), 403)
    # A function that read this body would answer 400: the refusal comes from before it.
    json = {"Content-Type": "application/json"}
    expect(cast.partner.role.call("POST", "/postings", body=b"{}", headers=json), 403)
    return "403 by IAM"


def partner_orders_a_transfer(cast: Cast) -> str:
    """A transfer of Alice's money, signed by the partner."""
    order = jws.compact_json(order_to(cast.bob.account, SMALL))
    expect(cast.partner.send("/deposits", order, kind="transfer"), 403)
    return "403 by the ledger"


def reader_signs_a_command(cast: Cast) -> str:
    """A reader's role of the money zone at the command key."""
    stack = cast.stack
    reader = Role(stack, f"{stack.name}-money-list-wallets")
    alias = f"alias/{stack.name}/command"
    key = iam.aws(stack.endpoint, iam.ROOT, "kms", "describe_key", KeyId=alias)
    try:
        reader.aws(
            *("kms", "sign"),
            KeyId=key["KeyMetadata"]["Arn"],
            Message=bytes(32),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code.startswith("AccessDenied"):
            return f"{code} by KMS"
        raise BrokenPromiseError("AccessDenied", code) from error
    raise BrokenPromiseError("a denial", "a signature")


def spent_refresh_token(cast: Cast) -> str:
    """The refresh token that Alice has spent."""
    return refused(cast.alice.refresh(cast.spent), 400, "invalid_grant")


def family_is_dead(cast: Cast) -> str:
    """Alice's newest refresh token: the whole family died."""
    return refused(cast.alice.refresh(), 400, "invalid_grant")


def session_is_over(cast: Cast) -> str:
    """Alice's access token: the session died with it."""
    return refused(cast.alice.wallets(), 401, "session-ended")


def response_is_lost(cast: Cast) -> str:
    """Alice signs in again; the answer to a refresh is lost; she retries."""
    expect(cast.alice.sign_in(), 200)
    cast.spent = cast.alice.refresh_token
    lost = expect(cast.alice.refresh(), 200).json["refresh_token"]
    again = expect(cast.alice.refresh(cast.spent), 200).json["refresh_token"]
    check("the same successor", kept=again == lost)
    return "200 the same successor"


def retry_works_once(cast: Cast) -> str:
    """The same retry a second time."""
    return refused(cast.alice.refresh(cast.spent), 400, "invalid_grant")


def no_cent_is_lost(cast: Cast) -> str:
    """After all this, the books agree."""
    expect(cast.alice.sign_in(), 200)
    hers, his = balance(cast.alice), balance(cast.bob)
    moved = Decimal(TRANSFER) + Decimal(SMALL)
    check("what Alice sent, and no more, with Bob", kept=his == moved)
    check("the rest with Alice", kept=hers == Decimal(DEPOSIT) - moved)
    return f"{hers} + {his} = {hers + his}"


ACTS: Acts = (
    (
        "The story",
        (
            alice_opens_an_account,
            bob_opens_an_account,
            both_sign_in,
            both_open_wallets,
            partner_deposits,
            alice_transfers,
            both_read_statements,
            alice_refreshes,
        ),
    ),
    (
        "The attacks",
        (
            tampered_token,
            replayed_proof,
            proof_over_another_body,
            unknown_property,
            overdraft,
            same_key_twice,
            same_key_another_body,
            partner_calls_the_money_door,
            partner_orders_a_transfer,
            reader_signs_a_command,
        ),
    ),
    (
        "The stolen session",
        (
            spent_refresh_token,
            family_is_dead,
            session_is_over,
            response_is_lost,
            retry_works_once,
            no_cent_is_lost,
        ),
    ),
    *demo_owner.ACTS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story against the named stack and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.demo", description=__doc__)
    parser.add_argument("--stack", default="portcullis", help="the stack's name (%(default)s)")
    name = parser.parse_args(arguments).stack
    try:
        stack = Stack.load(name)
        http.send(stack.public_origin, "GET", "/.well-known/jwks.json")
    except (StackNotRunningError, OSError):
        print(NOT_RUNNING.format(name=name), file=sys.stderr)
        return 2
    print(f"Portcullis at {stack.public_origin}")
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return tell(ACTS, Cast.strangers(stack), coloured=coloured)


if __name__ == "__main__":
    sys.exit(main())
