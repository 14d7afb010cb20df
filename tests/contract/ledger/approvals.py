"""Approvals of transfers, as identity signs them: a passkey's whole answer, or a code's nothing.

What a passkey signs is laid out here a second time, so that neither reading can drift alone.
"""

import uuid
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Unpack

from portcullis import entropy
from tests.contract.ledger.bank import NOW, PUBLIC_ORIGIN, Bank, Forgery, User, signed
from tests.support import jws
from tests.support.authenticator import HONEST, Authenticator, Credential, Misbehaviour

RP_ID = "api.example.test"
LIFETIME_S = 120
CHALLENGE_S = 300
DAY_S = 86_400


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is approved: this order under this key, in this session, at this time."""

    account: str
    jkt: str
    to: str
    amount: str = "1.00"
    currency: str = "EUR"
    key: str = "key-1"
    sid: str = "s" * 26
    epoch: int = 1
    at: int = NOW
    jti: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of(cls, giver: User, taker: User, **members: Any) -> "Order":
        """Return somebody's order to pay a taker."""
        return cls(account=giver.account, jkt=giver.key.jkt, to=taker.account, **members)


def passkey(user: User) -> Authenticator:
    """Return an authenticator with one passkey of somebody's account."""
    credential: Credential[Any] = Credential(
        rp_id=RP_ID, user_handle=entropy.bytes_of_id(user.account)
    )
    return Authenticator(counts=False, credentials=[credential])


def approved(
    bank: Bank,
    order: Order,
    holder: Authenticator,
    *,
    misbehaviour: Misbehaviour = HONEST,
    established_at: int = NOW - DAY_S,
    enrolled: str | None = None,
    **forgery: Unpack[Forgery],
) -> str:
    """Return the approval that a passkey gives of an order, enrolled for *enrolled* if not its own.

    It lives two minutes from the order's time.
    """
    until = order.at + CHALLENGE_S
    challenge = _laid(
        *("portcullis/approval/v1", PUBLIC_ORIGIN, order.jti, order.account, order.sid, str(until)),
        *("transfer", order.to, order.amount, order.currency, order.key),
    )
    asked = {"rpId": RP_ID, "challenge": jws.b64url(sha256(challenge).digest())}
    answer = holder.get(asked, PUBLIC_ORIGIN, misbehaviour=misbehaviour)["response"]
    members = ("authenticatorData", "clientDataJSON", "signature")
    claims = _claims(order, by="passkey") | {
        "assertion": {name: answer[name] for name in members},
        "enrolment": _enrolment(bank, enrolled or order.account, holder, established_at),
    }
    return signed("portcullis-approval+jwt", claims, bank.keys.signing_key("approval"), **forgery)


def by_code(bank: Bank, order: Order, **forgery: Unpack[Forgery]) -> str:
    """Return the approval that a code of TOTP amounts to."""
    return signed(
        "portcullis-approval+jwt",
        _claims(order, by="totp"),
        bank.keys.signing_key("approval"),
        **forgery,
    )


def _claims(order: Order, *, by: str) -> dict[str, object]:
    return {
        "iss": PUBLIC_ORIGIN,
        "aud": "ledger",
        "sub": order.account,
        "sid": order.sid,
        "jkt": order.jkt,
        "epoch": order.epoch,
        "jti": order.jti,
        "iat": order.at,
        "exp": order.at + LIFETIME_S,
        "until": order.at + CHALLENGE_S,
        "act": {
            "kind": "transfer",
            "fields": [order.to, order.amount, order.currency, order.key],
        },
        "by": by,
    }


def _enrolment(bank: Bank, account: str, holder: Authenticator, established_at: int) -> str:
    credential = holder.credentials[-1]
    claims = {
        "iss": PUBLIC_ORIGIN,
        "sub": account,
        "iat": NOW - 2 * DAY_S,
        "est": established_at,
        "cid": jws.b64url(credential.id),
        "jwk": jws.public_jwk(credential.private),
        "be": False,
        "att": False,
        "aaguid": "70cc1111-a7e0-4b5c-9d0e-706f7274636c",
    }
    return signed("portcullis-enrolment+jwt", claims, bank.keys.signing_key("enrolment"))


def _laid(*fields: str) -> bytes:
    return b"".join(len(one.encode()).to_bytes(4) + one.encode() for one in fields)
