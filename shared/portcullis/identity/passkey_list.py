"""The passkeys of an account: list, rename, remove; never the last complete way in."""

from typing import Annotated, Any

from pydantic import StringConstraints

from portcullis import clock
from portcullis.aws import dynamodb
from portcullis.evidence.access_token import AccessToken
from portcullis.identity import changes, person, tables
from portcullis.identity.changes import Change, Principal, Seen
from portcullis.identity.factors import EnrolledPasskey, Factors
from portcullis.identity.gate import SessionEndedError
from portcullis.identity.outbox import Event
from portcullis.identity.person import PersonKey

FIELD = "label"

Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]


def show(token: AccessToken) -> list[dict[str, Any]]:
    """Return the account's passkeys as their owner sees them, oldest first.

    Raises:
        SessionEndedError: the account is gone.
        InfrastructureError: a service did not answer.
    """
    enrolled = held(token)
    *stored, person_item = dynamodb.batch_get(
        *(
            (tables.identity(), tables.credential_key(one.credential_id))
            for one in enrolled.passkeys
        ),
        (tables.identity(), tables.person_key(token.sub)),
    )
    key = person.key_of(token.sub, person_item) if person_item else None
    return [
        shown(one, key, used_at=item.get("used_at") if item else None)
        for one, item in zip(enrolled.passkeys, stored, strict=True)
    ]


def rename(id_: str, label: str, *, principal: Principal, now_s: int) -> None:
    """Give a passkey another label.

    Raises:
        NoSuchFactorError: the account has no such passkey.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: a service did not answer.
    """
    sealed = person.ensured(principal.token.sub).seal(label, record=id_, field=FIELD)

    def decide(seen: Seen) -> Change:
        return Change(
            events=[Event("passkey-renamed", {"passkey": id_})],
            factors=seen.factors.relabelled(id_, sealed),
        )

    changes.commit(principal, decide, now_s=now_s)


def remove(id_: str, *, principal: Principal, now_s: int) -> None:
    """Remove a passkey; every other session of the account ends with it.

    Raises:
        ApprovalRequiredError: no passkey approved it (kind ``remove-passkey``).
        AccountFrozenError: a recovery has frozen removals.
        NoSuchFactorError: the account has no such passkey.
        LastFactorError: no complete way in would be left.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: the store did not answer.
    """

    def decide(seen: Seen) -> Change:
        changes.demand_removable(principal, seen, now_s=now_s)
        return Change(
            events=[Event("passkey-removed", {"passkey": id_})],
            factors=seen.factors.without(id_, now_s=now_s),
            kills=True,
        )

    changes.commit(principal, decide, now_s=now_s)


def held(token: AccessToken) -> Factors:
    """Return the factors of the caller's account.

    Raises:
        SessionEndedError: the account is gone.
        InfrastructureError: the store did not answer.
    """
    item = dynamodb.get(tables.identity(), tables.factors_key(token.sub))
    if item is None:
        raise SessionEndedError
    return Factors.from_item(item)


def shown(one: EnrolledPasskey, key: PersonKey | None, *, used_at: int | None) -> dict[str, Any]:
    """Return a passkey as its owner sees it.

    Raises:
        SealError: its label does not open.
    """
    label = key.open(one.label, record=one.id, field=FIELD) if key and one.label else None
    return {
        "id": one.id,
        "label": label,
        "added_at": clock.rfc3339(one.added_at),
        "established_at": clock.rfc3339(one.established_at),
        "last_used_at": clock.rfc3339(used_at) if used_at else None,
    }
