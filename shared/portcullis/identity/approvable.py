"""What a caller may have approved: each kind of act with what makes it this one."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from portcullis.evidence.approvals import Act
from portcullis.evidence.orders import AccountId as Id
from portcullis.schema import Strict


class AddPasskey(Strict):
    """Approve a passkey that was just made: by its credential id, in base64url."""

    kind: Literal["add-passkey"]
    credential: str = Field(pattern=r"^[A-Za-z0-9_-]{1,1364}$")

    @property
    def act(self) -> Act:
        """What is approved."""
        return Act(kind=self.kind, fields=[self.credential])


class RemovePasskey(Strict):
    """Approve the removal of a passkey."""

    kind: Literal["remove-passkey"]
    passkey: Id

    @property
    def act(self) -> Act:
        """What is approved."""
        return Act(kind=self.kind, fields=[self.passkey])


class AddTotp(Strict):
    """Approve a TOTP enrolment that is about to be confirmed."""

    kind: Literal["add-totp"]
    enrolment: Id

    @property
    def act(self) -> Act:
        """What is approved."""
        return Act(kind=self.kind, fields=[self.enrolment])


class Plain(Strict):
    """Approve an act that has nothing to choose."""

    kind: Literal["remove-totp", "set-password", "mint-recovery-codes"]

    @property
    def act(self) -> Act:
        """What is approved."""
        return Act(kind=self.kind, fields=[])


class Approvable(
    RootModel[Annotated[AddPasskey | RemovePasskey | AddTotp | Plain, Field(discriminator="kind")]]
):
    """An act that a passkey can approve."""
