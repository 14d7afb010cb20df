"""Continuous evaluation: every authenticated request is judged against its session's baseline.

The gate and refresh run it between their one read and whatever they allow.
"""

from portcullis import log
from portcullis.errors import InfrastructureError
from portcullis.evidence.errors import EvidenceError
from portcullis.identity import judge, policy, restraint
from portcullis.identity.judge import Outcome
from portcullis.identity.observations import Observation
from portcullis.identity.restraint import Judged, Occasion, Restraint
from portcullis.identity.sessions import Session
from portcullis.identity.sightings import Sightings
from portcullis.identity.standing import Standing


class KilledError(EvidenceError):
    """The verdict on this request is a kill. Its text is the verdict's reasons."""


def evaluate(
    session: Session,
    seen: Standing,
    remembered: Sightings,
    observation: Observation,
    *,
    occasion: Occasion,
) -> Outcome:
    """Judge a request and act on the verdict; what returns may pass, as far as this goes.

    What returns is "allow" or "step-up".

    A request on which an approval is demanded passes only once the demand stands where the ledger
    reads it. A kill refuses the request whether or not it succeeds: if it does not, the next
    request is judged, and killed, again.

    Raises:
        KilledError: it was a kill.
        InfrastructureError: the demand of an approval is not known to stand.
    """
    if remembered.baseline is None:
        return Outcome.ALLOW
    verdict = judge.judge(policy.in_force(), remembered.baseline, observation)
    if verdict.outcome is Outcome.ALLOW:
        return Outcome.ALLOW
    order = Restraint(
        account=session.account,
        sid=session.sid,
        occasion=occasion,
        epoch=seen.epoch,
        judged=Judged(baseline=remembered.baseline, observation=observation, verdict=verdict),
    )
    if not order.kills:
        restraint.ask(order)
        return Outcome.STEP_UP
    try:
        restraint.ask(order)
    except InfrastructureError as error:
        log.alarm("kill-failed", {"code": str(error)})
    raise KilledError(",".join(verdict.reasons))
