"""The password of an account: set or changed, with the login name that it goes with."""

from portcullis import clock, entropy
from portcullis.aws import dynamodb
from portcullis.identity import (
    changes,
    factors,
    logins,
    passwords,
    person,
    tables,
    throttle,
    verifiers,
)
from portcullis.identity.changes import Change, Principal, Seen
from portcullis.identity.factors import Password
from portcullis.identity.outbox import Event
from portcullis.refusals import ApprovalRequiredError

PASSWORD_METHOD = "pwd"  # noqa: S105 a method's name (RFC 8176)


def put(login: str, password: str, *, principal: Principal, now_s: int) -> dict[str, str]:
    """Set or change the password and the login name; return when it is a full factor.

    The first one is provisional for a day, unless a passkey approved it (kind ``set-password``).
    A change needs that approval, or a sign-in of the last minutes with the old password; it ends
    every other session.

    Raises:
        TooManyRequestsError: too many changes of this account's factors.
        LoginRefusedError: the name cannot be a login name.
        PasswordRefusedError: the password is too weak.
        LoginTakenError: another account has the name. That it exists is told here and nowhere
            else, to a signed-in caller, thirty times an hour at most.
        ApprovalRequiredError: it would change a password without an approval.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: a service did not answer.
    """
    account, verifier_id = principal.token.sub, entropy.new_id()
    throttle.admit(throttle.ENROLMENT_BY_ACCOUNT, account, now_s=now_s)
    name = logins.normal(login)
    accepted = passwords.accept(password, login=name)
    indexes = logins.indexes(name)
    owner = person.ensured(account)
    verifier = verifiers.make(accepted, account=account, verifier_id=verifier_id)
    item = {**tables.password_key(account, verifier_id), **verifiers.to_item(verifier)}

    established = now_s if principal.approved else now_s + factors.PROVISIONAL_S

    def decide(seen: Seen) -> Change:
        nonlocal established
        before = seen.factors.password
        if before is not None and not _may_change(principal, seen, now_s=now_s):
            raise ApprovalRequiredError
        if before is not None and not principal.approved:
            established = before.established_at
        return Change(
            events=[Event("password-set", {"changed": before is not None})],
            statements=[
                dynamodb.insert(tables.identity(), item),
                # Under every listed key: while they roll over, functions with other lists take
                # names too, and the write itself must meet theirs.
                *(
                    logins.taken(
                        index,
                        found,
                        account=account,
                        verifier=verifier_id,
                        sealed=owner.seal(name, record=index, field=logins.FIELD),
                    )
                    for index, found in zip(indexes, seen.items, strict=True)
                ),
            ],
            factors=seen.factors.next(
                password=Password(
                    verifier_id,
                    login=indexes[0],
                    established_at=established,
                )
            ),
            kills=before is not None,
        )

    changes.commit(
        principal,
        decide,
        also=[(tables.identity(), tables.login_key(index)) for index in indexes],
        now_s=now_s,
    )
    return {"established_at": clock.rfc3339(established)}


def _may_change(principal: Principal, seen: Seen, *, now_s: int) -> bool:
    """Return whether the old password, or an older passkey, stands behind the change."""
    if principal.approved is not None:
        return True
    return PASSWORD_METHOD in principal.token.amr and not seen.factors.established_passkeys(now_s)
