"""Refusals: the only exceptions whose words a caller may hear.

A refusal belongs to one category. Concrete refusals live beside the code that raises them; their
texts are class constants, so that no value a caller sent, and no secret, can be echoed. The edge
maps a category to a status; nothing here knows HTTP.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of an input: where it is (RFC 6901 pointer) and what is wrong with it."""

    pointer: str
    reason: str


class RefusedError(Exception):
    """A request was understood and refused. Never raised directly."""

    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, *faults: Fault) -> None:
        super().__init__(self.title)
        self.faults = faults


class InvalidError(RefusedError):
    """The request itself is wrong; sending it again cannot help."""


class UnauthenticatedError(RefusedError):
    """The caller is not shown to be who it claims to be, or its session is over."""


class ForbiddenError(RefusedError):
    """The caller is known and may not do this."""


class NotFoundError(RefusedError):
    """There is no such thing for this caller."""


class ConflictError(RefusedError):
    """The present state does not allow it; another state might."""


class UnprocessableError(RefusedError):
    """The request contradicts an earlier one."""


class TooManyRequestsError(RefusedError):
    """The caller asks too often; after a pause the same request may be sent again.

    Args:
        policy: the name of the limit that was met: a constant of ours.
        quota: how many requests the limit allows in its window.
        window_s: the window, in seconds.
        retry_after_s: the pause, in whole seconds.
    """

    code = "too-many-requests"
    title = "Too many requests. Wait before the next one."

    def __init__(self, *, policy: str, quota: int, window_s: int, retry_after_s: int) -> None:
        super().__init__()
        self.policy = policy
        self.quota = quota
        self.window_s = window_s
        self.retry_after_s = retry_after_s


class UnavailableError(RefusedError):
    """Nothing was decided; the same request may be sent again after a pause."""

    code = "unavailable"
    title = "The service cannot answer now. Send the same request again after the pause."


class InfrastructureError(Exception):
    """Something below us failed; whether the work was done is not known. The caller hears 503."""
