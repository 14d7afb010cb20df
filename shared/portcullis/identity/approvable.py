"""What a caller may have approved: each kind of act with what makes it this one."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from portcullis.amounts import Amount
from portcullis.evidence import approvals, orders
from portcullis.evidence.approvals import Act
from portcullis.evidence.orders import AccountId as Id
from portcullis.evidence.orders import Reference
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


class Transfer(Strict):
    """Approve one transfer: the order, and the idempotency key under which it will be given."""

    kind: Literal["transfer"]
    to_account: Id
    amount: Amount
    key: Reference

    @property
    def act(self) -> Act:
        """What is approved."""
        order = orders.Transfer(to_account=self.to_account, amount=self.amount)
        return approvals.of_transfer(order, key=self.key)


class LiftQuarantine(Strict):
    """Lift the quarantine; and say, or do not, whether it was the owner who caused it."""

    kind: Literal["lift-quarantine"]
    was_you: bool | None = None

    @property
    def act(self) -> Act:
        """What is approved."""
        said = {True: "yes", False: "no", None: "unsaid"}[self.was_you]
        return Act(kind=self.kind, fields=[said])


class Plain(Strict):
    """Approve an act that has nothing to choose."""

    kind: Literal["remove-totp", "set-password", "mint-recovery-codes", "lift-demand"]

    @property
    def act(self) -> Act:
        """What is approved."""
        return Act(kind=self.kind, fields=[])


class Approvable(
    RootModel[
        Annotated[
            AddPasskey | RemovePasskey | AddTotp | Transfer | LiftQuarantine | Plain,
            Field(discriminator="kind"),
        ]
    ]
):
    """An act that can be approved."""

    @property
    def act(self) -> Act:
        """What is approved."""
        return self.root.act
