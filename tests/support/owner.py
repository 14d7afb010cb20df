"""The owner of an account, looking after it: factors, approvals, recovery, sessions."""

import base64
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.client import JSON, Client, Overrides
from tests.support.dpop import ProofKey
from tests.support.http import Reply

APPROVAL = "Portcullis-Approval"
STEP_S = 30


def totp_code(secret: str, *, at_s: float | None = None, steps: int = 0) -> str:
    """Return the code of a base32 secret, now or at a time, some steps of 30 s later."""
    moment = (time.time() if at_s is None else at_s) + steps * STEP_S
    return TOTP(base64.b32decode(secret), 6, SHA1(), STEP_S).generate(int(moment)).decode()  # noqa: S303 RFC 6238


@dataclass
class Owner(Client):
    """A client that does everything an owner can about the account. Refusals are returned."""

    def approve(
        self, act: Mapping[str, object], *, by: Authenticator | None = None
    ) -> tuple[Reply, str | None]:
        """Have a passkey approve an act; return the last reply and the approval, if any."""
        options = self.send("POST", "/approvals/options", act)
        if options.status != 200:
            return options, None
        credential = (by or self.authenticator).get(options.json["publicKey"], self.origin)
        given = self.send("POST", "/approvals", {"credential": credential})
        return given, given.json.get("approval")

    def approve_by_code(self, act: Mapping[str, object], code: str) -> tuple[Reply, str | None]:
        """Approve an act with a TOTP code; return the last reply and the approval, if any."""
        options = self.send("POST", "/approvals/options", act)
        if options.status != 200:
            return options, None
        given = self.send(
            "POST", "/approvals", {"challenge": options.json["challenge"], "code": code}
        )
        return given, given.json.get("approval")

    def pay(self, to: str | None, amount: str, currency: str, key: str | None = None) -> Reply:
        """Have the passkey approve a transfer, and order it."""
        key = key or uuid.uuid4().hex
        sum_ = {"amount": amount, "currency": currency}
        given, approval = self.approve(
            {"kind": "transfer", "to_account": to, "amount": sum_, "key": key}
        )
        if approval is None:
            return given
        return self.transfer(to, amount, currency, key, headers=[(APPROVAL, approval)])

    def lift_quarantine(self, *, was_you: bool | None = None) -> Reply:
        """Have the passkey lift the account's quarantine."""
        said = {} if was_you is None else {"was_you": was_you}
        return self.approve({"kind": "lift-quarantine", **said})[0]

    def add_passkey(
        self, authenticator: Authenticator, *, label: str | None = None, approved: bool = False
    ) -> Reply:
        """Make a passkey with another authenticator, and have this one approve it."""
        options = self.send("POST", "/passkeys/options", {})
        if options.status != 200:
            return options
        credential = authenticator.create(options.json["publicKey"], self.origin)
        body: dict[str, object] = {"credential": credential}
        if label is not None:
            body["label"] = label
        if approved:
            _, body["approval"] = self.approve(
                {"kind": "add-passkey", "credential": credential["rawId"]}
            )
        return self.send("POST", "/passkeys", body)

    def passkeys(self) -> Reply:
        """Return the account's passkeys."""
        return self.call("GET", "/passkeys")

    def rename_passkey(self, id_: str, label: str) -> Reply:
        """Give a passkey another label."""
        return self.send("PATCH", f"/passkeys/{id_}", {"label": label})

    def remove_passkey(self, id_: str, *, approval: str | None = None) -> Reply:
        """Remove a passkey."""
        return self._delete(f"/passkeys/{id_}", approval=approval)

    def put_password(self, login: str, password: str, *, approved: bool = False) -> Reply:
        """Set the password and the login name."""
        body: dict[str, object] = {"login": login, "password": password}
        if approved:
            _, body["approval"] = self.approve({"kind": "set-password"})
        return self.send("PUT", "/password", body)

    def enrol_totp(self) -> Reply:
        """Ask for a TOTP secret."""
        return self.send("POST", "/totp", {})

    def confirm_totp(self, enrolment: str, code: str, *, approved: bool = False) -> Reply:
        """Confirm a TOTP enrolment by its first code."""
        body: dict[str, object] = {"enrolment": enrolment, "code": code}
        if approved:
            _, body["approval"] = self.approve({"kind": "add-totp", "enrolment": enrolment})
        return self.send("POST", "/totp/confirm", body)

    def remove_totp(self, *, approval: str | None = None) -> Reply:
        """Remove TOTP."""
        return self._delete("/totp", approval=approval)

    def give_password(
        self, login: str, password: str, *, key: ProofKey | None = None, **o: Unpack[Overrides]
    ) -> Reply:
        """Begin a sign-in with a password, under a new proof key or a known one."""
        self.proof_key = key or ProofKey()
        meaning = {"login": login, "password": password}
        bare: Overrides = {"token": None}
        return self.send("POST", "/sessions/password", meaning, **(bare | o))

    def give_code(self, ticket: str, code: str, **overrides: Unpack[Overrides]) -> Reply:
        """Finish a sign-in with a TOTP code; remember the tokens."""
        bare: Overrides = {"token": None}
        meaning = {"ticket": ticket, "code": code}
        reply = self.send("POST", "/sessions/second-factor", meaning, **(bare | overrides))
        return self._remember(reply)

    def give_passkey(self, ticket: str, **overrides: Unpack[Overrides]) -> Reply:
        """Finish a sign-in that a password began with the passkey; remember the tokens."""
        bare: Overrides = {"token": None}
        options = self.send("POST", "/sessions/options", {}, **bare)
        if options.status != 200:
            return options
        credential = self.authenticator.get(options.json["publicKey"], self.origin)
        meaning = {"ticket": ticket, "credential": credential}
        reply = self.send("POST", "/sessions/second-factor", meaning, **(bare | overrides))
        return self._remember(reply)

    def mint_recovery_codes(self, *, approved: bool = True) -> Reply:
        """Mint ten recovery codes."""
        body: dict[str, object] = {}
        if approved:
            _, body["approval"] = self.approve({"kind": "mint-recovery-codes"})
        return self.send("POST", "/recovery-codes", body)

    def recover(self, code: str, **overrides: Unpack[Overrides]) -> Reply:
        """Enrol this authenticator for the account of a recovery code; remember the account."""
        self.proof_key = ProofKey()
        bare: Overrides = {"token": None}
        options = self.send("POST", "/recovery/options", {"code": code}, **bare)
        if options.status != 200:
            return options
        credential = self.authenticator.create(options.json["publicKey"], self.origin)
        meaning = {"code": code, "credential": credential}
        reply = self.send("POST", "/recovery", meaning, **(bare | overrides))
        if reply.status == 200:
            self.account = reply.json["account"]
        return reply

    def cancel_recovery(self) -> Reply:
        """Cancel a recovery, and burn all codes."""
        return self._delete("/recovery")

    def sessions(self) -> Reply:
        """Return the account's live sessions."""
        return self.call("GET", "/sessions")

    def end_session(self, id_: str) -> Reply:
        """End one session."""
        return self._delete(f"/sessions/{id_}")

    def end_sessions(self, *, except_current: bool = False) -> Reply:
        """End every session, or all but this one."""
        return self.call("DELETE", "/sessions", query="except=current" if except_current else "")

    def send(
        self,
        method: str,
        path: str,
        meaning: Mapping[str, object],
        **overrides: Unpack[Overrides],
    ) -> Reply:
        """Send a JSON body with the current token and a fresh proof."""
        body: Overrides = {"body": jws.compact_json(meaning), "content_type": JSON}
        return self.call(method, path, **(body | overrides))

    def _delete(self, path: str, *, approval: str | None = None) -> Reply:
        headers = [(APPROVAL, approval)] if approval else []
        return self.call("DELETE", path, headers=headers)
