"""Tickets of pending sign-ins: what a right password is worth, a chance for a second factor.

A ticket lives five minutes, works once, only for the proof key that it was given to, and opens
nothing by itself.
"""

from dataclasses import dataclass

from portcullis import entropy
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Key, Statement
from portcullis.errors import UnauthenticatedError
from portcullis.evidence.encoding import b64url, unb64url
from portcullis.evidence.errors import EvidenceError
from portcullis.identity import tables

LIFETIME_S = 300
SECRET_BYTES = 32
PREFIX = "ptk1."
UNUSED = ""


class TicketRefusedError(UnauthenticatedError):
    """The ticket is unknown, used, too old, or was given to another key."""

    code = "ticket-refused"
    title = "This sign-in is no longer pending. Start again with the password."


@dataclass(frozen=True, slots=True)
class Ticket:
    """A pending sign-in. ``verifier``: the password that was right, as of its version."""

    account: str
    epoch: int
    verifier: str
    totp: str
    """The TOTP enrolment that can answer, or nothing."""


def issued(ticket: Ticket, *, jkt: str, now_s: int) -> tuple[str, Statement]:
    """Return a new ticket's text, which is kept nowhere, and the write that makes it good."""
    secret = entropy.random_bytes(SECRET_BYTES)
    insert = dynamodb.insert(
        tables.once(),
        {
            **tables.ticket_key(secret),
            "account": ticket.account,
            "epoch": ticket.epoch,
            "verifier": ticket.verifier,
            "totp": ticket.totp,
            "jkt": jkt,
            "expires": now_s + LIFETIME_S,
            "ttl": now_s + LIFETIME_S,
            "used_by": UNUSED,
        },
    )
    return PREFIX + b64url(secret), insert


def key(text: str) -> Key:
    """Return where a ticket is stored.

    Raises:
        TicketRefusedError: the text has not the shape of a ticket.
    """
    try:
        secret = unb64url(text.removeprefix(PREFIX))
    except EvidenceError:
        raise TicketRefusedError from None
    if not text.startswith(PREFIX) or len(secret) != SECRET_BYTES:
        raise TicketRefusedError
    return tables.ticket_key(secret)


def accept(item: Item | None, *, jkt: str, now_s: int) -> Ticket:
    """Return the ticket in a stored item if this key may use it now.

    Raises:
        TicketRefusedError: it may not.
    """
    if item is None or item["used_by"] != UNUSED or item["jkt"] != jkt or now_s >= item["expires"]:
        raise TicketRefusedError
    return Ticket(
        account=item["account"], epoch=item["epoch"], verifier=item["verifier"], totp=item["totp"]
    )


def used(stored: Key, *, attempt: str, now_s: int) -> Statement:
    """Return the write that uses a ticket up, for the transaction that it permits."""
    return dynamodb.change(
        tables.once(),
        stored,
        {"used_by": attempt},
        where='"used_by" = ? AND "expires" > ?',
        given=(UNUSED, now_s),
    )
