"""From a verified command to an order: everything is derived from what the user or partner signed.

The sender of the command adds nothing: account, amounts, legs and destination come from the
signed body, the debited account from the user's token.
"""

from portcullis.aws import kms
from portcullis.evidence import approvals, caller, dpop, meaning, orders
from portcullis.evidence.caller import Caller
from portcullis.evidence.commands import ISSUED_AHEAD_S_MAX, Command
from portcullis.evidence.errors import EvidenceError, EvidenceRefusedError
from portcullis.evidence.orders import Deposit, OpenWallet, Transfer
from portcullis.evidence.partners import Partner
from portcullis.evidence.receipts import Leg
from portcullis.ledger import tables
from portcullis.ledger.approvals import Shown
from portcullis.ledger.book import Order
from portcullis.refusals import SameWalletError
from portcullis.settings import setting, settings_list


def of_user(command: Command) -> Order:
    """Return the order that a user gave through the money zone.

    The user's token and proof are judged at the command's own time: a token that ends between
    the gate and the posting has not made the order less the user's.

    Raises:
        EvidenceRefusedError: token, proof, body and idempotency key do not bear each other out.
        SameWalletError: the transfer is to the user itself.
        InfrastructureError: the access-token key is not to be had.
    """
    try:
        who = _user(command)
        body, key = command.order, _key(who)
        dpop.verify_order(who.proof, body=body, idempotency_key=key)
        if command.kind == "open-wallet":
            return _open_wallet(command, who, orders.read(body, OpenWallet), key)
        return _transfer(command, who, orders.read(body, Transfer), key)
    except EvidenceError as error:
        raise EvidenceRefusedError from error


def of_partner(command: Command, partner: Partner) -> Order:
    """Return the deposit that a partner ordered, from its own house and no other.

    Raises:
        EvidenceRefusedError: the body is not a deposit.
    """
    try:
        deposit = orders.read(command.order, Deposit)
    except EvidenceError as error:
        raise EvidenceRefusedError from error
    amount = deposit.amount
    return Order(
        kind="deposit",
        principal=partner.issuer,
        key=deposit.reference,
        meaning=meaning.of_order(deposit, principal=partner.issuer, key=deposit.reference),
        legs=(
            Leg(
                account=tables.house(partner.partner),
                currency=amount.currency,
                minor=-amount.minor,
            ),
            Leg(account=deposit.account, currency=amount.currency, minor=amount.minor),
        ),
        opens=None,
        debited_account=None,
        epoch=0,
        acr="",
        command_key=tables.command_key(command.iss, command.jti),
        proof_key=None,
        approval=None,
        consumed_until_s=_consumed_until_s(command),
    )


def _user(command: Command) -> Caller:
    if command.token is None or command.proof is None:
        raise EvidenceError("command without the user's evidence")
    return caller.verify(
        compact_token=command.token,
        compact_proof=command.proof,
        keys=kms.trusted_keys(*settings_list("ACCESS_TOKEN_KEYS")),
        expected_origin=setting("PUBLIC_ORIGIN"),
        expected_method="POST",
        expected_path=orders.ROUTES[command.kind],
        now_s=command.iat,
    )


def _key(who: Caller) -> str:
    key = who.proof.idempotency_key
    if not orders.is_key(key):
        raise EvidenceError("idempotency key")
    return key


def _open_wallet(command: Command, who: Caller, order: OpenWallet, key: str) -> Order:
    if command.approval is not None:
        raise EvidenceError("approval of what needs none")
    return Order(
        kind="open-wallet",
        principal=who.account,
        key=key,
        meaning=meaning.of_order(order, principal=who.account, key=key),
        legs=(),
        opens=(who.account, order.currency),
        debited_account=who.account,
        epoch=who.token.epoch,
        acr=who.token.acr,
        command_key=tables.command_key(command.iss, command.jti),
        proof_key=tables.proof_key(who.proof.single_use_id),
        approval=None,
        consumed_until_s=_consumed_until_s(command),
    )


def _transfer(command: Command, who: Caller, order: Transfer, key: str) -> Order:
    if order.to_account == who.account:
        raise SameWalletError
    amount = order.amount
    return Order(
        kind="transfer",
        principal=who.account,
        key=key,
        meaning=meaning.of_order(order, principal=who.account, key=key),
        legs=(
            Leg(account=who.account, currency=amount.currency, minor=-amount.minor),
            Leg(account=order.to_account, currency=amount.currency, minor=amount.minor),
        ),
        opens=None,
        debited_account=who.account,
        epoch=who.token.epoch,
        acr=who.token.acr,
        command_key=tables.command_key(command.iss, command.jti),
        proof_key=tables.proof_key(who.proof.single_use_id),
        approval=_approval(command, who, order, key),
        consumed_until_s=_consumed_until_s(command),
    )


def _approval(command: Command, who: Caller, order: Transfer, key: str) -> Shown | None:
    if command.approval is None:
        return None
    act = approvals.of_transfer(order, key=key)
    return Shown(command.approval, act, who.token, at_s=command.iat)


def _consumed_until_s(command: Command) -> int:
    # A command may come until its exp; the proof inside was judged at its iat, and may be sent
    # again in another command for as long as the proof's own window is open.
    return command.exp + ISSUED_AHEAD_S_MAX + dpop.REMEMBERED_S
