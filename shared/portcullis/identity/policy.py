"""Which policy is in force: the judge's own, or the same without kills.

A location database that goes wrong kills sessions of owners who did nothing. Whoever operates the
platform ends that by deploying a parameter, and needs no change of code for it.
"""

from collections.abc import Mapping

from portcullis.identity.judge import POLICY, Outcome, Policy
from portcullis.settings import setting

WITHOUT_KILLS = POLICY.model_copy(
    update={"version": f"{POLICY.version}.step-up", "impossible_travel": Outcome.STEP_UP}
)
"""The other choice: of impossible travel, money waits for an approval, and nobody is locked out."""
CHOICES: Mapping[str, Policy] = {"kill": POLICY, "step-up": WITHOUT_KILLS}
"""What a verdict may have been made by: each has a version of its own."""


def in_force() -> Policy:
    """Return the policy that this deployment judges by.

    Raises:
        MissingSettingError: the deployment has chosen none.
        KeyError: it has chosen what is none of ours.
    """
    return CHOICES[setting("IMPOSSIBLE_TRAVEL")]
