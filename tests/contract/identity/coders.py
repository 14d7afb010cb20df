"""People who have a password and TOTP, and no passkey: they answer with codes."""

from dataclasses import dataclass
from typing import Any

from portcullis.aws import dynamodb
from portcullis.evidence.approvals import Act
from portcullis.identity import approving, totp
from portcullis.identity.approving import Answer
from portcullis.identity.factors import Password
from tests.contract.identity.people import Family, Person, finish, now, totp_code
from tests.support.dpop import ProofKey

LOGIN = "alice@example.test"


@dataclass
class Coder:
    """Somebody who signs in with codes. ``at_s`` is that person's time, which ``wait`` moves on."""

    person: Person
    secret: bytes
    at_s: int
    family: Family

    @classmethod
    def of(cls, person: Person, family: Family) -> "Coder":
        """Give somebody established TOTP and a password, take the passkeys, and sign in anew."""
        secret = person.add_totp(family)
        held = person.factors
        password = Password(verifier="v" * 26, login=LOGIN, established_at=0)
        dynamodb.execute(held.next(passkeys=(), password=password).written_after(held))
        coder = cls(person, secret, now(), family)
        coder.family = coder.sign_in()
        return coder

    def sign_in(self) -> Family:
        """Start a session with a code, as the right password permits."""
        key = ProofKey()
        ticket = self.person.pending(key, at_s=self.at_s)
        started = finish(ticket, self.code(), key, at_s=self.at_s)
        self.wait()
        return started

    def wait(self) -> None:
        """Wait for the next code."""
        self.at_s += totp.STEP_S

    def code(self) -> str:
        """Return the present code."""
        return totp_code(self.secret, self.at_s)

    def options(self, act: Act, family: Family | None = None) -> dict[str, Any]:
        """Ask for the options to approve an act."""
        principal = (family or self.family).principal("POST", "/approvals/options", at_s=self.at_s)
        return approving.options(act, principal=principal, now_s=self.at_s)

    def answer(self, challenge: str, code: str, family: Family | None = None) -> str | None:
        """Answer a challenge with a code."""
        principal = (family or self.family).principal("POST", "/approvals", at_s=self.at_s)
        answer = Answer(challenge=challenge, code=code)
        return approving.approve(answer, principal=principal, now_s=self.at_s)

    def approve(self, act: Act) -> str | None:
        """Have an act approved by the present code."""
        return self.answer(self.options(act)["challenge"], self.code())
