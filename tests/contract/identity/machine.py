"""Three accounts to which anything happens in any order, each outcome foretold by the model.

The machine speaks to the domain behind the handlers, with real keys, proofs, codes and approvals,
and reads the tables around it.
"""

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from portcullis.aws import dynamodb
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.approvals import Act
from portcullis.evidence.errors import InvalidTokenError, StepUpRequiredError
from portcullis.identity import (
    accounts,
    approving,
    assurance,
    changes,
    credentials,
    gate,
    nonces,
    passkey_adding,
    passkey_list,
    password_setting,
    password_sign_in,
    recovery,
    recovery_cancelling,
    recovery_codes,
    refresh,
    revocation,
    second_factor,
    session_list,
    sign_in,
    sign_out,
    tables,
    totp,
    totp_enrolment,
)
from portcullis.identity.approving import NoApproverError
from portcullis.identity.assurance import Route
from portcullis.identity.changes import Principal
from portcullis.identity.factors import Factors
from portcullis.identity.families import InvalidGrantError
from portcullis.identity.gate import SessionTerminatedError
from portcullis.identity.logins import LoginTakenError
from portcullis.identity.passkey_adding import Addition
from portcullis.identity.passkeys import Assertion, PasskeyRefusedError, Registration
from portcullis.identity.recovery_cancelling import NoRecoveryError
from portcullis.identity.recovery_codes import RecoveryRefusedError
from portcullis.identity.session_list import NoSuchSessionError
from portcullis.identity.starting import SignInRefusedError
from portcullis.identity.tokens import Tokens
from portcullis.identity.totp_enrolment import CodeRefusedError, TotpEnrolledError
from portcullis.refusals import ApprovalRefusedError
from portcullis.settings import setting
from portcullis.source import Source
from tests.contract.identity import model, records
from tests.contract.identity.deeds import AGAIN, DEEDS, FIRST, NOBODY, PAIRS, Deed
from tests.contract.identity.model import (
    DAY_S,
    Account,
    Approval,
    Bucket,
    Passkey,
    Password,
    Refusal,
    Session,
    Ticket,
    Token,
    Totp,
    Use,
)
from tests.contract.identity.people import (
    ELSEWHERE,
    OPEN,
    OPEN_OPTIONS,
    SIGN_IN,
    SIGN_IN_OPTIONS,
    TOKEN,
    caller_of,
    proof_and_compact,
    proof_of,
    totp_code,
)
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey
from tests.support.tables import Tables

ACCOUNTS = 3
NEVER = "seven green otters hum"
"""Nobody's password, but what all of them begin with."""
STARTED_AT = 1_800_000_000
SESSIONS_MAX = 5
"""Lower than the product's, so that sessions are displaced in sequences of a sensible length."""


class Watch:
    """The machine's clock."""

    now_s = STARTED_AT

    def read(self) -> int:
        return self.now_s


class Between:
    """Whatever is to happen once, between the next read and the write that follows it."""

    deed: Callable[[], object] | None = None

    def before[**P](self, write: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(write)
        def writing(*args: P.args, **kwargs: P.kwargs) -> None:
            deed, self.deed = self.deed, None
            if deed is not None:
                deed()
            write(*args, **kwargs)

        return writing


def _outcome[T](deed: Callable[[], T]) -> T | Exception:
    try:
        return deed()
    except Exception as refusal:  # noqa: BLE001 the model judges it
        return refusal


def _granted[T](outcome: T | Exception, foretold: Refusal) -> T | None:
    """Demand the outcome that was foretold; return what was granted, None if it was refused."""
    if isinstance(outcome, Exception):
        if type(outcome) is not foretold:
            told = foretold.__name__ if foretold else "allowed"
            raise AssertionError(f"{type(outcome).__name__}, not {told}") from outcome
        return None
    assert foretold is None, f"allowed, not {foretold.__name__}"
    return outcome


def _from_end[T](several: list[T], index: int) -> T:
    return several[-1 - index % len(several)]


class Machine(RuleBasedStateMachine):
    """Three accounts, whatever their owners and thieves may think of, and one clock."""

    networks = itertools.count(1)

    def __init__(self, tables_: Tables, watch: Watch, between: Between) -> None:
        super().__init__()
        self._tables, self._watch, self._between = tables_, watch, between
        watch.now_s, between.deed = STARTED_AT, None
        # Each sequence has its own network, or the buckets of the one before would be full.
        self._example = next(self.networks)
        # All of them are in one country, which is not ELSEWHERE.
        address = f"25.{self._example >> 8}.{self._example % 256}.1"
        self._source = Source.of(address=address, user_agent="")
        self._accounts: list[Account] = []
        self._tickets: list[Ticket] = []
        self._owner_of: dict[str, Account] = {}
        self._logins: dict[str, Bucket] = {}
        self._passwords = itertools.count(1)
        self._touched: set[Account] = set()
        self._agrees = True

    @property
    def _now(self) -> int:
        return self._watch.now_s

    @initialize(by=PAIRS)
    def open_accounts(self, by: int | None) -> None:
        """Everybody opens an account; the first one has codes, burned ones, and perhaps a pair."""
        for _ in range(ACCOUNTS):
            key, holder = ProofKey(), _synced()
            proof = proof_of(key, OPEN_OPTIONS, at_s=self._now)
            options = accounts.options(proof=proof, source=self._source, now_s=self._now)
            registration = self._made(holder, options)
            proof, compact = proof_and_compact(key, OPEN, at_s=self._now)
            account = accounts.open_account(
                registration,
                proof=proof,
                compact_proof=compact,
                source=self._source,
                now_s=self._now,
            )
            passkey = Passkey(_passkey_id(holder), holder, established_at=self._now)
            self._accounts.append(Account(account, [passkey], self._now, SESSIONS_MAX))
        for _ in range(2):
            self.mint(0, NOBODY, FIRST)
        if by is not None:
            self.set_password(0, NOBODY, by, shared=False)
            self.add_totp(0, NOBODY, by, -1)
            self.sign_in_by_code(0, 0, first=None)

    @rule(deed=DEEDS)
    def do(self, deed: Deed) -> None:
        """Do anything.

        One rule, and not one for each deed: Hypothesis switches rules off at random for a whole
        sequence, which so few sequences cannot afford.
        """
        self._do(deed)

    def _do(self, deed: Deed) -> None:
        name, arguments = deed
        getattr(self, name)(**arguments)

    # Ways in

    def sign_in(self, account: int, passkey: int) -> None:
        """Sign in with a passkey, which may be provisional or removed."""
        owner = self._account(account)
        self._sign_in(owner, _from_end(owner.passkeys, passkey))

    def _sign_in(self, owner: Account, passkey: Passkey) -> Session | None:
        key = ProofKey()
        assertion = self._asserted(key, passkey)
        proof = proof_of(key, SIGN_IN, at_s=self._now)
        outcome = self._meanwhile(
            lambda: sign_in.sign_in(assertion, proof=proof, source=self._source, now_s=self._now)
        )
        started = _granted(outcome, owner.signs_in(passkey))
        if started is None:
            return None
        return self._started(owner, started, key, acr=owner.acr_of(passkey, self._now))

    def begin(self, account: int, *, known: bool) -> None:
        """Give login name and password, or what was the password once, or never."""
        owner = self._account(account)
        if not owner.passwords:
            return
        shown, key = owner.passwords[-1 if known else 0], ProofKey()
        login, text = shown.login, shown.text
        if shown is owner.password and not known:
            text = NEVER
        throttled = self._logins.setdefault(login, Bucket(20, 1200)).charged(self._now)
        outcome = _outcome(
            lambda: password_sign_in.begin(
                login,
                text,
                proof=proof_of(key, "/sessions/password", at_s=self._now),
                source=self._source,
                now_s=self._now,
            )
        )
        right = None if owner.opens(login, text) else SignInRefusedError
        pending = _granted(outcome, throttled or right)
        if pending is None:
            return
        expires = self._now + model.TICKET_S
        self._tickets.append(
            Ticket(pending.ticket, owner, key, owner.epoch, shown, owner.totp, expires)
        )

    def sign_in_by_code(self, account: int, offset: int, first: Deed | None) -> None:
        """Sign in with the password and a TOTP code, at once or after something else."""
        self.begin(account, known=True)
        if first is not None:
            self._do((first[0], {**first[1], "account": account}))
        if self._account(account).password is not None:
            self.answer_code(0, offset)

    def answer_code(self, ticket: int, offset: int) -> None:
        """Finish a sign-in with a TOTP code of about now, which may have been used."""
        if not self._tickets:
            return
        pending = _from_end(self._tickets, ticket)
        owner, step = pending.account, self._now // model.STEP_S + offset
        code = "000000" if owner.totp is None else totp_code(owner.totp.secret, step * 30)
        early = pending.refusal(self._now)
        early = early or owner.guesses.charged(self._now) or owner.second_factors.charged(self._now)
        proof = proof_of(pending.key, "/sessions/second-factor", at_s=self._now)
        outcome = self._meanwhile(
            lambda: second_factor.by_code(
                pending.text, code, proof=proof, source=self._source, now_s=self._now
            )
        )
        started = _granted(outcome, early or pending.by_code(step, self._now))
        if started is None or owner.totp is None:
            return
        pending.used, owner.totp.last_step = True, step
        owner.guesses.clear()
        acr = owner.acr_of_codes(self._now)
        self._started(owner, started, pending.key, acr=acr, by_password=True)

    def answer_passkey(self, ticket: int, stranger: int, passkey: int) -> None:
        """Finish a sign-in with a passkey, which may be another account's."""
        if not self._tickets:
            return
        pending = _from_end(self._tickets, ticket)
        owner = pending.account
        whose = self._accounts[(self._accounts.index(owner) + stranger) % ACCOUNTS]
        answering = _from_end(whose.passkeys, passkey)
        assertion = self._asserted(pending.key, answering)
        early = pending.refusal(self._now)
        proof = proof_of(pending.key, "/sessions/second-factor", at_s=self._now)
        outcome = self._meanwhile(
            lambda: second_factor.by_passkey(
                pending.text, assertion, proof=proof, source=self._source, now_s=self._now
            )
        )
        late = pending.overtaken(self._now) or owner.signs_in(answering)
        started = _granted(outcome, early or late)
        if started is None:
            return
        pending.used = True
        acr = owner.acr_of(answering, self._now)
        self._started(owner, started, pending.key, acr=acr, by_password=True)

    # Sessions

    def refresh(self, account: int, session: int, generation: int, *, own: bool) -> None:
        """Present a refresh token: the current one or an older one, perhaps with another key."""
        if used := self._session(account, session):
            self._refresh(used, max(1, used.generation - generation), own_key=own)

    def _refresh(self, session: Session, generation: int, *, own_key: bool) -> None:
        key, nonce = session.key if own_key else ProofKey(), nonces.current(self._now)
        text = session.refresh_tokens[generation - 1]
        assert nonce
        proof = proof_of(key, TOKEN, at_s=self._now)
        owner, epoch = session.account, session.account.epoch
        use = session.use_of(generation, own_key=own_key, now_s=self._now)
        judged = use is Use.RETRY and session.is_retried_again(generation)
        outcome = self._meanwhile(
            lambda: refresh.refresh(text, proof=proof, source=self._source, now_s=self._now)
        )
        use = session.use_of(generation, own_key=own_key, now_s=self._now)
        if (judged and owner.active and owner.epoch == epoch) or (
            use is Use.RETRY and session.is_retried_again(generation)
        ):
            owner.demand(self._now)
        allowed = use in {Use.CURRENT, Use.RETRY}
        issued = _granted(outcome, None if allowed else InvalidGrantError)
        if use is Use.SPENT:
            session.account.end(session)
        if issued is None:
            return
        if use is Use.RETRY:
            assert issued.refresh_token == session.refresh_tokens[-1]
            session.retried, session.retried_at = True, session.generation
        else:
            session.refresh_tokens.append(issued.refresh_token)
            session.rotated_at, session.retried = self._now, False
            idle_expires = self._now + model.IDLE_S
            session.idle_expires = min(idle_expires, session.absolute_expires)
        self._given(session, issued)

    def revoke(self, account: int, session: int, generation: int) -> None:
        """Revoke any refresh token of a session."""
        if used := self._session(account, session):
            text = _from_end(used.refresh_tokens, generation)
            outcome = self._meanwhile(lambda: revocation.revoke(text, now_s=self._now))
            _granted(outcome, None)
            used.account.end(used)

    def come(self, account: int, session: int, token: int, route: Route) -> None:
        """Come to the gate with any access token that was ever given out."""
        if used := self._session(account, session):
            self._come(used, _from_end(used.tokens, token), route)

    def _come(
        self,
        session: Session,
        token: Token,
        route: Route,
        *,
        source: Source | None = None,
        elsewhere: Refusal = None,
    ) -> bool:
        method, resource = route
        proof = session.key.proof(
            method,
            setting("PUBLIC_ORIGIN") + resource,
            access_token=token.compact,
            nonce=nonces.current(self._now),
            now=self._now,
        )
        foretold: Refusal = session.weakness(route, self._now)
        foretold = foretold or session.passes(token, self._now, route)
        admitted = _granted(
            _outcome(
                lambda: gate.admit(
                    authorization=f"DPoP {token.compact}",
                    proof=proof,
                    method=method,
                    path=resource,
                    resource=resource,
                    source=source or self._source,
                )
            ),
            InvalidTokenError if self._now >= token.expires else foretold or elsewhere,
        )
        if admitted is None:
            return False
        session.seen = max(session.seen, token.generation)
        return True

    def travel(self, account: int, session: int, *, lift: bool) -> None:
        """Come from home and then from elsewhere; the owner lifts the quarantine, or others do."""
        used = self._session(account, session)
        if used is None or not self._come(used, used.tokens[-1], ("GET", "/sessions")):
            return
        owner, token = used.account, used.tokens[-1]
        self._come(
            used,
            token,
            ("GET", "/sessions"),
            source=ELSEWHERE,
            elsewhere=SessionTerminatedError,
        )
        if not owner.active:
            return  # overtaken by an end of its right to act
        owner.quarantine(self._now)
        if owner.active:
            return
        full = owner.full(self._now)
        if lift and full:
            self._lift(owner, full[0])
        else:
            records.restrict(self._tables, owner.id, status="ACTIVE")
            owner.active, owner.quarantined = True, False

    def _lift(self, owner: Account, passkey: Passkey) -> None:
        mine, act = self._sign_in(owner, passkey), Act(kind="lift-quarantine", fields=["yes"])
        assert mine is not None
        for route in assurance.DEMANDS:
            assert self._come(mine, mine.tokens[-1], route) is (route in model.LIFTING)
        options = approving.options(
            act,
            principal=self._principal(mine, ("POST", "/approvals/options")),
            now_s=self._now,
        )
        answer = passkey.authenticator.get(options["publicKey"], setting("PUBLIC_ORIGIN"))
        lifted = approving.by_passkey(
            Assertion.model_validate(answer),
            principal=self._principal(mine, ("POST", "/approvals")),
            now_s=self._now,
        )
        assert lifted is None
        owner.lift()

    def end_one(self, account: int, session: int, other: int, stranger: int) -> None:
        """End a session: one's own, another of one's own, or somebody else's."""
        mine = self._caller(account, session)
        target = self._session((account + stranger) % ACCOUNTS, other)
        if mine is None or target is None:
            return

        def late() -> Refusal:
            over = target.ended or target.epoch != target.account.epoch
            return NoSuchSessionError if over or target.account is not mine.account else None

        self._changes(
            mine,
            ("DELETE", "/sessions/{id}"),
            lambda principal: sign_out.end_one(target.sid, principal=principal, now_s=self._now),
            late=late,
            apply=lambda: mine.account.end(target),
        )

    def end_all(self, account: int, session: int, *, kept: bool) -> None:
        """End all sessions, or all but one's own."""
        mine = self._caller(account, session)
        if mine is None:
            return

        def apply() -> None:
            mine.account.kill(carried=mine if kept else None)
            mine.account.events.append("sessions-ended")

        self._changes(
            mine,
            ("DELETE", "/sessions"),
            lambda principal: sign_out.end_all(
                except_current=kept, principal=principal, now_s=self._now
            ),
            apply=apply,
        )

    # Factors

    def add_passkey(self, account: int, session: int, by: int, *, used: bool) -> None:
        """Add a passkey, approved or not, and perhaps sign in with it."""
        mine = self._caller(account, session)
        if mine is None or not self._is_let_in(mine, ("POST", "/passkeys/options")):
            return
        owner, holder = mine.account, _synced()
        early = owner.enrolments.charged(self._now) or owner.takes_passkey()
        options = _granted(
            _outcome(
                lambda: passkey_adding.options(
                    self._principal(mine, ("POST", "/passkeys/options")), now_s=self._now
                )
            ),
            early,
        )
        if options is None:
            return
        bare = Addition(credential=self._made(holder, options))
        approval = self._approval(mine, bare.act, by)
        addition = bare.model_copy(update={"approval": approval.compact if approval else None})
        token = mine.tokens[-1]
        evidence = caller_of(mine.key, token.compact, "POST", "/passkeys", at_s=self._now)

        def apply() -> None:
            established_at = self._now + (0 if approval else DAY_S)
            owner.passkeys.append(Passkey(_passkey_id(holder), holder, established_at))
            owner.events.append("passkey-added")
            if used:
                self._sign_in(owner, owner.passkeys[-1])

        self._changes(
            mine,
            ("POST", "/passkeys"),
            lambda principal: passkey_adding.add(
                addition,
                principal=replace(principal, proof=evidence.proof),
                evidence=evidence,
                now_s=self._now,
            ),
            act=bare.act,
            approval=approval,
            enrols=True,
            late=owner.takes_passkey,
            apply=apply,
        )

    def remove_passkey(self, account: int, session: int, passkey: int, by: int) -> None:
        """Remove a passkey: perhaps the last one, perhaps again."""
        mine = self._caller(account, session)
        if mine is None:
            return
        owner = mine.account
        gone = _from_end(owner.passkeys, passkey)
        act = Act(kind="remove-passkey", fields=[gone.id])
        approval = self._approval(mine, act, by)

        def apply() -> None:
            gone.removed = True
            owner.kill(carried=mine)
            owner.events.append("passkey-removed")

        self._changes(
            mine,
            ("DELETE", "/passkeys/{id}"),
            lambda principal: passkey_list.remove(gone.id, principal=principal, now_s=self._now),
            act=act,
            approval=approval,
            late=lambda: owner.removes(gone, approval, self._now),
            apply=apply,
        )

    def set_password(self, account: int, session: int, by: int, *, shared: bool) -> None:
        """Set or change the password, under a login name of one's own or one that all want."""
        mine = self._caller(account, session)
        if mine is None:
            return
        owner, act = mine.account, Act(kind="set-password", fields=[])
        login = f"{'all' if shared else account}-{self._example}@example.test"
        text = f"{NEVER} {next(self._passwords)}"
        approval = self._approval(mine, act, by)

        def late() -> Refusal:
            if self._owner_of.get(login, owner) is not owner:
                return LoginTakenError
            return owner.changes_password(mine, approval, self._now)

        def apply() -> None:
            before, established_at = owner.password, self._now + (0 if approval else DAY_S)
            if before is not None:
                established_at = self._now if approval else before.established_at
                owner.kill(carried=mine)
            self._owner_of[login] = owner
            owner.password = Password(login, text, established_at)
            owner.passwords.append(owner.password)
            owner.events.append("password-set")

        self._changes(
            mine,
            ("PUT", "/password"),
            lambda principal: password_setting.put(
                login, text, principal=principal, now_s=self._now
            ),
            act=act,
            approval=approval,
            enrols=True,
            late=late,
            apply=apply,
        )

    def add_totp(self, account: int, session: int, by: int, offset: int) -> None:
        """Enrol TOTP and confirm it by its first code, or a wrong one."""
        mine = self._caller(account, session)
        if mine is None or not self._is_let_in(mine, ("POST", "/totp")):
            return
        owner = mine.account
        enrolled = _granted(
            _outcome(
                lambda: totp_enrolment.enrol(
                    self._principal(mine, ("POST", "/totp")), now_s=self._now
                )
            ),
            owner.enrolments.charged(self._now),
        )
        if enrolled is None:
            return
        enrolment, secret = enrolled["enrolment"], totp.secret_in(enrolled["secret"])
        step = self._now // model.STEP_S + offset
        act = Act(kind="add-totp", fields=[enrolment])
        approval = self._approval(mine, act, by)
        established_at = self._now + (0 if approval else DAY_S)
        added = Totp(enrolment, secret, established_at, last_step=0)

        def late() -> Refusal:
            if owner.totp is not None:
                return TotpEnrolledError
            return None if added.takes(step, self._now) else CodeRefusedError

        def apply() -> None:
            added.last_step, owner.totp = step, added
            owner.events.append("totp-added")

        self._changes(
            mine,
            ("POST", "/totp/confirm"),
            lambda principal: totp_enrolment.confirm(
                enrolment,
                totp_code(secret, step * model.STEP_S),
                principal=principal,
                now_s=self._now,
            ),
            act=act,
            approval=approval,
            enrols=True,
            late=late,
            apply=apply,
        )

    def remove_totp(self, account: int, session: int, by: int) -> None:
        """Remove TOTP, if there is any."""
        mine = self._caller(account, session)
        if mine is None:
            return
        owner, act = mine.account, Act(kind="remove-totp", fields=[])
        approval = self._approval(mine, act, by)

        def apply() -> None:
            owner.totp = None
            owner.kill(carried=mine)
            owner.events.append("totp-removed")

        self._changes(
            mine,
            ("DELETE", "/totp"),
            lambda principal: totp_enrolment.remove(principal, now_s=self._now),
            act=act,
            approval=approval,
            late=lambda: owner.removes(owner.totp, approval, self._now),
            apply=apply,
        )

    # Recovery

    def mint(self, account: int, session: int, by: int) -> None:
        """Mint recovery codes, and once more with the same approval."""
        mine = self._caller(account, session)
        if mine is None:
            return
        owner, act = mine.account, Act(kind="mint-recovery-codes", fields=[])
        approval, minted = self._approval(mine, act, by), list[str]()

        def apply() -> None:
            owner.mint(minted)
            owner.events.append("recovery-codes-minted")

        for _ in range(2):
            self._changes(
                mine,
                ("POST", "/recovery-codes"),
                lambda principal: minted.__setitem__(
                    slice(None), recovery_codes.mint(principal, now_s=self._now)
                ),
                act=act,
                approval=approval,
                enrols=True,
                late=lambda: owner.unapproved(approval, self._now),
                apply=apply,
            )

    def recover(self, account: int, code: int, *, used: bool) -> None:
        """Recover an account with a code: a good one, a used one or a burned one; and sign in."""
        owner = self._account(account)
        if not owner.codes:
            return
        shown, key, holder = _from_end(owner.codes, code), ProofKey(), _synced()
        bad = None if owner.is_good(shown) else RecoveryRefusedError
        options = _granted(
            _outcome(
                lambda: recovery.options(
                    shown.text,
                    proof=proof_of(key, "/recovery/options", at_s=self._now),
                    source=self._source,
                    now_s=self._now,
                )
            ),
            bad or owner.recoveries.charged(self._now),
        )
        if options is None:
            return
        registration = self._made(holder, options)
        proof, compact = proof_and_compact(key, "/recovery", at_s=self._now)
        early = owner.recoveries.charged(self._now)
        outcome = self._meanwhile(
            lambda: recovery.recover(
                shown.text,
                registration,
                proof=proof,
                compact_proof=compact,
                source=self._source,
                now_s=self._now,
            )
        )
        bad = None if owner.is_good(shown) else RecoveryRefusedError
        if _granted(outcome, early or bad or owner.takes_passkey()) is None:
            return
        shown.used = True
        owner.passkeys.append(
            Passkey(_passkey_id(holder), holder, self._now + DAY_S, recovered=True)
        )
        owner.frozen_until = max(owner.frozen_until, self._now + DAY_S)
        owner.kill()
        owner.events.append("recovery-started")
        if used:
            self._sign_in(owner, owner.passkeys[-1])

    def cancel(self, account: int, session: int) -> None:
        """Cancel a recovery, if there is one."""
        mine = self._caller(account, session)
        if mine is None:
            return
        owner = mine.account

        def apply() -> None:
            owner.cancel(self._now)
            owner.kill(carried=mine)
            owner.events.append("recovery-cancelled")

        self._changes(
            mine,
            ("DELETE", "/recovery"),
            lambda principal: recovery_cancelling.cancel(principal, now_s=self._now),
            late=lambda: None if owner.has_recovery(self._now) else NoRecoveryError,
            apply=apply,
        )

    # Around the product

    def quarantine(self, account: int, *, killed: bool) -> None:
        """Take an account's right to act; a kill raises its epoch too."""
        owner = self._account(account)
        if killed:
            records.kill(self._tables, owner.id, status=records.RESTRICTED)
            owner.kill()
        else:
            records.restrict(self._tables, owner.id)
        owner.active = False

    def lift(self) -> None:
        """Give it back, in an epoch of its own."""
        for owner in self._accounts:
            if not owner.active:
                self._touched.add(owner)
                records.kill(self._tables, owner.id)
                owner.kill()
                owner.active = True

    def wait(self, pause_s: int) -> None:
        """Let time pass."""
        self._watch.now_s += pause_s

    def overtake(self, slow: Deed, fast: Deed) -> None:
        """Do one thing, and another one to the same account between its read and its write."""
        if "account" in slow[1] and "account" in fast[1]:
            fast = (fast[0], {**fast[1], "account": slow[1]["account"]})
        self._overtaking = functools.partial(self._do, fast)
        self._do(slow)
        self._overtaking = None
        if fast[0] == "quarantine":
            self.lift()  # or most of what follows would be refused for this alone

    # What must be true after each step

    @invariant()
    def tables_agree(self) -> None:
        """The tables hold what the model holds, and no dead token passes the gate."""
        touched, self._touched = self._touched, set()
        for owner in touched:
            self._agree(owner)
            for session in owner.sessions:
                for token in session.tokens:
                    # Not one that is alive: the gate would see it, and that changes its family.
                    if session.passes(token, self._now) and self._now < token.expires:
                        self._come(session, token, ("GET", "/sessions"))
        self._agrees = True

    def _agree(self, owner: Account) -> None:
        standing, enrolled, listed, head, *items = dynamodb.batch_get(
            (tables.standing(), tables.standing_key(owner.id)),
            (tables.identity(), tables.factors_key(owner.id)),
            (tables.identity(), tables.sessions_key(owner.id)),
            (tables.identity(), tables.outbox_key(owner.id)),
            *((tables.identity(), tables.session_key(one.sid)) for one in owner.sessions),
        )
        assert standing is not None
        assert enrolled is not None
        assert listed is not None
        assert head is not None
        assert head["last"] == len(owner.events)
        assert standing["epoch"] == owner.epoch
        assert (standing["status"] == "ACTIVE") is owner.active
        assert standing["frozen_until"] == owner.frozen_until
        assert standing["approval_required_since"] == owner.demanded_since
        held = Factors.from_item(enrolled)
        assert [(one.id, one.established_at, one.recovered) for one in held.passkeys] == [
            (one.id, one.established_at, one.recovered) for one in owner.held()
        ]
        assert _established(held.password) == _established(owner.password)
        assert _established(held.totp) == _established(owner.totp)
        assert bool(held.codes) == bool(owner.good_set)
        assert held.has_way_in(self._now)
        assert owner.has_way_in(self._now)
        stored = {item["sid"]: item for item in items if item is not None}
        assert [
            (one.sid, one.ended, one.epoch, one.acr, one.generation) for one in owner.sessions
        ] == [
            (sid, item["status"] != "LIVE", item["epoch"], item["acr"], item["generation"])
            for sid, item in stored.items()
        ]
        assert list(listed["sids"]) == [one.sid for one in owner.listed]
        assert sum(one.is_listed(self._now) for one in owner.sessions) <= SESSIONS_MAX

    def teardown(self) -> None:
        """Let everything that was ever given out be shown once more."""
        if not self._agrees:
            return  # the failure that is being reported came before
        self._between.deed = self._overtaking = None
        for owner in self._accounts:
            self._agree(owner)
        assert self._stored_sids() == {one.sid for own in self._accounts for one in own.sessions}
        for session in [one for owner in self._accounts for one in owner.sessions]:
            for token in session.tokens:
                if self._come(session, token, ("GET", "/sessions")):
                    self._lists(session, token)
            for generation in range(session.generation, 0, -1):
                self._refresh(session, generation, own_key=True)
        for owner in self._accounts:
            self._agree(owner)
            assert [event["kind"] for event in records.events(owner.id)] == owner.events

    def _lists(self, session: Session, token: Token) -> None:
        claims = AccessToken.model_validate(jws.claims_of(token.compact))
        shown = [one["id"] for one in session_list.show(claims, now_s=self._now)]
        alive = [one.sid for one in session.account.sessions if one.is_listed(self._now)]
        assert shown == alive[::-1]

    def _stored_sids(self) -> set[str]:
        """Return the sid of every session of these accounts in the table, known or not."""
        ids = {f":a{at}": {"S": owner.id} for at, owner in enumerate(self._accounts)}
        query: dict[str, Any] = {
            "TableName": self._tables.identity,
            "ConsistentRead": True,
            "FilterExpression": f"begins_with(pk, :session) AND account IN ({', '.join(ids)})",
            "ExpressionAttributeValues": {":session": {"S": "SESSION#"}, **ids},
        }
        found: set[str] = set()
        while True:
            page = self._tables.call("scan", **query)
            found |= {item["sid"]["S"] for item in page["Items"]}
            if "LastEvaluatedKey" not in page:
                return found
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    # How the rules do it

    _overtaking: Callable[[], object] | None = None

    def _account(self, index: int) -> Account:
        account = self._accounts[index]
        self._touched.add(account)
        self._agrees = False
        return account

    def _session(self, account: int, index: int) -> Session | None:
        held = self._account(account).sessions
        return _from_end(held, index) if held else None

    def _caller(self, account: int, index: int) -> Session | None:
        """Return a session by how long ago it began, or one that may do everything."""
        if index != NOBODY:
            return self._session(account, index)
        owner = self._account(account)
        for one in reversed(owner.sessions):
            token, route = one.tokens[-1], ("DELETE", "/sessions")
            if not (one.asks(token, route, self._now) or one.passes(token, self._now)):
                return one
        full = owner.full(self._now)
        return self._sign_in(owner, full[0]) if full else self._session(account, 0)

    def _meanwhile[T](self, deed: Callable[[], T]) -> T | Exception:
        """Do something, and what was to overtake it before its write."""
        self._between.deed, self._overtaking = self._overtaking, None
        try:
            return _outcome(deed)
        finally:
            self._between.deed = None

    def _started(
        self, owner: Account, started: Tokens, key: ProofKey, *, acr: str, by_password: bool = False
    ) -> Session:
        claims = jws.claims_of(started.access_token)
        assert claims["sub"] == owner.id
        session = Session(
            sid=str(claims["sid"]),
            account=owner,
            key=key,
            acr=acr,
            by_password=by_password,
            auth_time=self._now,
            epoch=owner.epoch,
            idle_expires=self._now + model.IDLE_S,
            rotated_at=self._now,
        )
        session.refresh_tokens.append(started.refresh_token)
        owner.start(session, self._now)
        self._given(session, started)
        return session

    def _given(self, session: Session, given: Tokens) -> None:
        """Take an access token; a provisional one is refused at once at all that it may not do."""
        claims = jws.claims_of(given.access_token)
        told = (claims["acr"], claims["epoch"], claims["gen"], claims["auth_time"])
        assert told == (session.acr, session.epoch, session.generation, session.auth_time)
        expires = min(self._now + model.TOKEN_S, session.absolute_expires)
        token = Token(given.access_token, session.epoch, session.generation, expires)
        session.tokens.append(token)
        if session.acr != "provisional":
            return
        for route, demand in assurance.DEMANDS.items():
            if demand.acr != assurance.PROVISIONAL:
                assert not self._come(session, token, route)
                with pytest.raises(StepUpRequiredError):
                    self._principal(session, route)

    def _asserted(self, key: ProofKey, passkey: Passkey) -> Assertion:
        options = sign_in.options(
            proof=proof_of(key, SIGN_IN_OPTIONS, at_s=self._now),
            source=self._source,
            now_s=self._now,
        )
        answer = passkey.authenticator.get(options, setting("PUBLIC_ORIGIN"))
        return Assertion.model_validate(answer)

    def _made(self, holder: Authenticator, options: Mapping[str, Any]) -> Registration:
        answer = holder.create(options, setting("PUBLIC_ORIGIN"))
        return Registration.model_validate(answer)

    def _principal(
        self, session: Session, route: Route, *, act: Act | None = None, approval: str | None = None
    ) -> Principal:
        token, (method, resource) = session.tokens[-1].compact, route
        who = caller_of(session.key, token, method, resource, at_s=self._now)
        return changes.principal(who, route=route, act=act, approval=approval, now_s=self._now)

    def _is_let_in(self, session: Session, route: Route) -> bool:
        """Whether the gate lets the session's newest token pass, as was foretold."""
        return self._come(session, session.tokens[-1], route)

    def _changes[T](
        self,
        session: Session,
        route: Route,
        change: Callable[[Principal], T],
        *,
        apply: Callable[[], None],
        late: Callable[[], Refusal] = lambda: None,
        act: Act | None = None,
        approval: Approval | None = None,
        enrols: bool = False,
    ) -> None:
        """Ask for a change past the gate, and demand the outcome that was foretold.

        ``late``: what refuses it at the moment of its write, and ``apply``: what it changes.
        """
        owner, token = session.account, session.tokens[-1]
        early = session.asks(token, route, self._now)
        if (
            early is None
            and approval
            and act
            and not approval.is_for(act, session, token, self._now)
        ):
            early = ApprovalRefusedError
        if early is None and enrols:
            early = owner.enrolments.charged(self._now)
        compact = approval.compact if approval else None

        def ask() -> bool:
            change(self._principal(session, route, act=act, approval=compact))
            return True

        outcome = self._meanwhile(ask)
        foretold = early or owner.commits(session, token, approval, self._now) or late()
        if _granted(outcome, foretold):
            if approval is not None:
                approval.spent = True
            apply()

    def _approval(self, session: Session, act: Act, by: int) -> Approval | None:
        """Return an approval of *act*, if the one who is to give it can."""
        owner, token = session.account, session.tokens[-1]
        full = owner.full(self._now)
        if by == AGAIN and owner.approvals:
            return owner.approvals[-1]
        if by in {NOBODY, AGAIN} or (by == FIRST and not full):
            return None
        if not self._is_let_in(session, ("POST", "/approvals/options")):
            return None
        asked: Refusal = None if full else NoApproverError
        options = _granted(
            _outcome(
                lambda: approving.options(
                    act,
                    principal=self._principal(session, ("POST", "/approvals/options")),
                    now_s=self._now,
                )
            ),
            asked,
        )
        if options is None:
            return None
        passkey = full[0] if by == FIRST else _from_end(owner.passkeys, by)
        anybody = {
            name: value
            for name, value in options["publicKey"].items()
            if name != "allowCredentials"
        }
        answer = passkey.authenticator.get(anybody, setting("PUBLIC_ORIGIN"))
        given = _granted(
            _outcome(
                lambda: approving.by_passkey(
                    Assertion.model_validate(answer),
                    principal=self._principal(session, ("POST", "/approvals")),
                    now_s=self._now,
                )
            ),
            None if passkey.is_full(self._now) else PasskeyRefusedError,
        )
        if given is None:
            return None
        expires = self._now + model.APPROVAL_S
        approval = Approval(given, act, session, token.epoch, passkey, expires)
        owner.approvals.append(approval)
        return approval


def _synced() -> Authenticator:
    # One that counts would let an answer be overtaken by a later one of its own.
    return Authenticator(counts=False)


def _passkey_id(holder: Authenticator) -> str:
    return credentials.id_of(holder.credentials[-1].id)


def _established(factor: Any) -> int | None:
    return None if factor is None else int(factor.established_at)
