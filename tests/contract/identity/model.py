"""What the identity zone promises, in plain Python: no table, no signature, one thing at a time.

A second telling of the rules, for a machine to hold the product against. So it takes nothing from
the product but the names of refusals; its numbers are those of the design.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from portcullis.errors import RefusedError, TooManyRequestsError
from portcullis.evidence.approvals import Act
from portcullis.evidence.errors import EvidenceError, StepUpRequiredError
from portcullis.identity.factors import LastFactorError, NoSuchFactorError, TooManyPasskeysError
from portcullis.identity.gate import SessionEndedError, SessionTerminatedError
from portcullis.identity.second_factor import SecondFactorRefusedError
from portcullis.identity.standing import (
    AccountFrozenError,
    AccountQuarantinedError,
    AccountRestrictedError,
)
from portcullis.identity.starting import SignInRefusedError
from portcullis.identity.tickets import TicketRefusedError
from portcullis.refusals import ApprovalRefusedError, ApprovalRequiredError
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey

DAY_S = 86_400
FRESH_S = 300
TOKEN_S = 900
IDLE_S, ABSOLUTE_S = 7 * DAY_S, 30 * DAY_S
RETRY_S = 30
RETRIES_COUNTED_OVER = 5
LIFTING = {("POST", "/approvals/options"), ("POST", "/approvals")}
APPROVAL_S = 120
TICKET_S = 300
STEP_S = 30
PASSKEYS_MAX = 16
FREE_FAILURES, PAUSE_S_MAX = 4, 900

type Refusal = type[RefusedError | EvidenceError] | None
"""How a request is expected to end: refused in this way, or allowed."""


class Use(Enum):
    """What a refresh token is, when it is presented."""

    CURRENT = auto()
    RETRY = auto()
    SPENT = auto()
    REFUSED = auto()


@dataclass
class Bucket:
    """*burst* requests at once, and as many in each *period_s* from then on."""

    burst: int
    period_s: int
    arrival_s: int = 0

    def charged(self, now_s: int) -> Refusal:
        """Take one request."""
        interval_s = self.period_s // self.burst
        arrival_s = max(self.arrival_s, now_s)
        if arrival_s - now_s > (self.burst - 1) * interval_s:
            return TooManyRequestsError
        self.arrival_s = arrival_s + interval_s
        return None


@dataclass
class Guesses:
    """Codes in a row that were not good: after some, the next has to wait."""

    failures: int = 0
    not_before: int = 0
    forgotten_at: int = 0

    def charged(self, now_s: int) -> Refusal:
        """Count one more, before it is looked at."""
        if now_s < self.not_before:
            return TooManyRequestsError
        self.failures = 1 if now_s >= self.forgotten_at else self.failures + 1
        beyond = self.failures - FREE_FAILURES
        self.not_before = now_s + min(PAUSE_S_MAX, 1 << (beyond - 1)) if beyond > 0 else 0
        self.forgotten_at = now_s + DAY_S
        return None

    def clear(self) -> None:
        """Forget them: one was good."""
        self.failures = self.not_before = 0


@dataclass(eq=False)
class Passkey:
    """A passkey that an account holds, or once held."""

    id: str
    authenticator: Authenticator
    established_at: int
    recovered: bool = False
    removed: bool = False

    def is_full(self, now_s: int) -> bool:
        """Whether it is a factor, and no provisional one."""
        return not self.removed and now_s >= self.established_at


@dataclass(eq=False)
class Password:
    """A password and the login name that it goes with."""

    login: str
    text: str
    established_at: int


@dataclass(eq=False)
class Totp:
    """A TOTP enrolment, and the last step of it that was used."""

    enrolment: str
    secret: bytes
    established_at: int
    last_step: int

    def takes(self, step: int, now_s: int) -> bool:
        """Whether the code of a step is good now."""
        return abs(step - now_s // STEP_S) <= 1 and step > self.last_step


@dataclass(eq=False)
class Code:
    """A recovery code, and the set that it was minted with."""

    text: str
    of_set: int
    used: bool = False


@dataclass(eq=False)
class Ticket:
    """A sign-in that waits for its second factor."""

    text: str
    account: "Account"
    key: ProofKey
    epoch: int
    password: Password
    totp: Totp | None
    expires: int
    used: bool = False

    def refusal(self, now_s: int) -> Refusal:
        """Whether it can be used at all."""
        return TicketRefusedError if self.used or now_s >= self.expires else None

    def overtaken(self, now_s: int) -> Refusal:
        """Whether what it was given for still stands."""
        account = self.account
        stands = account.active and account.epoch == self.epoch
        if not stands or account.password is not self.password:
            return TicketRefusedError
        return self.refusal(now_s)

    def by_code(self, step: int, now_s: int) -> Refusal:
        """Whether the code of a step finishes it."""
        if refusal := self.overtaken(now_s):
            return refusal
        enrolled = self.account.totp
        if enrolled is None or enrolled is not self.totp or not enrolled.takes(step, now_s):
            return SecondFactorRefusedError
        return None


@dataclass(eq=False)
class Token:
    """An access token."""

    compact: str
    epoch: int
    generation: int
    expires: int


@dataclass(eq=False)
class Session:
    """A session with every token that was ever given out for it."""

    sid: str
    account: "Account"
    key: ProofKey
    acr: str
    by_password: bool
    auth_time: int
    epoch: int
    idle_expires: int
    rotated_at: int
    retried: bool = False
    retried_at: int = 0
    """The generation that was last retried."""
    seen: int = 0
    ended: bool = False
    refresh_tokens: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)

    @property
    def generation(self) -> int:
        """The generation of the current refresh token, from 1."""
        return len(self.refresh_tokens)

    @property
    def absolute_expires(self) -> int:
        """When it is over, whatever happens."""
        return self.auth_time + ABSOLUTE_S

    def is_live(self, now_s: int) -> bool:
        """Whether anything of it may still be used."""
        account = self.account
        over = self.ended or now_s >= self.absolute_expires
        return not over and account.active and self.epoch == account.epoch

    def is_listed(self, now_s: int) -> bool:
        """Whether its owner sees it."""
        return self.is_live(now_s) and now_s < self.idle_expires

    def use_of(self, generation: int, *, own_key: bool, now_s: int) -> Use:
        """Return what its refresh token of a generation is."""
        if not self.is_live(now_s):
            return Use.REFUSED
        if generation == self.generation:
            return Use.CURRENT if own_key and now_s < self.idle_expires else Use.REFUSED
        lost = generation == self.generation - 1 and self.seen < self.generation
        in_time = now_s < self.rotated_at + RETRY_S
        return Use.RETRY if lost and in_time and own_key and not self.retried else Use.SPENT

    def is_retried_again(self, generation: int) -> bool:
        """Whether a retry with this token would be the second within five generations."""
        return self.retried_at > max(0, generation + 1 - RETRIES_COUNTED_OVER)

    def weakness(self, route: tuple[str, str], now_s: int) -> Refusal:
        """Whether the sign-in behind it is too weak or too old for a route."""
        method, resource = route
        if method == "GET":
            return None  # a provisional session reads, and no more
        ageless = resource in {"/wallets", "/transfers", "/approvals", "/approvals/options"}
        too_old = not ageless and now_s - self.auth_time > FRESH_S
        return StepUpRequiredError if self.acr == "provisional" or too_old else None

    def asks(self, token: Token, route: tuple[str, str], now_s: int) -> Refusal:
        """Whether a request with one of its access tokens is heard."""
        return EvidenceError if now_s >= token.expires else self.weakness(route, now_s)

    def passes(self, token: Token, now_s: int, route: tuple[str, str] | None = None) -> Refusal:
        """Whether the gate lets a request pass that is strong enough."""
        if self.ended or now_s >= self.absolute_expires:
            return SessionEndedError
        if not token.epoch == self.epoch == self.account.epoch:
            return SessionTerminatedError
        if self.account.quarantined:
            return None if route in LIFTING else AccountQuarantinedError
        return None if self.account.active else AccountRestrictedError


@dataclass(eq=False)
class Approval:
    """A passkey's yes to one act in one session."""

    compact: str
    act: Act
    session: Session
    epoch: int
    passkey: Passkey
    expires: int
    spent: bool = False

    def is_for(self, act: Act, session: Session, token: Token, now_s: int) -> bool:
        """Whether it is for this act in this session, now."""
        same = self.act == act and self.session is session and self.epoch == token.epoch
        return same and now_s < self.expires


@dataclass(eq=False)
class Account:
    """An account: everything that it has, and everything that it ever had."""

    id: str
    passkeys: list[Passkey]
    opened_at: int
    sessions_max: int
    epoch: int = 1
    active: bool = True
    quarantined: bool = False
    frozen_until: int = 0
    demanded_since: int = 0
    quarantined_at: list[int] = field(default_factory=list)
    password: Password | None = None
    totp: Totp | None = None
    codes: list[Code] = field(default_factory=list)
    good_set: int = 0
    sets: int = 0
    passwords: list[Password] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    listed: list[Session] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    events: list[str] = field(default_factory=lambda: ["account-opened"])
    guesses: Guesses = field(default_factory=Guesses)
    enrolments: Bucket = field(default_factory=lambda: Bucket(30, 3600))
    recoveries: Bucket = field(default_factory=lambda: Bucket(10, 3600))
    second_factors: Bucket = field(default_factory=lambda: Bucket(30, 3600))

    def held(self) -> Iterator[Passkey]:
        """The passkeys that are factors."""
        return (one for one in self.passkeys if not one.removed)

    def full(self, now_s: int) -> list[Passkey]:
        """The passkeys that are full factors."""
        return [one for one in self.passkeys if one.is_full(now_s)]

    def has_way_in(self, now_s: int, *, but: Passkey | Totp | None = None) -> bool:
        """Whether a complete, full way in is left without one factor."""
        pair = [self.password, self.totp]
        by_pair = all(one and one is not but and now_s >= one.established_at for one in pair)
        return by_pair or any(one is not but for one in self.full(now_s))

    def acr_of(self, passkey: Passkey, now_s: int) -> str:
        """How strong a sign-in with a passkey is."""
        return "phr" if passkey.is_full(now_s) else "provisional"

    def acr_of_codes(self, now_s: int) -> str:
        """How strong a sign-in with password and TOTP is."""
        pair = [self.password, self.totp]
        full = all(one is not None and now_s >= one.established_at for one in pair)
        return "mfa" if full else "provisional"

    # What is refused, seen from the moment of the write

    def signs_in(self, passkey: Passkey) -> Refusal:
        """Whether a passkey signs in."""
        if passkey.removed or passkey not in self.passkeys:
            return SignInRefusedError
        return None if self.active or self.quarantined else AccountRestrictedError

    def opens(self, login: str, text: str) -> bool:
        """Whether login name and password are right."""
        known = self.password
        return bool(self.active and known and (known.login, known.text) == (login, text))

    def commits(
        self, session: Session, token: Token, approval: Approval | None, now_s: int
    ) -> Refusal:
        """Whether a change in this session's name is committed at all."""
        if not token.epoch == session.epoch == self.epoch:
            return SessionTerminatedError
        if refusal := session.passes(token, now_s):
            return refusal
        if approval and (approval.spent or approval.passkey.removed):
            return ApprovalRefusedError
        return None

    def unapproved(self, approval: Approval | None, now_s: int) -> Refusal:
        """Whether an approval is missing."""
        return ApprovalRequiredError if approval is None and self.full(now_s) else None

    def takes_passkey(self) -> Refusal:
        """Whether there is room for one passkey more."""
        return TooManyPasskeysError if len(list(self.held())) >= PASSKEYS_MAX else None

    def removes(
        self, factor: Passkey | Totp | None, approval: Approval | None, now_s: int
    ) -> Refusal:
        """Whether a factor may be removed."""
        if refusal := self.unapproved(approval, now_s):
            return refusal
        if now_s < self.frozen_until:
            return AccountFrozenError
        if factor is None or (isinstance(factor, Passkey) and factor.removed):
            return NoSuchFactorError
        return None if self.has_way_in(now_s, but=factor) else LastFactorError

    def changes_password(self, session: Session, approval: Approval | None, now_s: int) -> Refusal:
        """Whether the password may be set."""
        if self.password is None or approval is not None:
            return None
        by_old_one = session.by_password and not self.full(now_s)
        return None if by_old_one else ApprovalRequiredError

    def is_good(self, code: Code) -> bool:
        """Whether a recovery code recovers the account."""
        return not code.used and code.of_set == self.good_set

    # What happens

    def start(self, session: Session, now_s: int) -> None:
        """A session starts; the oldest ones make room."""
        if len(self.listed) >= self.sessions_max:
            alive = [one for one in self.listed if one.is_listed(now_s)]
            surplus = max(0, len(alive) - (self.sessions_max - 1))
            for one in alive[:surplus]:
                self.end(one)
            self.listed = alive[surplus:]
        self.listed.append(session)
        self.sessions.append(session)
        self.events.append("session-started")

    def end(self, session: Session) -> None:
        """A session ends, if it has not."""
        if not session.ended:
            session.ended = True
            self.events.append("session-ended")

    def kill(self, *, carried: Session | None = None) -> None:
        """Every session dies but one, whose access tokens do."""
        self.epoch += 1
        if carried is not None:
            carried.epoch = self.epoch

    def quarantine(self, now_s: int) -> None:
        """An anomaly kills every session, and only the lift is left; the third of a day freezes."""
        self.kill()
        if sum(at_s > now_s - DAY_S for at_s in self.quarantined_at[-2:]) == 2:
            self.frozen_until = max(self.frozen_until, now_s + DAY_S)
            self.events.append("money-frozen")
            return
        self.active, self.quarantined = False, True
        self.quarantined_at.append(now_s)
        self.events.append("account-quarantined")

    def lift(self) -> None:
        """The owner lifts the quarantine; what it has killed stays dead."""
        self.active, self.quarantined = True, False
        self.events.append("quarantine-lifted")

    def demand(self, now_s: int) -> None:
        """Money waits for an approval younger than this moment, which is told once in a minute."""
        if self.demanded_since < now_s:
            if self.demanded_since // 60 != now_s // 60:
                self.events.append("approval-demanded")
            self.demanded_since = now_s

    def mint(self, texts: list[str]) -> None:
        """New recovery codes burn the old ones."""
        self.sets += 1
        self.good_set = self.sets
        self.codes += [Code(text, self.sets) for text in texts]

    def cancel(self, now_s: int) -> None:
        """What a recovery brought goes; the codes burn."""
        for one in self.held():
            if one.recovered and now_s < one.established_at:
                one.removed = True
        self.good_set = 0

    def has_recovery(self, now_s: int) -> bool:
        """Whether there is anything to cancel."""
        fresh = any(one.recovered and now_s < one.established_at for one in self.held())
        return fresh or self.good_set != 0
