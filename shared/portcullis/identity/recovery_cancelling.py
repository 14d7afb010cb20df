"""The cancellation of a recovery, by any older factor."""

from portcullis.errors import ConflictError
from portcullis.identity import changes
from portcullis.identity.changes import Change, Principal, Seen
from portcullis.identity.outbox import Event


class NoRecoveryError(ConflictError):
    """There is nothing that could be cancelled."""

    code = "no-recovery"
    title = "There is no recovery under way, no code and no release to cancel."


def cancel(principal: Principal, *, now_s: int) -> None:
    """Cancel what recovery brought: provisional passkeys go, all codes burn, sessions die.

    The caller came in by an older factor: the gate admits no provisional session here. The freeze
    stays for its day: who of the two is the thief is not known. The caller's session is carried.

    Raises:
        NoRecoveryError: there is nothing to cancel.
        RefusedError: one of ``changes.commit``.
        InfrastructureError: the store did not answer.
    """

    def decide(seen: Seen) -> Change:
        held = seen.factors
        gone = [one for one in held.passkeys if one.recovered and now_s < one.established_at]
        if not gone and not held.codes and not held.release:
            raise NoRecoveryError
        left = tuple(one for one in held.passkeys if one not in gone)
        return Change(
            events=[Event("recovery-cancelled", {"passkeys": [one.id for one in gone]})],
            factors=held.next(passkeys=left, codes="", release="", release_from=0),
            kills=True,
        )

    changes.commit(principal, decide, now_s=now_s)
