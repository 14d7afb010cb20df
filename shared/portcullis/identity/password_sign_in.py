"""The first half of a sign-in with a password: a ticket for the second factor, nothing more.

Its role signs no token and starts no session. Throttles come before any cost; then index, reads,
Argon2 and MAC, all of them whatever is wrong, so that an unknown name, a wrong password, an
account without one and a restricted account cannot be told apart.
"""

import hmac
from contextlib import suppress
from dataclasses import dataclass

from portcullis import log
from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import ConditionFailedError, Item
from portcullis.evidence.dpop import Proof
from portcullis.identity import logins, once, passwords, tables, throttle, tickets, verifiers
from portcullis.identity.factors import Factors
from portcullis.identity.logins import LoginRefusedError
from portcullis.identity.standing import Standing
from portcullis.identity.starting import SignInRefusedError
from portcullis.identity.tickets import Ticket
from portcullis.identity.verifiers import UnusableVerifierError, Verifier, WrongPasswordError
from portcullis.source import Source

NOBODY = "a" * 26
"""The account whose (absent) items are read for a login name that nobody has."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that waits for its second factor.

    ``is_stale``: the password was hashed with parameters or a pepper that are to be retired; its
    owner should set it again. No role may both verify and make a verifier, so none does it here.
    """

    ticket: str
    second_factors: tuple[str, ...]
    is_stale: bool


def begin(login: str, password: str, *, proof: Proof, source: Source, now_s: int) -> Pending:
    """Return a ticket, bound to the proof's key, if the password is right.

    Raises:
        TooManyRequestsError: too many tries from this network or for this name.
        PasswordRefusedError: it cannot be anybody's password.
        ProofReplayedError: the proof was used before.
        SignInRefusedError: it is not right, or nothing here may be signed in to: one answer.
        InfrastructureError: a service did not answer.
    """
    throttle.admit(throttle.PASSWORD_BY_NETWORK, source.network, now_s=now_s)
    name, spelled = _name(login), passwords.normal(password)
    throttle.admit(throttle.SIGN_IN_BY_LOGIN, _subject(name), now_s=now_s)
    once.consume(proof)
    indexes = logins.indexes(name)
    found = dynamodb.batch_get(*((tables.identity(), tables.login_key(index)) for index in indexes))
    stored = next((one for one in found if one is not None), None)
    account = str(stored["account"]) if stored else NOBODY
    verifier_id = str(stored["verifier"]) if stored else NOBODY
    password_item, enrolled, standing_item = dynamodb.batch_get(
        (tables.identity(), tables.password_key(account, verifier_id)),
        (tables.identity(), tables.factors_key(account)),
        (tables.standing(), tables.standing_key(account)),
    )
    ticket = _ticket(indexes, verifier_id, enrolled, standing_item)
    usable = _usable(password_item) if ticket else None
    _check(spelled, usable, account=account, verifier_id=verifier_id)
    if ticket is None or enrolled is None or usable is None:
        raise SignInRefusedError
    text, insert = tickets.issued(ticket, jkt=proof.jkt, now_s=now_s)
    with suppress(ConditionFailedError):  # of 256 random bits: what is there is this very ticket
        dynamodb.execute(insert)
    return Pending(
        text, _second_factors(Factors.from_item(enrolled)), is_stale=verifiers.is_stale(usable)
    )


def _ticket(
    indexes: list[str], verifier_id: str, enrolled: Item | None, standing_item: Item | None
) -> Ticket | None:
    """Return what a right password would be worth, None if nothing."""
    if enrolled is None or standing_item is None:
        return None
    held, standing = Factors.from_item(enrolled), Standing.from_item(standing_item)
    password = held.password
    if not (standing.is_active or standing.is_quarantined) or password is None:
        return None
    if password.login not in indexes or password.verifier != verifier_id:
        return None  # a name or a verifier that the account has given up
    return Ticket(
        account=held.account,
        epoch=standing.epoch,
        verifier=verifier_id,
        totp=held.totp.enrolment if held.totp else "",
    )


def _usable(item: Item | None) -> Verifier | None:
    """Return a stored verifier; one that is none of ours counts as absent, and is an alarm.

    An answer of its own would tell names that exist from those that do not.
    """
    if item is None:
        return None
    try:
        return verifiers.from_item(item)
    except UnusableVerifierError:
        log.alarm("verifier-unusable", {})
        return None


def _check(password: str, verifier: Verifier | None, *, account: str, verifier_id: str) -> None:
    try:
        verifiers.check(password, verifier, account=account, verifier_id=verifier_id)
    except WrongPasswordError:
        raise SignInRefusedError from None


def _name(login: str) -> str:
    try:
        return logins.normal(login)
    except LoginRefusedError:
        raise SignInRefusedError from None  # nobody can have it: that much is public


def _subject(name: str) -> str:
    """Return what stands for a login name in its bucket's key: no KMS, and no name in a table."""
    return hmac.digest(tables.throttle_secret(), name.encode(), "sha256").hex()


def _second_factors(held: Factors) -> tuple[str, ...]:
    return tuple(name for name, has in (("passkey", held.passkeys), ("totp", held.totp)) if has)
