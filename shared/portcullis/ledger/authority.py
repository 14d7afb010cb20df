"""The authority matrix: who may give which command, over which route, with what evidence.

| issuer        | kinds                  | route     | also demanded                            |
|---------------|------------------------|-----------|------------------------------------------|
| `money`       | open-wallet, transfer  | /postings | a money role; the user's token and proof |
| `partner:<p>` | deposit                | /deposits | p's own role and p's own key             |
"""

from portcullis.aws import dynamodb, kms
from portcullis.evidence import commands
from portcullis.evidence.commands import Command
from portcullis.evidence.errors import EvidenceError, InvalidCommandError
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.orders import OrderKind
from portcullis.evidence.partners import ISSUER_PREFIX, Partner
from portcullis.ledger import tables
from portcullis.settings import setting, settings_list

MONEY = "money"
POSTINGS, DEPOSITS = "/postings", "/deposits"
MONEY_KINDS: frozenset[OrderKind] = frozenset({"open-wallet", "transfer"})
PARTNER_KINDS: frozenset[OrderKind] = frozenset({"deposit"})


def money_command(compact: str, *, caller_role: str | None, now_s: int) -> Command:
    """Return a command of the money zone.

    Raises:
        InvalidCommandError: it is not one, or came from a role that may not give it.
        InfrastructureError: the money zone's key is not to be had.
    """
    if caller_role not in settings_list("MONEY_ROLES"):
        raise InvalidCommandError
    key = kms.public_key(setting("COMMAND_KEY"))
    return _verified(compact, key=key, issuer=MONEY, path=POSTINGS, kinds=MONEY_KINDS, now_s=now_s)


def partner_command(
    compact: str, *, caller_role: str | None, now_s: int
) -> tuple[Command, Partner]:
    """Return a partner's command and the partner that gave it.

    Raises:
        InvalidCommandError: it is not one, or came from a role that is not that partner's.
        InfrastructureError: the registry did not answer.
    """
    try:
        claimed = commands.issuer(commands.parse(compact))
    except EvidenceError as error:
        raise InvalidCommandError from error
    item = dynamodb.get(tables.registry(), tables.partner_key(claimed.removeprefix(ISSUER_PREFIX)))
    if item is None:
        raise InvalidCommandError
    partner = Partner(
        partner=item["partner"],
        role=item["role"],
        jwk=dict(item["jwk"]),
        floor_minor=dict(item["floor_minor"]),
    )
    if caller_role != partner.role:
        raise InvalidCommandError
    command = _verified(
        compact,
        key=PublicKey.from_jwk(partner.jwk),
        issuer=partner.issuer,
        path=DEPOSITS,
        kinds=PARTNER_KINDS,
        now_s=now_s,
    )
    return command, partner


def _verified(
    compact: str,
    *,
    key: PublicKey,
    issuer: str,
    path: str,
    kinds: frozenset[OrderKind],
    now_s: int,
) -> Command:
    try:
        parsed = commands.parse(compact)
        command = commands.verify(
            parsed,
            key=key,
            expected_issuer=issuer,
            expected_audience=setting("INTERNAL_ORIGIN"),
            expected_path=path,
            now_s=now_s,
        )
    except EvidenceError as error:
        raise InvalidCommandError from error
    if command.kind not in kinds:
        raise InvalidCommandError
    return command
